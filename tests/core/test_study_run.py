"""Running a study: what is kept equals what the detector gives, whatever the images and the detector do."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pyarrow")

import studies
from dissect_core import PlanError, StudyChangedError, StudyError
from dissect_core.detectors import ImageDetections
from dissect_core.engine import StopRequest
from dissect_core.errors import ArgumentError
from dissect_core.plan import Plan, plan
from dissect_core.spec import RayExecution, load_spec
from dissect_core.store import ImageRef, Study
from toy_detector import ToyDetector


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    return studies.scenes(tmp_path / "images", 7)


def events(study: Study) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (study.path / "log.jsonl").read_text().splitlines()]


def same(a: ImageDetections, b: ImageDetections) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_what_is_kept_is_what_the_detector_gives(images: list[Path], tmp_path: Path) -> None:
    study = studies.run_toy(images, tmp_path / "out")
    detector = ToyDetector()
    variants = plan(studies.toy_spec(), detector.anatomy)
    assert study.variants == tuple(v.id for v in variants)
    assert len(variants) == 15
    assert study.is_complete
    changed = {}
    for variant in variants:
        found = study.found(variant.id).by_image()
        with detector.ablated(variant) as report:
            expected = detector.predict_batch(next(detector.prepare(images, batch_size=7)))
        assert sorted(found) == list(range(7))
        assert all(same(found[i], expected[i]) for i in found)
        changed[variant.id] = (report.masked, report.changed)
    table = study.table(columns=["image", "masked", "changed"]).to_pylist()
    assert {(study.variants[row["variant"]], (row["masked"], row["changed"])) for row in table} == set(
        changed.items()
    )
    assert [image.file_name for image in study.images] == [path.name for path in images]
    assert [e["event"] for e in events(study)] == ["started", "finished"]


def test_shards_hold_whole_batches_and_the_same_whatever_their_size(
    images: list[Path], tmp_path: Path
) -> None:
    names, tables = [], []
    for size in (1, 4, 100):
        study = studies.run_toy(images, tmp_path / f"out{size}", shard_images=size)
        names.append(sorted(path.name for path in (study.path / "detections").iterdir()))
        tables.append(study.table())
    assert [len(each) for each in names] == [4, 2, 1]
    assert all(name.startswith("shard-") for each in names for name in each)
    assert tables[0].equals(tables[1])
    assert tables[0].equals(tables[2])


def test_a_finished_study_runs_nothing_again(images: list[Path], tmp_path: Path) -> None:
    first = studies.run_toy(images, tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in first.path.rglob("*.parquet")}

    class Dead(ToyDetector):
        def predict_batch(self, batch: Any) -> list[ImageDetections]:
            raise AssertionError

    studies.run_toy(images, tmp_path / "out", Dead())
    assert {path: path.stat().st_mtime_ns for path in first.path.rglob("*.parquet")} == before
    assert [e["event"] for e in events(first)] == ["started", "finished"], (
        "with the times of the run that did it"
    )


def test_a_run_that_was_killed_after_its_last_batch_is_said_finished(
    images: list[Path], tmp_path: Path
) -> None:
    log = studies.run_toy(images, tmp_path / "out").path / "log.jsonl"
    log.write_text(log.read_text().splitlines(keepends=True)[0])
    study = studies.run_toy(images, tmp_path / "out")
    assert [e["event"] for e in events(study)] == ["started", "resumed", "finished"]


def test_a_stop_ends_after_the_batch_at_hand(images: list[Path], tmp_path: Path) -> None:
    stop = StopRequest()

    class Stopping(ToyDetector):
        def predict_batch(self, batch: Any) -> list[ImageDetections]:
            stop.ask()
            return super().predict_batch(batch)

    study = studies.run_toy(images, tmp_path / "out", Stopping(), stop=stop)
    assert study.progress() == (1, 4)
    assert events(study)[-1]["event"] == "stopped"
    assert sorted(study.found("baseline").by_image()) == [0, 1]


def test_a_bad_image_is_an_error_or_on_record(images: list[Path], tmp_path: Path) -> None:
    images[2].write_bytes(b"P6 nonsense")
    with pytest.raises(ValueError, match="unpack"):
        studies.run_toy(images, tmp_path / "strict")
    assert Study.open(tmp_path / "strict").progress()[0] == 1, "the batch before it stays"
    study = studies.run_toy(images, tmp_path / "out", on_bad_image="skip")
    assert study.is_complete
    assert study.bad_images() == [2]
    assert sorted(study.found("baseline").by_image()) == [0, 1, 3, 4, 5, 6]
    (event,) = [e for e in events(study) if e["event"] == "bad image"]
    assert event["image"] == 2
    assert "002.ppm" in event["file"]


def test_numbers_that_are_not_finite_are_kept_and_marked(images: list[Path], tmp_path: Path) -> None:
    class Broken(ToyDetector):
        broken = False

        @contextmanager
        def ablated(self, variant: Any, *, reference: Any = None) -> Iterator[Any]:
            self.broken = variant.id.endswith("features:1")
            with super().ablated(variant, reference=reference) as report:
                yield report
            self.broken = False

        def predict_batch(self, batch: Any) -> list[ImageDetections]:
            found = super().predict_batch(batch)
            if self.broken:
                found[0].boxes[0, 1] = np.nan
            return found

    study = studies.run_toy(images, tmp_path / "out", Broken())
    (name,) = [v for v in study.variants if v.endswith("features:1")]
    found = study.found(name)
    assert found.not_finite.tolist() == [True, False, True, False, True, False, True]
    assert np.isnan(found.by_image()[0].boxes[0, 1])
    assert not study.found("baseline").not_finite.any()


def test_memory_that_runs_out_halves_the_batch(images: list[Path], tmp_path: Path) -> None:
    class OutOfMemoryError(RuntimeError):
        pass

    class Small(ToyDetector):
        def __init__(self) -> None:
            super().__init__()
            self.sizes: list[int] = []

        def predict_batch(self, batch: Any) -> list[ImageDetections]:
            self.sizes.append(len(batch))
            if len(batch) > 2:
                raise OutOfMemoryError
            return super().predict_batch(batch)

    detector = Small()
    study = studies.run_toy(images, tmp_path / "out", detector, batch_size=7)
    assert study.is_complete
    assert max(detector.sizes) == 7
    assert [(e["images"], e["now"]) for e in events(study) if e["event"] == "out of memory"] == [
        (7, 4),
        (4, 2),
        (3, 2),
    ]
    whole = studies.run_toy(images, tmp_path / "whole", batch_size=7)
    assert study.table().equals(whole.table())

    class Tiny(Small):
        def predict_batch(self, batch: Any) -> list[ImageDetections]:
            raise OutOfMemoryError("no room for one image")

    with pytest.raises(OutOfMemoryError, match="no room"):
        studies.run_toy(images, tmp_path / "none", Tiny())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "`batch_size` must be 1 or more, got 0"),
        ({"shard_images": 0}, "`shard_images` must be 1 or more"),
        ({"verify": 1.5}, r"`verify` must be a share in \[0, 1\], got 1.5"),
        ({"ahead": -1}, "`ahead` must be 0 or more"),
        ({"refs": [ImageRef("a", 1)]}, "`refs` must name each of 7 images, got 1"),
    ],
)
def test_arguments_out_of_range(
    images: list[Path], tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(StudyError, match=message):
        studies.run_toy(images, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()
    with pytest.raises(StudyError, match="`images` must name at least one"):
        studies.run_toy([], tmp_path / "out")


def test_a_torch_model_is_replayed_and_verified_with_an_estimate_first(
    images: list[Path], tmp_path: Path
) -> None:
    detector = studies.tiny_torch_detector()
    by = {"select": {"by": "each"}}
    ablations = [
        {"name": "heads", "target": {"unit": "head", "components": "*"}, **by},
        {"name": "queries", "target": {"unit": "query", "components": "query_embed"}, **by},
        {"name": "means", "target": {"unit": "head", "components": "encoder.self_attn"}, **by}
        | {"interventions": {"space": "activation", "kind": "mean"}},
        {"name": "layers", "target": {"unit": "layer", "components": "encoder.layer"}, **by},
    ]
    spec = load_spec({"name": "torch", "ablations": ablations})
    said: list[str] = []
    options = {"spec": spec, "verify": 1.0, "say": said.append, "batch_size": 3}
    study = studies.run_toy(images, tmp_path / "out", detector, **options)
    variants = plan(spec, detector.anatomy)
    assert len(variants) == 1 + 8 + 5 + 4 + 2
    assert events(study)[-1]["verified"] == len(variants) * 3
    assert len(said) == 1
    assert f"for {len(variants)} variants over 3 batches; prefix replay leaves out 70% of" in said[0]
    effects = {row["id"]: row for row in study.effects.to_pylist()} if study.effects else {}
    assert set(effects) == {v.id for v in variants}
    assert all(effects[v.id]["output_change"] > 0 for v in variants[1:])
    plain = studies.run_toy(
        images, tmp_path / "plain", detector, **{**options, "replay": False, "verify": 0.0}
    )
    columns = ["image", "status", "boxes", "scores", "labels"]
    assert study.table(columns=columns).equals(plain.table(columns=columns))
    # What activations were averaged is kept, and read by the next run.
    assert (study.path / "reference.npz").exists()


def test_half_precision_is_on_record_and_not_mixed(images: list[Path], tmp_path: Path) -> None:
    pytest.importorskip("torch")
    detector = studies.tiny_torch_detector()
    heads = {"name": "heads", "target": {"unit": "head", "components": "*"}, "select": {"by": "each"}}
    spec = load_spec({"name": "tiny", "ablations": [heads]})
    full = studies.run_toy(images, tmp_path / "full", detector, spec=spec)
    half = studies.run_toy(images, tmp_path / "half", detector, spec=spec, precision="bf16", verify=1.0)
    assert half.facts["precision"] == "bf16"
    scores = [study.found("baseline").scores for study in (full, half)]
    assert not np.array_equal(*scores)
    np.testing.assert_allclose(*scores, atol=0.05)
    assert np.isfinite(scores[1]).all()
    slow = studies.run_toy(images, tmp_path / "slow", detector, spec=spec, precision="bf16", replay=False)
    assert np.array_equal(slow.found(slow.variants[3]).boxes, half.found(half.variants[3]).boxes)
    with pytest.raises(StudyChangedError, match="precision"):
        studies.run_toy(images, tmp_path / "half", detector, spec=spec)
    with pytest.raises(ArgumentError, match="must be one of 'full', 'bf16', 'fp16', got 'int8'"):
        studies.run_toy(images, tmp_path / "none", detector, spec=spec, precision="int8")
    with pytest.raises(StudyError, match="needs a torch model"):
        studies.run_toy(images, tmp_path / "none", precision="bf16")
    assert not (tmp_path / "none").exists()


def test_a_finished_study_needs_no_cluster(images: list[Path], tmp_path: Path) -> None:
    nowhere = RayExecution(engine="ray", address="127.0.0.1:9")
    study = studies.run_toy(images, tmp_path / "out")
    again = studies.run_toy(images, tmp_path / "out", execution=nowhere)
    assert again.is_complete
    assert studies.tables(again) == studies.tables(study)
    with pytest.raises(StudyChangedError, match="since it is another one: batch_size was 2, is now 3"):
        studies.run_toy(images, tmp_path / "out", execution=nowhere, batch_size=3)
    with pytest.raises(StudyChangedError, match=r"since it is 'toy' and not 'other': spec\.name was"):
        studies.run_toy(images, tmp_path / "out", spec=studies.toy_spec(name="other"))


def test_a_study_keeps_to_the_threads_that_it_was_begun_with(images: list[Path], tmp_path: Path) -> None:
    """On a CPU the last bits of torch's sums depend on them: whoever goes on computes with as many."""
    torch = pytest.importorskip("torch")
    seen: list[int] = []

    def watch(_passed: Any) -> None:
        seen.append(torch.get_num_threads())

    before = torch.get_num_threads()
    heads = {
        "name": "heads",
        "target": {"unit": "head", "components": "encoder.self_attn"},
        "select": {"by": "each"},
    }
    spec = load_spec({"name": "tiny", "ablations": [heads]})
    options: dict[str, Any] = {"spec": spec, "batch_size": 1, "watch": watch}
    try:
        torch.set_num_threads(3)
        study = studies.run_toy(images[:2], tmp_path / "out", studies.tiny_torch_detector(), **options)
        assert study.environment["incidental"]["threads"] == 3
        next((study.path / "detections").glob("*.parquet")).unlink()
        torch.set_num_threads(1)
        studies.run_toy(images[:2], tmp_path / "out", studies.tiny_torch_detector(), **options)
        assert set(seen) == {3}
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_a_plan_is_run_where_it_is_the_detectors_own(images: list[Path], tmp_path: Path) -> None:
    spec, detector = studies.toy_spec(), ToyDetector()
    own = plan(spec, detector.anatomy)
    study = studies.run_toy(images, tmp_path / "out", detector, spec=own)
    assert study.variants == tuple(variant.id for variant in own)
    assert study.facts == studies.run_toy(images, tmp_path / "by spec", detector).facts
    assert studies.run_toy(images, tmp_path / "out", detector).is_complete  # goes on by the spec alone
    fewer = Plan(spec, own[:-1])
    with pytest.raises(
        PlanError, match=f"the plan has {len(own) - 1} variants instead of {len(own)}. Make it"
    ):
        studies.run_toy(images, tmp_path / "fewer", detector, spec=fewer)
    of_another_seed = Plan(spec, plan(studies.toy_spec(seed=4), detector.anatomy)[:])
    in_another_order = Plan(spec, [*own[:-2], own[-1], own[-2]])
    for other, first in ((of_another_seed, "baseline"), (in_another_order, own[-1].id)):
        with pytest.raises(PlanError, match=f"has other variants, the first is '{first}'"):
            studies.run_toy(images, tmp_path / "other", detector, spec=other)
    assert not (tmp_path / "other").exists()
