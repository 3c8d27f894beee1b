"""``deep-dissect simplify``: what a study found redundant goes for good, and what is measured is so."""

import json
from contextlib import ExitStack
from pathlib import Path

import pytest

from commands import call
from dissect_core.plan import plan
from dissect_core.spec import load_spec
from dissect_eval import Detections, GroundTruth, coco_ap
from dissect_mmdet import image_paths, open_mmdet
from dissect_mmdet.cli import main
from dissect_mmdet.demo import demo_files, write_split

SPEC = """
name: decoder heads
ablations:
  - name: heads
    target: {unit: head, components: decoder.self_attn}
    select: {by: each}
  - name: queries
    target: {unit: query, components: query_embedding}
    select: {by: fraction, fractions: [0.5]}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("simplify")
    (place / "s.yaml").write_text(SPEC)
    images, annotations = write_split(place / "data", "test", 10)
    words = ["run", place / "s.yaml", "--demo", "detr", "-i", images, "-a", annotations, "-o", place / "out"]
    with pytest.raises(SystemExit) as ended:
        main([*map(str, words), "--batch-size", "5", "--replicates", "0"])
    assert not ended.value.code
    return place


def test_what_is_left_out_is_measured_on_the_smaller_model(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = folder / "slim.json"
    words = ["simplify", folder / "out", "heads", "--demo", "detr", "--max-loss", 0.03, "--batch-size", 5]
    status, out, err = call(capsys, *words, "-o", target)
    assert status == 0, err
    told = json.loads(target.read_text())
    assert told["before"] - told["after"] <= 0.03 + 1e-6
    assert told["flops_after"] < told["flops_before"]
    n_removed = sum(map(len, told["removed"].values()))
    assert n_removed >= 1
    assert f"without {n_removed} of 24" in out
    files = demo_files("detr")
    detector = open_mmdet(config=files.config, checkpoint=files.checkpoint)
    # One head of width d in an attention of width E: d rows of q, k and v with their biases, d columns of the output.
    layout = detector.attention["decoder.layers.0.self_attn.attn"]
    embed = detector.model.get_submodule("decoder.layers.0.self_attn.attn").embed_dim
    width = embed // layout.n_heads
    of_a_head = 3 * (width * embed + width) + embed * width
    assert told["n_parameters_before"] - told["n_parameters_after"] == n_removed * of_a_head

    # The same heads at zero, on the whole model, with pycocotools.
    truth = GroundTruth.from_coco(folder / "data/annotations/instances_test.json")
    variants = plan(load_spec(folder / "s.yaml"), detector.anatomy)
    chosen = [
        v
        for v in variants
        if v.pool.unit == "head"
        and all(set(u) <= set(told["removed"].get(p, ())) for p, u in v.removed().items())
    ]
    chosen = [v for v in chosen if v.kind == "ablation"]
    assert len(chosen) == n_removed
    with ExitStack() as stack:
        for variant in chosen:
            stack.enter_context(detector.ablated(variant))
        found = list(detector.predict(image_paths(folder / "data/test", truth.file_names), 5))
    boxes = Detections.from_arrays(found, truth.image_ids.tolist(), sorted(truth.category_names))
    assert told["after"] == pytest.approx(coco_ap(truth, boxes, backend="pycocotools").AP, abs=1e-6)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["queries", "--demo", "detr"], "must remove single heads, neurons, layers or sublayers"),
        (["head", "--demo", "detr"], "There is no ablation 'head' in this study, only: heads, queries"),
        (["heads", "--demo", "dino"], "is of another detector"),
        (["heads", "--demo", "detr", "--metric", "mAP"], "--metric must be one of"),
        (["heads", "--demo", "detr", "--images", "nowhere"], "nowhere"),
        (["heads", "--demo", "detr", "--metric", "AP", "--max-loss", "-1"], "--max-loss"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    status, _, err = call(capsys, "simplify", folder / "out", *words)
    assert status == 2
    assert said in err
