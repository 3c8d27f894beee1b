"""The notebook of Deep Dissect 1.0, run cell by cell on a full-size DETR with nothing changed but its paths."""

import ast
import contextlib
import gc
import io
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from dissect_mmdet import build_model, load_config
from real_data import data_path

from .conftest import write_coco

NOTEBOOK = data_path("reference/deep-dissect-notebook.txt")
SINGLE = "model_query_embedding.weight_single_wise_5_0.pth"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not NOTEBOOK.exists(), reason="the notebook of version 1.0 is not at hand"),
]


def code_of(text: str) -> str:
    """The code at the start of a text that goes on with what the code printed."""
    lines = text.split("\n")
    for end in range(len(lines), 0, -1):
        with contextlib.suppress(SyntaxError):
            body = ast.parse("\n".join(lines[:end])).body
            # A printed tensor is an expression too.
            while isinstance(body[-1], ast.Expr) and ast.unparse(body[-1]).startswith("tensor("):
                body.pop()
            last = body[-1].end_lineno
            assert last is not None
            return "\n".join(lines[:last])
    raise AssertionError(f"no code in {text!r}")


def code_cells() -> list[str]:
    """All code cells, in order."""
    text = NOTEBOOK.read_text(encoding="utf-8")
    parts = re.split(r"^In \[(?:\d+|None)\]:\n", text, flags=re.MULTILINE)[1:]
    return [code_of(re.split(r"^## ", part, maxsplit=1, flags=re.MULTILINE)[0]) for part in parts]


@pytest.fixture(scope="module")
def printed() -> Iterator[list[str]]:
    """What each cell printed, in a folder with everything that the user had."""
    kept = Path.cwd()
    folder = Path(tempfile.mkdtemp(prefix="deep-dissect-"))  # 1.5 GB of checkpoints: not for pytest to keep
    try:
        os.chdir(folder)
        yield run_notebook(folder)
    finally:
        os.chdir(kept)
        shutil.rmtree(folder)
        gc.collect()


def run_notebook(folder: Path) -> list[str]:
    import mmdet
    from deep_dissect import CLASSES_DETR, set_seed

    root = Path(mmdet.__file__).parent / ".mim" / "configs"
    config = load_config(root / "detr" / "detr_r50_8xb2-150e_coco.py")
    for step in config.test_dataloader.dataset.pipeline:
        if step.type == "Resize":
            step.scale = (160, 120)  # as they are; 1333 × 800 takes seconds for each image
    config.dump(folder / "detr.py")
    write_checkpoint(config, folder / "detr.pth")
    categories = [{"id": i, "name": name} for i, name in enumerate(CLASSES_DETR) if name != "N/A"]
    write_coco(folder / "coco", categories, size=(160, 120))

    user = "C:/Users/Username"
    paths = {
        f"{user}/source/repos/mmdetection/checkpoints/detr_r50_8xb2-150e_coco_20221023_153551-436d03e8.pth": "detr.pth",
        f"{user}/source/repos/mmdetection/configs/detr/detr_r50_8xb2-150e_coco.py": "detr.py",
        f"{user}/coco/": f"{folder}/coco/",
        "cuda:0": "cpu",
    }
    set_seed()
    namespace: dict[str, Any] = {}
    printed = []
    for cell in code_cells():
        if "run_inference" in cell:  # the user moved this one file
            Path("query_embedding_5").mkdir()
            Path(SINGLE).rename(f"query_embedding_5/{SINGLE}")
        for theirs, ours in paths.items():
            cell = cell.replace(theirs, ours)
        assert "Username" not in cell
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(cell, "<cell>", "exec"), namespace)
        printed.append(out.getvalue())
    return printed


def write_checkpoint(config: Any, path: Path) -> None:
    """Random weights in a file as OpenMMLab's model zoo has it."""
    torch.manual_seed(0)
    model = build_model(config)
    extra = {"data_preprocessor.mean": torch.zeros(3, 1, 1), "data_preprocessor.std": torch.ones(3, 1, 1)}
    from deep_dissect import CLASSES_MMDET

    meta = {"dataset_meta": {"CLASSES": tuple(CLASSES_MMDET)}, "epoch": 150}
    torch.save({"state_dict": {**extra, **model.state_dict()}, "meta": meta}, path)


def test_cells_are_found() -> None:
    cells = code_cells()
    assert len(cells) == 8
    assert cells[0] == "from deep_dissect import *"
    assert [cell.split("\n")[-1].strip()[:38] for cell in cells[1:6]] == [
        "print(keys)",
        'print(f"Percentage of 0 in the tensor ',
        'print(f"Percentage of 0 in the tensor ',
        "print(state_dict['query_embedding.weig",
        "print(state_dict['encoder.layers.0.sel",
    ]
    assert cells[6].endswith("pickle.dump(save_with_pickle, f)")
    assert cells[7].endswith('print(f"Error decoding JSON in file: {file_path}")')


def test_keys(printed: list[str]) -> None:
    keys = ast.literal_eval(printed[1])
    assert printed[0] == ""
    assert keys[:5] == [
        "data_preprocessor.mean",
        "data_preprocessor.std",
        "backbone.conv1.weight",
        "backbone.bn1.weight",
        "backbone.bn1.bias",
    ]
    assert {"query_embedding.weight", "encoder.layers.5.self_attn.attn.in_proj_weight"} < set(keys)


def test_five_percent_of_single_values(printed: list[str]) -> None:
    assert printed[2] == "Percentage of 0 in the tensor after ablation: 5.00%\n"


def test_five_percent_of_head_segments(printed: list[str]) -> None:
    lines = printed[3].splitlines()
    assert lines[0] == "Iteration 1 / 1"
    assert lines[1].startswith("tensor([[")
    assert lines[-1] == "Percentage of 0 in the tensor after ablation: 5.00%"


ZEROS = (
    "tensor([[0., 0., 0.,  ..., 0., 0., 0.],\n"
    + "        [0., 0., 0.,  ..., 0., 0., 0.],\n" * 2
    + "        ...,\n"
    + "        [0., 0., 0.,  ..., 0., 0., 0.],\n" * 2
    + "        [0., 0., 0.,  ..., 0., 0., 0.]])\n"
)


def test_whole_components_are_zero(printed: list[str]) -> None:
    assert printed[4] == ZEROS
    assert printed[5] == ZEROS


def test_six_layers_of_progressive_ablations(printed: list[str]) -> None:
    written = {path.name for path in Path().glob("model_*_component_layers.pth")}
    assert written == {
        f"model_encoder.layers_{layer}_self_attn.attn.in_proj_weight_component_layers.pth"
        for layer in range(6)
    }


def test_draws_are_those_of_a_fresh_process(printed: list[str]) -> None:
    """The first ablation of a process, and its first heads, as the global generators would choose them."""
    generator = torch.Generator().manual_seed(42)
    zero = (
        torch.load(f"query_embedding_5/{SINGLE}", weights_only=True)["state_dict"]["query_embedding.weight"]
        == 0
    )
    expected = torch.randperm(25600, generator=generator)[:1280].sort().values
    assert torch.equal(zero.flatten().nonzero().flatten(), expected)


def test_inference_says_what_mmengine_says(printed: list[str]) -> None:
    assert printed[6] == (
        f"Loads checkpoint by local backend from path: query_embedding_5/{SINGLE}\n"
        "The model and loaded state dict do not match exactly\n\n"
        "unexpected key in source state_dict: data_preprocessor.mean, data_preprocessor.std\n\n"
    )


def test_four_result_files(printed: list[str]) -> None:
    stems = (
        "bbox_regression_gt_pred_average_giou_overall_result",
        "bbox_regression_gt_pred_average_giou_per_class_result",
        "f1_score_classification_overall_result",
        "f1_score_classification_per_class_result",
    )
    expected = ""
    found = {}
    for stem in stems:
        found[stem] = json.loads(Path(f"query_embedding_5/{stem}_0.json").read_text())
        expected += f"Content of {stem}_0.json:\n{json.dumps(found[stem], indent=4)}\n\n{'=' * 50}\n\n"
    assert printed[7] == expected
    assert -1 <= found[stems[0]].pop("average_giou") <= 1
    assert 0 <= found[stems[2]].pop("Overall_F1_Score") <= 1
    assert found[stems[0]] == found[stems[2]] == {}
    assert len(found[stems[3]]) == 80
    assert list(found[stems[3]])[:3] == ["person", "bicycle", "car"]


def test_results_are_those_of_the_pickled_samples(printed: list[str]) -> None:
    """Mean GIoU and F1 once more, from MMDetection's own samples with SciPy and scikit-learn."""
    import pickle

    from .test_metrics import version_1

    samples = pickle.loads(Path("query_embedding_5/igt_query_embedding_5_0.pkl").read_bytes())
    assert len(samples) == 3
    assert all(len(sample.pred_instances) == 100 for sample in samples)
    for stem, values in version_1(samples).items():
        found = json.loads(Path(f"query_embedding_5/{stem}_0.json").read_text())
        assert found == pytest.approx(values, abs=2e-6)
