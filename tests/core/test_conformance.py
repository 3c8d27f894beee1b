"""The conformance suite, tested by detectors with one fault each: each is found, and blamed on nothing else."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from dissect_core import DissectError
from dissect_core.detectors import ConformanceReport, ImageDetections, check_detector, detector_checks
from dissect_core.detectors._compare import deviation, difference, dissimilarity
from dissect_core.errors import ConformanceError
from faulty_ablations import NeverUndone
from faulty_detectors import FAULTS, BatchStatistics, NoPrepare, OneThread
from toy_detector import QueryDetector, ToyDetector, write_ppm, write_scenes


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return [scene.path for scene in write_scenes(tmp_path_factory.mktemp("scenes"), 3)]


def statuses(report: ConformanceReport) -> dict[str, str]:
    return {result.name: result.status for result in report.results}


def failed(report: ConformanceReport) -> list[str]:
    return [result.name for result in report.failures]


def test_the_toy_passes_every_check(images: list[Path]) -> None:
    report = check_detector(ToyDetector(), images)
    assert statuses(report) == dict.fromkeys(detector_checks(), "passed"), str(report)
    assert report.ok
    report.raise_for_failures()


def test_it_passes_from_any_selection_of_images(images: list[Path]) -> None:
    for some in (images[:2], images[::-1], [*images, images[0]], [str(image) for image in images]):
        assert check_detector(ToyDetector(), some).ok


@pytest.mark.parametrize(
    ("name", "kind"), [pytest.param(n, k, id=k.__name__) for n, kinds in FAULTS.items() for k in kinds]
)
def test_a_fault_fails_its_check_and_no_other(name: str, kind: type[ToyDetector], images: list[Path]) -> None:
    report = check_detector(kind(), images)
    assert failed(report) == [name], str(report)
    (failure,) = report.failures
    assert failure.demand == detector_checks()[name]
    assert failure.seen
    assert failure.remedy
    with pytest.raises(ConformanceError, match=re.escape(f"- {name}: {failure.demand} Seen: ")):
        report.raise_for_failures()


def test_there_is_a_fault_for_every_check() -> None:
    assert set(FAULTS) == set(detector_checks()) - {"images"}  # that one is not of the detector


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_images_are_said_to_be(n: int, images: list[Path]) -> None:
    report = check_detector(ToyDetector(), images[:n])
    assert failed(report) == ["images"]
    assert not report.ok


def test_images_that_are_missing_or_the_same_are_said_to_be(images: list[Path], tmp_path: Path) -> None:
    assert "gone.ppm" in check_detector(ToyDetector(), [*images, tmp_path / "gone.ppm"]).failures[0].seen
    assert failed(check_detector(ToyDetector(), [images[0], images[0]])) == ["images"]


def test_images_without_objects_prove_nothing(tmp_path: Path) -> None:
    grey = [tmp_path / "a.ppm", tmp_path / "b.ppm"]
    for path in grey:
        write_ppm(path, np.full((16, 16, 3), 128, dtype=np.uint8))
    report = check_detector(ToyDetector(), grey)
    assert failed(report) == ["images told apart"]
    assert "0 detections" in report.failures[0].seen
    assert {"undone", "ablation shows", "order"} <= {result.name for result in report.skipped}


def test_an_image_without_objects_among_others_is_fine(images: list[Path], tmp_path: Path) -> None:
    write_ppm(tmp_path / "grey.ppm", np.full((16, 16, 3), 128, dtype=np.uint8))
    assert check_detector(ToyDetector(), [tmp_path / "grey.ppm", *images]).ok


def test_a_declared_deviation_is_no_failure(images: list[Path]) -> None:
    class Declared(BatchStatistics):
        batch_invariant = False

    report = check_detector(Declared(), images)
    assert report.ok
    assert statuses(report)["batches as alone"] == "declared"
    assert statuses(check_detector(ToyDetector(), images))["batches as alone"] == "passed"
    (one,) = (result for result in report.results if result.status == "declared")
    # Scores fall by 5 %: the largest is just under 1.
    assert 0.04 < float(one.seen.split("scores ")[1].split()[0]) < 0.05
    assert check_detector(BatchStatistics(), images, score_tolerance=0.06).ok


def test_what_rests_on_a_failure_is_not_judged(images: list[Path]) -> None:
    report = check_detector(NeverUndone(), images)
    assert {"nesting", "report", "baseline"} <= {result.name for result in report.skipped}
    message = r"fails 1 of \d+ checks of a detector:\n- undone: .*\n\d+ further checks rest on these"
    with pytest.raises(ConformanceError, match=message):
        report.raise_for_failures()


def test_damage_done_by_one_check_is_not_blamed_on_the_next(images: list[Path]) -> None:
    class Breaks(ToyDetector):
        """Its weights are lost when an unknown component is asked for."""

        def ablated(self, variant: Any, *, reference: Any = None) -> Any:
            if any(edit.parameter not in self.arrays for edit in variant.as_edits()):
                self.arrays = {name: array * 0 for name, array in self.arrays.items()}
            return super().ablated(variant)

    report = check_detector(Breaks(), images)
    assert failed(report) == ["unknown component"]
    assert "left the detector changed" in report.failures[0].seen
    assert {result.seen for result in report.skipped} == {"'unknown component' left the detector changed."}


def test_an_error_inside_a_check_says_what_and_where(images: list[Path]) -> None:
    (failure,) = check_detector(OneThread(), images).failures
    assert re.search(r"RuntimeError: made in another thread \(predict_batch, .*\.py:\d+\)", failure.seen)


@pytest.mark.parametrize("thing", [None, 3, object(), "detector", ToyDetector])
def test_anything_can_be_checked(thing: object, images: list[Path]) -> None:
    report = check_detector(thing, images)
    assert not report.ok
    assert failed(report)[0] in ("members", "class names")


def detections(n: int, seed: int) -> ImageDetections:
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 50, (n, 2))
    boxes = np.hstack([corners, corners + rng.uniform(0, 50, (n, 2))])
    return ImageDetections(boxes, rng.uniform(0, 1, n), rng.integers(0, 3, n))


COUNTS, SEEDS = st.integers(0, 12), st.integers(0, 10**6)


@given(COUNTS, COUNTS, SEEDS)
def test_dissimilarity_is_a_symmetric_mean_over_nearest_others(n: int, m: int, seed: int) -> None:
    one, other = detections(n, seed), detections(m, seed + 1)
    assert dissimilarity(one, one) == 0
    assert 0 <= dissimilarity(one, other) == dissimilarity(other, one) <= 3
    if n and m:

        def apart(i: int, j: int) -> float:
            edges = min(max(abs(one.boxes[i] - other.boxes[j])) / 32, 1)
            return float(edges + (one.labels[i] != other.labels[j]) + abs(one.scores[i] - other.scores[j]))

        there = sum(min(apart(i, j) for j in range(m)) for i in range(n)) / n
        back = sum(min(apart(i, j) for i in range(n)) for j in range(m)) / m
        assert dissimilarity(one, other) == pytest.approx((there + back) / 2)


@given(COUNTS, SEEDS)
def test_deviation_knows_no_order(n: int, seed: int) -> None:
    one = detections(n, seed)
    shuffled = np.random.default_rng(seed).permutation(n)
    other = ImageDetections(one.boxes[shuffled], one.scores[shuffled], one.labels[shuffled])
    assert deviation(one, other) == (0, 0.0, 0.0)
    assert (difference([one], [other]) is None) == bool((shuffled == np.arange(n)).all())
    relabelled = one._replace(labels=one.labels + 3)
    assert deviation(one, relabelled) == (2 * n, 0.0, 0.0)


@given(st.integers(1, 12), SEEDS, st.floats(0, 1e-3), st.floats(0, 1e-3))
def test_deviation_is_how_far_all_was_moved(n: int, seed: int, by: float, less: float) -> None:
    one = detections(n, seed)
    moved = one._replace(boxes=one.boxes + by, scores=one.scores - less)
    assert list(deviation(one, moved)) == pytest.approx([0, by, less], abs=1e-12)


def test_the_report_is_a_table(images: list[Path]) -> None:
    text = str(check_detector(NoPrepare(), images))
    first, *rows = text.splitlines()
    assert re.fullmatch(r"NoPrepare: \d+ passed, 1 failed, \d+ not judged", first)
    assert max(map(len, rows)) <= 118
    assert sum(row.startswith("  FAILED      members ") for row in rows) == 1


def test_the_error_is_one_of_ours_and_an_assertion() -> None:
    assert issubclass(ConformanceError, DissectError)
    assert issubclass(ConformanceError, AssertionError)


def test_a_detector_is_left_as_it_was(images: list[Path]) -> None:
    detector = ToyDetector()
    before = {name: array.copy() for name, array in detector.arrays.items()}
    check_detector(detector, images)
    for name, array in before.items():
        np.testing.assert_array_equal(detector.arrays[name], array)


def test_detectors_that_tell_queries_pass(images: list[Path]) -> None:
    report = check_detector(QueryDetector(), images)
    assert report.ok, str(report)


def test_queries_in_one_list_only_are_a_difference() -> None:
    one = detections(4, 0)
    told = one._replace(queries=np.arange(4))
    assert difference([told], [told]) is None
    assert difference([one], [told]) == "image 0: queries are only in one of both"
    assert difference([told], [told._replace(queries=np.array([0, 1, 3, 2]))]) is not None
