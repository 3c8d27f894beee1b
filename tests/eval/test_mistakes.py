"""Mistakes that score without an error are told of, by every scorer, once, with the remedy; and nothing else is."""

from __future__ import annotations

import json
import sys
import threading
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dissect_eval import (
    DetectionError,
    Detections,
    GroundTruth,
    SettingError,
    SplitWarning,
    TruthError,
    bootstrap,
    check_split,
    coco_ap,
    confusion_matrix,
    detection_metrics,
    error_types,
    evaluate,
    evaluate_variants,
    match_pairs,
    matched_metrics,
    precision_recall_curve,
)

N_IMAGES = 40
NAMES = {3: "cat", 7: "dog", 9: "cow", 20: "bird"}
SIZE = (640, 480)


def truth_and_boxes(seed: int = 0, noise: float = 3.0, hit: float = 0.9) -> tuple[GroundTruth, list[Any]]:
    """A split, and per image boxes, scores and labels of a detector that finds most of it."""
    rng = np.random.default_rng(seed)
    truths, found = [], []
    for _ in range(N_IMAGES):
        n = int(rng.integers(1, 6))
        low = rng.uniform(0, (380, 260), (n, 2))
        boxes = np.hstack([low, low + rng.uniform(30, 200, (n, 2))])
        labels = rng.integers(0, len(NAMES), n)
        truths.append((boxes, np.array(list(NAMES))[labels]))
        seen = rng.random(n) < hit
        mine = boxes[seen] + rng.normal(0, noise, (int(seen.sum()), 4))
        low = rng.uniform(0, (380, 260), (3, 2))
        false = np.hstack([low, low + rng.uniform(30, 200, (3, 2))])
        found.append(
            (
                np.vstack([mine, false]),
                np.concatenate([rng.uniform(0.4, 1, len(mine)), rng.uniform(0, 0.5, 3)]),
                np.concatenate([labels[seen], rng.integers(0, len(NAMES), 3)]),
            )
        )
    truth = GroundTruth.from_arrays(truths, range(N_IMAGES), NAMES, image_sizes=[SIZE] * N_IMAGES)
    return truth, found


def detections(
    found: list[Any], change: Callable[[np.ndarray], np.ndarray] = lambda boxes: boxes
) -> Detections:
    return Detections.from_arrays([(change(b), s, k) for b, s, k in found], range(N_IMAGES), list(NAMES))


def as_xywh(b: np.ndarray) -> np.ndarray:
    return np.hstack([b[:, :2], b[:, 2:] - b[:, :2]])


def as_cxcywh(b: np.ndarray) -> np.ndarray:
    return np.hstack([(b[:, :2] + b[:, 2:]) / 2, b[:, 2:] - b[:, :2]])


WRONG: dict[str, tuple[Callable[[np.ndarray], np.ndarray], str]] = {
    "x, y, width, height": (
        as_xywh,
        "xywh_to_xyxy",
    ),
    "centre and size": (as_cxcywh, "cxcywh_to_xyxy"),
    "y before x": (lambda b: b[:, [1, 0, 3, 2]], "swap the columns"),
    "normalised": (lambda b: b / np.tile(SIZE, 2), r"`found.scaled\(truth.image_sizes\)`"),
    "YOLO's": (lambda b: as_cxcywh(b) / np.tile(SIZE, 2), "cxcywh_to_xyxy"),
    "thousandths": (lambda b: b / np.tile(SIZE, 2) * 1000, "thousandths of the image"),
    "a larger image": (lambda b: b * 1.667, r"1\.6\d times as large.*`found.scaled\(0\.[56]"),
    "a smaller image": (lambda b: b * 0.5, r"0\.(5|49\d*) times as large"),
    "flipped": (lambda b: b[:, [2, 3, 0, 1]], "negative width or height"),
}


@pytest.mark.parametrize("name", WRONG)
def test_boxes_read_wrongly_are_told_of(name: str) -> None:
    truth, found = truth_and_boxes()
    change, told = WRONG[name]
    with pytest.warns(SplitWarning, match=told) as caught:
        coco_ap(truth, detections(found, change))
    assert len(caught) == 1
    text = str(caught[0].message)
    assert "fit their own images no better" not in text, "one cause, told once"


def test_corners_in_results_are_told_of() -> None:
    truth, found = truth_and_boxes()
    rows = [
        {"image_id": i, "category_id": list(NAMES)[k], "bbox": b.tolist(), "score": float(s)}
        for i, (boxes, scores, labels) in enumerate(found)
        for b, s, k in zip(boxes, scores, labels, strict=True)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the reader sees boxes outside their images
        given = Detections.from_results(rows, truth)
    with pytest.warns(SplitWarning, match="corners where x, y, width, height belong"):
        detection_metrics(truth, given)


def test_a_normalised_truth_is_told_of() -> None:
    truth, found = truth_and_boxes()
    boxes = [
        (truth.boxes[a:b] / np.tile(SIZE, 2), truth.category_ids[a:b])
        for a, b in zip(truth.image_splits[:-1], truth.image_splits[1:], strict=True)
    ]
    wrong = GroundTruth.from_arrays(boxes, range(N_IMAGES), NAMES, image_sizes=[SIZE] * N_IMAGES)
    with pytest.warns(SplitWarning, match="The truth looks normalised"):
        coco_ap(wrong, detections(found))


@pytest.mark.parametrize(
    ("mapping", "told"),
    [
        ([7, 9, 20, 20], "Most labels are 1 too high"),
        ([20, 9, 7, 3], "Most often: .* Are labels those of another list"),
    ],
)
def test_labels_of_another_list_are_told_of(mapping: list[int], told: str) -> None:
    truth, found = truth_and_boxes()
    wrong = Detections.from_arrays(found, range(N_IMAGES), mapping)
    with pytest.warns(SplitWarning, match=f"Boxes fit and classes do not: .*{told}"):
        coco_ap(truth, wrong)


def test_scores_that_are_no_probabilities_are_told_of() -> None:
    truth, found = truth_and_boxes()
    logits = Detections.from_arrays([(b, 20 * s - 10, k) for b, s, k in found], range(N_IMAGES), list(NAMES))
    with pytest.warns(SplitWarning, match=r"Scores lie between .* not in \[0, 1\]"):
        coco_ap(truth, logits)


@pytest.mark.parametrize("score", [detection_metrics, confusion_matrix, evaluate])
def test_a_threshold_in_per_cent_is_refused(score: Callable[..., Any]) -> None:
    truth, found = truth_and_boxes()
    with pytest.raises(SettingError, match=r"must not be above 1.* got 30\. For 30 % write 0\.3\."):
        score(truth, detections(found), score_threshold=30)
    with pytest.raises(SettingError, match=r"must be a number, got '0\.3'"):
        score(truth, detections(found), score_threshold="0.3")


SCORERS: dict[str, Callable[..., Any]] = {
    "coco_ap": coco_ap,
    "precision_recall_curve": precision_recall_curve,
    "detection_metrics": detection_metrics,
    "matched_metrics": matched_metrics,
    "match_pairs": match_pairs,
    "confusion_matrix": confusion_matrix,
    "error_types": error_types,
    "evaluate": lambda *pair, **more: evaluate(*pair, chance_repeats=0, **more),
    "bootstrap": lambda *pair, **more: bootstrap(*pair, metrics="f1", n_replicates=10, **more),
    "evaluate_variants": lambda truth, found, **more: evaluate_variants(
        truth, {"a": found}, metrics="f1", **more
    ),
}


@pytest.mark.parametrize("name", SCORERS)
def test_every_scorer_looks_once_and_can_be_told_not_to(name: str) -> None:
    truth, found = truth_and_boxes()
    wrong, score = detections(found, as_xywh), SCORERS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        score(truth, detections(found, as_xywh), check=False)
        score(truth, detections(found))
    with pytest.warns(SplitWarning, match="xywh_to_xyxy") as caught:
        score(truth, wrong)
    assert Path(caught[0].filename).name == Path(__file__).name, "the line of the caller is named"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for other in SCORERS.values():
            other(truth, wrong)  # told already


@pytest.mark.parametrize("seed", range(12))
def test_nothing_is_told_of_detectors_good_or_poor(seed: int) -> None:
    for noise, hit in ((1, 1.0), (8, 0.8), (15, 0.5)):
        truth, found = truth_and_boxes(seed, noise, hit)
        assert check_split(truth, detections(found)) == (), (noise, hit)
    for noise, hit in ((25, 0.3), (40, 0.2), (0, 0.0)):  # next to nothing fits: another split is thought of
        truth, found = truth_and_boxes(seed, noise, hit)
        told = check_split(truth, detections(found))
        assert all("no better than another image's" in text for text in told)


def test_the_wrong_order_is_told_of() -> None:
    truth, found = truth_and_boxes()
    for score in SCORERS.values():
        if score is not SCORERS["evaluate_variants"]:
            with pytest.raises(DetectionError, match="must come before `detections`"):
                score(detections(found), truth)


@pytest.mark.parametrize("wrong", [None, 3, [[1, 2, 3, 4]], [(np.zeros((0, 4)), [], [])], object(), {"a": 1}])
def test_other_things_are_refused_in_a_sentence(wrong: Any) -> None:
    truth, found = truth_and_boxes()
    with pytest.raises(DetectionError, match="`detections` must be Detections, or a COCO results file"):
        coco_ap(truth, wrong)
    with pytest.raises(TruthError):
        coco_ap(wrong, detections(found))


def test_files_are_read(tmp_path: Path) -> None:
    truth, found = truth_and_boxes()
    gt, dt = tmp_path / "gt.json", tmp_path / "dt.json"
    gt.write_text(json.dumps(truth.to_coco()))
    dt.write_text(json.dumps(detections(found).to_results()))
    wanted = evaluate(truth, detections(found), chance_repeats=0)
    assert repr(evaluate(str(gt), str(dt), chance_repeats=0).ap) == repr(wanted.ap)
    read = coco_ap(json.loads(gt.read_text()), json.loads(dt.read_text()))
    assert repr(read) == repr(coco_ap(truth, detections(found)))


def test_sizes_belong_to_boxes() -> None:
    _, found = truth_and_boxes()
    good = detections(found)
    with pytest.raises(
        DetectionError, match=r"`sizes` row 0 must be width and height of `boxes` row 0.*`scaled`"
    ):
        replace(good, boxes=good.boxes * 2)
    twice = good.scaled(2)
    np.testing.assert_allclose(twice.sizes, twice.boxes[:, 2:] - twice.boxes[:, :2])
    per_image = good.scaled(np.linspace(1, 2, N_IMAGES))
    factor = np.linspace(1, 2, N_IMAGES)[good.image_index][:, None]
    np.testing.assert_allclose(per_image.boxes, good.boxes * factor)
    for wrong, told in ((0, "positive"), (np.nan, "positive"), ([1, 2, 3], "of shape")):
        with pytest.raises(DetectionError, match=told):
            good.scaled(wrong)


@pytest.mark.parametrize("key", ["neg_category_ids", "not_exhaustive_category_ids"])
def test_federated_truth_is_refused(key: str) -> None:
    truth, _ = truth_and_boxes()
    content = truth.to_coco()
    content["images"][3][key] = [3]
    with pytest.raises(TruthError, match=r"federated truth, as of LVIS.*Use the `lvis` package"):
        GroundTruth.from_coco(content)
    content["images"][3][key] = []
    assert GroundTruth.from_coco(content).n_images == N_IMAGES


def test_results_of_masks_are_not_scored_as_boxes_without_a_word() -> None:
    truth, found = truth_and_boxes()
    rows = detections(found).to_results()
    masks = [{**row, "segmentation": {"size": [480, 640], "counts": "x"}} for row in rows]
    assert "boxes are scored, not the masks" in Detections.from_results(masks, truth).notes[0]
    full = {"size": [480, 640], "counts": [0, 480 * 640]}
    bare = [{**{key: row[key] for key in row if key != "bbox"}, "segmentation": full} for row in masks]
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        given = Detections.from_results(bare, truth)
        coco_ap(truth, given, iou_type="bbox")
        detection_metrics(truth, given)
    assert sum("Score masks by `iou_type='segm'`" in str(one.message) for one in told) == 1


def test_pycocotools_in_threads_leaves_the_output_alone() -> None:
    truth, found = truth_and_boxes()
    before, given = sys.stdout, detections(found)
    threads = [
        threading.Thread(target=coco_ap, args=(truth, given), kwargs={"backend": "pycocotools"})
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sys.stdout is before


def test_one_metric_may_be_given_by_itself() -> None:
    truth, found = truth_and_boxes()
    (result,) = bootstrap(truth, detections(found), metrics="AP50", n_replicates=20)
    assert result.metric == "AP50"
    with pytest.raises(SettingError, match=r"Near matches: .*'AP50'"):
        bootstrap(truth, detections(found), metrics="AP5")
