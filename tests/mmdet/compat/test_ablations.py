"""Ablated checkpoints: which values become zero, under which names, and that nothing else changes."""

import os
import random
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import deep_dissect as dd
from dissect_core import CheckpointError, DoseError, UnitError
from dissect_mmdet.errors import DissectMMDetError

QUERY = "query_embedding.weight"
TEMPLATE = "encoder.layers.{layer}.self_attn.attn.in_proj_weight"


def state(seed: int = 0, layers: int = 3) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    weights = {QUERY: torch.rand(10, 256, generator=generator) + 1}
    for layer in range(layers):
        weights[TEMPLATE.format(layer=layer)] = torch.rand(24, 256, generator=generator) + 1
    weights["encoder.norm.weight"] = torch.rand(7, generator=generator) + 1
    return weights


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    path = tmp_path / "whole.pth"
    torch.save({"state_dict": state(), "meta": {"epoch": 150, "nested": {"a": [1, 2.5, "x"]}}}, path)
    return path


def read(path: Path | str) -> Any:
    return torch.load(path, weights_only=True)


def changed(path: Path | str) -> set[str]:
    return {name for name, value in read(path)["state_dict"].items() if not torch.equal(value, state()[name])}


def test_keys(whole: Path) -> None:
    weights, keys = dd.get_model_state_dict_and_keys(whole)
    assert isinstance(keys, list)
    assert keys == list(weights) == list(state())
    assert all(torch.equal(weights[name], value) for name, value in state().items())


def test_single_values_become_zero(whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = f"{tmp_path}/out-"
    dd.compute_single_wise_ablations_percentage(str(whole), 5, QUERY, 2, folder)
    assert capsys.readouterr().out == ""
    names = [f"out-model_{QUERY}_single_wise_5_{i}.pth" for i in range(2)]
    assert sorted(p.name for p in tmp_path.iterdir()) == [*names, "whole.pth"]
    zeros = []
    for name in names:
        ablated = read(tmp_path / name)
        assert ablated["meta"] == {"epoch": 150, "nested": {"a": [1, 2.5, "x"]}}
        assert list(ablated["state_dict"]) == list(state())
        assert changed(tmp_path / name) == {QUERY}
        weight = ablated["state_dict"][QUERY]
        assert int((weight == 0).sum()) == 128
        assert torch.equal(weight[weight != 0], state()[QUERY][weight != 0])
        zeros.append(weight == 0)
    assert not torch.equal(*zeros)


def test_draws_are_those_of_version_1_in_a_fresh_process(tmp_path: Path) -> None:
    """The global generators seeded with 42, called in the same order, choose the same values."""
    torch.save({"state_dict": state(), "meta": {}}, tmp_path / "whole.pth")
    code = (
        "import deep_dissect as dd\n"
        f"single = lambda c, p, n: dd.compute_single_wise_ablations_percentage('whole.pth', p, c, n)\n"
        f"heads = lambda p, layers, n: dd.compute_attention_head_detr_ablations_percentage("
        f"'whole.pth', p, {TEMPLATE!r}, layers, n, 'heads')\n"
        f"single({QUERY!r}, 5, 2)\n"
        "heads(10, [2, 0], 2)\n"
        "single('encoder.norm.weight', 50.0, 1)\n"
        "heads(7.5, range(3), 1)\n"
        f"single({QUERY!r}, 0.4, 1)\n"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

    # A process of its own would do the same; the state of these generators is put back afterwards.
    kept = torch.get_rng_state(), random.getstate()
    torch.manual_seed(42)
    random.seed(42)
    expected: dict[str, dict[str, torch.Tensor]] = {}

    def single(component: str, percentage: float, n: int) -> None:
        for i in range(n):
            weights = state()
            flat = weights[component].view(-1)
            flat[torch.randperm(flat.numel())[: int(flat.numel() * percentage / 100)]] = 0
            expected[f"model_{component}_single_wise_{percentage}_{i}.pth"] = weights

    def heads(percentage: float, layers: Any, n: int) -> None:
        for i in range(n):
            weights = state()
            for layer in layers:
                matrix = weights[TEMPLATE.format(layer=layer)]
                total = 8 * matrix.shape[0]
                for segment in random.sample(range(total), int(total * (percentage / 100))):
                    column = 32 * (segment % 8)
                    matrix[segment // 8, column : column + 32] = 0
            stem = "heads/model_encoder.layers.self_attn.attn.in_proj_weight_attention_head"
            expected[f"{stem}_{percentage}_{i}.pth"] = weights

    single(QUERY, 5, 2)
    heads(10, [2, 0], 2)
    single("encoder.norm.weight", 50.0, 1)
    heads(7.5, range(3), 1)
    single(QUERY, 0.4, 1)
    torch.set_rng_state(kept[0])
    random.setstate(kept[1])

    written = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("model_*.pth")}
    assert written == expected.keys()
    for name, weights in expected.items():
        ablated = read(tmp_path / name)["state_dict"]
        assert all(torch.equal(ablated[key], value) for key, value in weights.items()), name


def test_generators_give_the_global_ones_numbers() -> None:
    from deep_dissect.v1._random import permutation, sample

    for reset in range(2):
        dd.set_seed()
        kept = torch.get_rng_state(), random.getstate()
        torch.manual_seed(42)
        random.seed(42)
        for n in (25600, 7, 1, 196608, 30001, 2):
            assert torch.equal(permutation(n), torch.randperm(n)), (reset, n)
            assert sample(range(n), min(n, 300)) == random.sample(range(n), min(n, 300))
        torch.set_rng_state(kept[0])
        random.setstate(kept[1])


def test_head_segments(whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "folder"
    dd.compute_attention_head_detr_ablations_percentage(
        str(whole), 5, layers_to_ablate=range(3), number_of_ablations=2, PATH_SAVE_DIR=str(out)
    )
    assert capsys.readouterr().out == "Iteration 1 / 2\nIteration 2 / 2\n"
    names = [f"model_encoder.layers.self_attn.attn.in_proj_weight_attention_head_5_{i}.pth" for i in range(2)]
    assert sorted(p.name for p in out.iterdir()) == names
    zeros = []
    for name in names:
        assert changed(out / name) == {TEMPLATE.format(layer=layer) for layer in range(3)}
        for layer in range(3):
            zero = read(out / name)["state_dict"][TEMPLATE.format(layer=layer)].reshape(24, 8, 32) == 0
            assert torch.equal(zero.all(dim=2), zero.any(dim=2))
            assert int(zero.all(dim=2).sum()) == int(8 * 24 * 0.05)
            zeros.append(zero)
    assert all(not torch.equal(zeros[0], other) for other in zeros[1:])


def test_segments_of_other_widths_are_an_eighth_of_a_row(tmp_path: Path) -> None:
    torch.save(
        {"state_dict": {"a.0.weight": torch.ones(4, 40), "a.1.weight": torch.ones(4, 12)}}, "whole.pth"
    )
    dd.compute_attention_head_detr_ablations_percentage("whole.pth", 25, "a.{layer}.weight", [0])
    zero = read("model_a.weight_attention_head_25_0.pth")["state_dict"]["a.0.weight"].reshape(4, 8, 5) == 0
    assert int(zero.all(dim=2).sum()) == int(zero.any(dim=2).sum()) == 8
    with pytest.raises(UnitError, match="divide the 12 columns"):
        dd.compute_attention_head_detr_ablations_percentage("whole.pth", 25, "a.{layer}.weight", [1])


def test_whole_component(whole: Path, tmp_path: Path) -> None:
    dd.compute_component_wise_complete_ablations(str(whole), QUERY, f"{tmp_path}/")
    path = tmp_path / f"model_{QUERY}_component_wise.pth"
    assert changed(path) == {QUERY}
    assert not read(path)["state_dict"][QUERY].any()


def test_layers_are_ablated_together_one_more_each_time(whole: Path, tmp_path: Path) -> None:
    dd.compute_progressive_component_ablations(str(whole), PATH_SAVE_DIR=f"{tmp_path}/")
    written = sorted(path.name for path in tmp_path.iterdir() if path != whole)
    assert written == [
        f"model_encoder.layers_{layer}_self_attn.attn.in_proj_weight_component_layers.pth"
        for layer in range(3)
    ]
    for last, name in enumerate(written):
        assert changed(tmp_path / name) == {TEMPLATE.format(layer=layer) for layer in range(last + 1)}
        for layer in range(last + 1):
            assert not read(tmp_path / name)["state_dict"][TEMPLATE.format(layer=layer)].any()


def test_whole_model_stays_as_it_is(whole: Path) -> None:
    before = whole.read_bytes()
    dd.compute_component_wise_complete_ablations(whole, QUERY)
    dd.compute_attention_head_detr_ablations_percentage(whole, layers_to_ablate=range(3))
    assert whole.read_bytes() == before


def test_nothing_is_ablated_at_zero_percent(whole: Path) -> None:
    dd.compute_single_wise_ablations_percentage(whole, 0, QUERY)
    assert changed(f"model_{QUERY}_single_wise_0_0.pth") == set()


def test_a_share_below_one_unit_is_said(whole: Path) -> None:
    with pytest.warns(UserWarning, match=r"5 % of 7 values of 'encoder.norm.weight' is less than one"):
        dd.compute_single_wise_ablations_percentage(whole, 5, "encoder.norm.weight")


@pytest.mark.parametrize(
    "call",
    [
        lambda path: dd.compute_single_wise_ablations_percentage(path, 5, "query_embeding.weight"),
        lambda path: dd.compute_component_wise_complete_ablations(path, "query_embeding.weight"),
        lambda path: dd.compute_attention_head_detr_ablations_percentage(path, 5, "query_embeding.weight"),
    ],
)
def test_unknown_component_is_named_and_the_keys_listed(call: Any, whole: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"Component 'query_embeding\.(0\.)?weight' is not in the") as caught:
        call(whole)
    assert isinstance(caught.value, KeyError)
    assert isinstance(caught.value, DissectMMDetError)
    assert all(name in str(caught.value) for name in state())
    assert [path.name for path in tmp_path.iterdir()] == ["whole.pth"]


@pytest.mark.parametrize("percentage", [-1, 100.5, float("nan")])
def test_bad_percentage(percentage: float, whole: Path, tmp_path: Path) -> None:
    with pytest.raises(DoseError, match=r"`ablation_percentage` must be from 0 to 100"):
        dd.compute_single_wise_ablations_percentage(whole, percentage, QUERY)
    with pytest.raises(ValueError, match="from 0 to 100"):
        dd.compute_attention_head_detr_ablations_percentage(whole, percentage)
    assert [path.name for path in tmp_path.iterdir()] == ["whole.pth"]


def test_missing_folder_leaves_nothing_behind(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="its folder does not exist"):
        dd.compute_single_wise_ablations_percentage(whole, 5, QUERY, 1, f"{tmp_path}/nowhere/")
    assert [path.name for path in tmp_path.iterdir()] == ["whole.pth"]


def test_folders_are_made_and_put_before_the_name(whole: Path, tmp_path: Path) -> None:
    """A folder's name without a slash is made, and then is the beginning of the files' names, as in version 1.0."""
    dd.compute_component_wise_complete_ablations(whole, QUERY, f"{tmp_path}/a/b/")
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == [f"model_{QUERY}_component_wise.pth"]
    dd.compute_component_wise_complete_ablations(whole, QUERY, f"{tmp_path}/c")
    assert list((tmp_path / "c").iterdir()) == []
    assert (tmp_path / f"cmodel_{QUERY}_component_wise.pth").is_file()
    dd.compute_progressive_component_ablations(whole, PATH_SAVE_DIR=f"{tmp_path}/d/")
    assert len(list((tmp_path / "d").iterdir())) == 3
    dd.compute_attention_head_detr_ablations_percentage(
        whole, layers_to_ablate=[1], PATH_SAVE_DIR=f"{tmp_path}/e"
    )
    assert len(list((tmp_path / "e").iterdir())) == 1


def test_no_layers_is_an_error(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(UnitError, match="`layers_to_ablate` must name a layer at least"):
        dd.compute_attention_head_detr_ablations_percentage(
            whole, layers_to_ablate=[], PATH_SAVE_DIR=tmp_path / "a"
        )
    assert [path.name for path in tmp_path.iterdir()] == ["whole.pth"]


def test_progressive_ablation_of_nothing_says_so(whole: Path, tmp_path: Path) -> None:
    with pytest.warns(
        UserWarning, match=r"Nothing was written: Component 'encoder\.layers\.0\.wrong' is not in"
    ):
        dd.compute_progressive_component_ablations(whole, component_to_ablate="wrong")
    assert [path.name for path in tmp_path.iterdir()] == ["whole.pth"]


def test_missing_checkpoint_is_a_file_not_found(tmp_path: Path) -> None:
    for call in (
        lambda path: dd.get_model_state_dict_and_keys(path),
        lambda path: dd.compute_single_wise_ablations_percentage(path, 5, QUERY),
        lambda path: dd.compute_attention_head_detr_ablations_percentage(path),
        lambda path: dd.compute_component_wise_complete_ablations(path, QUERY),
        lambda path: dd.compute_progressive_component_ablations(path),
    ):
        with pytest.raises(FileNotFoundError, match="does not exist") as caught:
            call(tmp_path / "no.pth")
        assert isinstance(caught.value, CheckpointError)


def test_another_seed_gives_other_draws(whole: Path, tmp_path: Path) -> None:
    """Any seed, with the draws that the global generators would give after 1.0's `set_seed`."""
    before = torch.get_rng_state(), random.getstate()
    dd.set_seed(7)
    dd.compute_single_wise_ablations_percentage(whole, 5, QUERY)
    dd.compute_attention_head_detr_ablations_percentage(whole, 5, layers_to_ablate=[2])
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    zero = read(f"model_{QUERY}_single_wise_5_0.pth")["state_dict"][QUERY].flatten() == 0
    chosen = torch.randperm(2560, generator=torch.Generator().manual_seed(7))[:128]
    assert set(zero.nonzero().flatten().tolist()) == set(chosen.tolist())
    name = TEMPLATE.format(layer=2)
    weight = read("model_encoder.layers.self_attn.attn.in_proj_weight_attention_head_5_0.pth")["state_dict"][
        name
    ]
    segments = random.Random(7).sample(range(8 * 24), int(8 * 24 * 0.05))
    assert set((weight.reshape(-1, 32) == 0).all(1).nonzero().flatten().tolist()) == set(segments)


def test_failed_write_leaves_no_half_file(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def disk_full(content: object, file: Any) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", disk_full)
    with pytest.raises(CheckpointError, match="the disk is full"):
        dd.compute_component_wise_complete_ablations(whole, QUERY)
    assert [path.name for path in tmp_path.iterdir()] == ["whole.pth"]


def test_training_state_is_kept(tmp_path: Path) -> None:
    """Files of MMEngine hold its history of logged scalars; it is written again as it was."""
    from mmengine.logging import HistoryBuffer

    history = HistoryBuffer([1.0, 2.0], [1, 1])
    torch.save({"state_dict": state(), "meta": {}, "message_hub": {"loss": history}}, "whole.pth")
    dd.compute_component_wise_complete_ablations("whole.pth", QUERY)
    again = torch.load(f"model_{QUERY}_component_wise.pth", weights_only=False)["message_hub"]["loss"]
    assert again.data[0].tolist() == [1.0, 2.0]


def test_parts_of_the_archive_are_those_of_version_1_to_the_byte(tmp_path: Path) -> None:
    """What `torch.load`, a zero and `torch.save` give, with all that training leaves in a checkpoint."""
    from mmengine.logging import HistoryBuffer

    model = torch.nn.Linear(256, 10)
    whole = {
        "meta": {"epoch": 150, "classes": ("a", "b"), "seed": np.int64(7), "mean": np.float64(0.5)},
        "state_dict": model.state_dict(),  # ordered, with the versions of modules
        "message_hub": {
            "log_scalars": {"loss": HistoryBuffer([1.0, 2.0], [1, 1])},
            "runtime_info": {"lr": 1e-4},
        },
        "optimizer": {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"params": [0, 1]}]},
    }
    torch.save(whole, "whole.pth")
    dd.compute_component_wise_complete_ablations("whole.pth", "weight")
    theirs = torch.load("whole.pth", weights_only=False)
    theirs["state_dict"]["weight"] = torch.zeros_like(theirs["state_dict"]["weight"])
    torch.save(theirs, "theirs.pth")
    parts = []
    for name in ("theirs.pth", "model_weight_component_wise.pth"):
        with zipfile.ZipFile(name) as archive:
            files = {path.partition("/")[2]: archive.read(path) for path in archive.namelist()}
        files.pop(".data/serialization_id")  # of the names of the parts, too
        parts.append(files)
    assert parts[0] == parts[1]


def test_ablated_training_state_is_read_again(tmp_path: Path) -> None:
    from mmengine.logging import HistoryBuffer

    history = HistoryBuffer([1.0, 2.0], [1, 1])
    torch.save({"state_dict": state(), "meta": {}, "message_hub": {"loss": history}}, "whole.pth")
    dd.compute_component_wise_complete_ablations("whole.pth", QUERY)
    dd.get_model_state_dict_and_keys(f"model_{QUERY}_component_wise.pth")


def test_hostile_checkpoint_is_refused(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "was_here",))

    torch.save({"state_dict": state(), "meta": Hostile()}, tmp_path / "hostile.pth")
    with pytest.raises(CheckpointError, match="refused"):
        dd.get_model_state_dict_and_keys(tmp_path / "hostile.pth")
    assert not (tmp_path / "was_here").exists()


@pytest.fixture(autouse=True)
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
