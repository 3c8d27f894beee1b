"""``deep-dissect simplify``: what a study found redundant goes for good, and what is measured is so."""

import json
from contextlib import ExitStack
from pathlib import Path

import pytest

from commands import call
from deep_dissect.cli import main
from deep_dissect.smaller import halves
from dissect_core.plan import plan
from dissect_core.spec import load_spec
from dissect_core.store import Study
from dissect_eval import Detections, GroundTruth, StudyDataError, bootstrap, coco_ap
from dissect_eval.study import Settings, StudyDetections, measure
from dissect_mmdet import image_paths, open_mmdet
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
    images, annotations = write_split(place / "data", "test", 24)
    words = [
        "run",
        place / "s.yaml",
        "--demo",
        "detr",
        "-i",
        images,
        "-a",
        annotations,
        "--out",
        place / "out",
    ]
    with pytest.raises(SystemExit) as ended:
        main([*map(str, words), "--batch-size", "5", "--replicates", "0"])
    assert not ended.value.code
    return place


def test_what_is_left_out_is_measured_on_the_smaller_model(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = folder / "slim"
    words = ["simplify", folder / "out", "heads", "--demo", "detr", "--max-loss", 0.03, "--batch-size", 5]
    status, out, err = call(capsys, *words, "--out", target)
    assert status == 0, err
    content = json.loads((target / "simplified.json").read_text())
    told = {**content["record"]["saved"], "removed": content["removed"]}
    assert told["chosen_before"] - told["chosen_after"] <= 0.03 + 1e-6
    assert (told["n_images"], told["n_chosen_on"]) == (12, 12)
    assert "chosen on 12 of the study's 24 images, drawn with its seed; measured on the other 12" in out
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

    # The same heads at zero, on the whole model, on the other half of the images, with pycocotools.
    every = GroundTruth.from_coco(folder / "data/annotations/instances_test.json")
    chosen_on, truth = halves(every, 0)
    assert not set(chosen_on.image_ids.tolist()) & set(truth.image_ids.tolist())
    assert sorted([*chosen_on.image_ids.tolist(), *truth.image_ids.tolist()]) == every.image_ids.tolist()
    variants = plan(load_spec(folder / "s.yaml"), detector.anatomy)
    chosen = [
        v
        for v in variants
        if v.pool.unit == "head"
        and all(set(u) <= set(told["removed"].get(p, ())) for p, u in v.removed().items())
    ]
    chosen = [v for v in chosen if v.kind == "ablation"]
    assert len(chosen) == n_removed

    def detected(on: GroundTruth) -> Detections:
        found = list(detector.predict(image_paths(folder / "data/test", on.file_names), 5))
        return Detections.from_arrays(found, on.image_ids.tolist(), sorted(on.category_names))

    whole = detected(truth)
    with ExitStack() as stack:
        for variant in chosen:
            stack.enter_context(detector.ablated(variant))
        without = detected(truth)
        on_chosen = coco_ap(chosen_on, detected(chosen_on), backend="pycocotools").AP
    assert told["before"] == pytest.approx(coco_ap(truth, whole, backend="pycocotools").AP, abs=1e-6)
    assert told["after"] == pytest.approx(coco_ap(truth, without, backend="pycocotools").AP, abs=1e-6)
    assert told["chosen_after"] == pytest.approx(on_chosen, abs=1e-6)
    (change,) = bootstrap(truth, whole, without, metrics=["AP"])
    assert (told["low"], told["high"]) == pytest.approx((change.low, change.high), abs=1e-6)
    interval = f"{change.estimate:+.3f} [{change.low:+.3f}, {change.high:+.3f}]"
    assert f"AP changes by {interval} on the 12 images that are held out" in out

    # The units are ranked by what they cost on the images on which is chosen, and on no other.
    study = Study.open(folder / "out")
    half = measure(study, settings=Settings(n_replicates=0), images=chosen_on.image_ids.tolist())
    losses = {row.variant: row.difference for row in half.table.select(metric="AP", category_id=None)}
    alone = StudyDetections(study).of(variants[3].id)[0].subset(chosen_on.image_ids.tolist())
    baseline = StudyDetections(study).of("baseline")[0].subset(chosen_on.image_ids.tolist())
    expected = coco_ap(chosen_on, alone).AP - coco_ap(chosen_on, baseline).AP
    assert losses[variants[3].id] == pytest.approx(expected, abs=1e-12)
    least_missed = sorted(
        (v for v in variants if v.pool.unit == "head" and v.n_units == 1), key=lambda v: -losses[v.id]
    )
    assert {v.id for v in chosen} <= {v.id for v in least_missed[: n_removed + 3]}, "each block keeps a head"


def test_too_few_images_are_no_halves(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = folder / "data"
    words = [
        "run",
        folder / "s.yaml",
        "--demo",
        "detr",
        "-i",
        data / "test",
        "--out",
        tmp_path / "few",
        "--limit",
        19,
    ]
    status, _, err = call(
        capsys, *words, "-a", data / "annotations/instances_test.json", "--replicates", 0, "--batch-size", 5
    )
    assert status == 0, err
    status, _, err = call(capsys, "simplify", tmp_path / "few", "heads", "--demo", "detr")
    assert status == 2
    assert "The study must have at least 20 images, got 19: units are chosen" in err


def test_measuring_on_images_that_were_not_run_is_refused(folder: Path) -> None:
    with pytest.raises(StudyDataError, match="`images` must be ids of images that were run, got 999999"):
        measure(Study.open(folder / "out"), images=[999999])


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


def test_the_smaller_detector_is_written_and_opened_again(folder: Path, tmp_path: Path) -> None:
    import numpy as np

    import deep_dissect as dd
    from dissect_core import CheckpointError
    from dissect_core.torch import describe_simplified

    said: list[str] = []
    small = tmp_path / "small"
    slimmed = dd.simplify(
        folder / "out", "heads", "demo:detr", max_loss=0.03, batch_size=5, out=small, say=said.append
    )
    assert any(line.startswith("chosen on 12 of the study's 24 images") for line in said)
    assert sorted(path.name for path in small.iterdir()) == [
        "README.md",
        "model.safetensors",
        "simplified.json",
    ]
    assert slimmed.n_parameters_after < slimmed.n_parameters_before
    assert slimmed.n_bytes_after < slimmed.n_bytes_before
    images = sorted((folder / "data/test").glob("*.png"))[:3]
    again = dd.open_simplified(small)
    for one, other in zip(again.predict(images), slimmed.detector.predict(images), strict=True):
        np.testing.assert_array_equal(one.boxes, other.boxes)
        np.testing.assert_array_equal(one.scores, other.scores)
    text = (small / "README.md").read_text(encoding="utf-8")
    assert 'detector = dd.open_simplified(".")' in text
    for name in ("parameters", "bytes of weights", "GFLOP a pass", "ms a pass", "AP, held-out images"):
        assert f"| {name} | " in text
    record = describe_simplified(small)["record"]
    assert record["saved"]["n_bytes_after"] == slimmed.n_bytes_after
    assert record["study"] == "decoder heads"
    with pytest.raises(dd.FrontDoorError, match="`out` must be a new or empty folder"):
        dd.simplify(folder / "out", "heads", "demo:detr", max_loss=0.03, out=small, say=said.append)
    with pytest.raises(CheckpointError, match="does not fit the model"):
        dd.open_simplified(small, "demo:dino")


def test_what_cannot_be_simplified_is_said(folder: Path, tmp_path: Path) -> None:
    import deep_dissect as dd
    from dissect_core import StudyChangedError, StudyError

    with pytest.raises(dd.FrontDoorError, match="`metric` must be one of AP"):
        dd.simplify(folder / "out", "heads", "demo:detr", metric="mAP")
    with pytest.raises(dd.FrontDoorError, match="`detector` must be given"):
        dd.simplify(folder / "out", "heads")
    with pytest.raises(StudyChangedError, match="of another detector"):
        dd.simplify(folder / "out", "heads", "demo:deformable_detr")
    with pytest.raises(StudyError, match="There is no ablation 'head'"):
        dd.simplify(folder / "out", "head", "demo:detr")
