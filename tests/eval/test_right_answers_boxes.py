"""The right answers of the design's table, continued from `test_right_answers`: boxes and scores."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from dissect_eval import (
    DetectionError,
    Detections,
    GroundTruth,
    TruthError,
    detection_metrics,
    matched_metrics,
    pairwise_giou,
)
from reference import BOXES, HITS, MISS, THREE, ap, box, counts, hit, load, pycocotools, score, split

ONE = split([box(1, BOXES[0])])


@pytest.mark.parametrize(("side", "both"), [(32, ("small", "medium")), (96, ("medium", "large"))])
def test_area_at_a_limit_belongs_to_both_sizes(side, both):
    content, rows = split([box(1, [0, 0, side, side])]), [hit([0, 0, side, side], 0.9)]
    result = ap(content, rows)
    sizes = {"small": result.APs, "medium": result.APm, "large": result.APl}
    assert {name for name, value in sizes.items() if not math.isnan(value)} == set(both)
    assert [sizes[name] for name in both] == pytest.approx([1, 1])
    assert [detection_metrics(*load(content, rows)).by_size[name].n_true_positives for name in both] == [1, 1]


def test_iou_exactly_at_the_threshold():
    for i, percent in enumerate(range(50, 100, 5)):
        rows = [hit([0, 0, 100, percent], 0.9)]
        content = split([box(1, [0, 0, 100, 100])])
        assert score(content, rows) == pytest.approx((i + 1) / 10)
        assert counts(content, rows, iou_threshold=percent / 100) == (1, 0, 0)
    # Half of a box in the tenths of a pixel, where rounding leaves the last bit of .5 off: COCO's code refuses it.
    content, rows = split([box(1, [0.2, 0, 0.4, 1])]), [hit([0.2, 0, 0.2, 1], 0.9)]
    assert counts(content, rows) == (1, 0, 0)
    assert score(content, rows) == pycocotools(content, rows) == 0


def test_tied_scores_in_any_order():
    orders = list(itertools.permutations([hit(bbox, 0.9) for bbox in (*BOXES, MISS)]))
    assert {repr(ap(THREE, rows)) for rows in orders} == {repr(ap(THREE, orders[0]))}
    assert score(THREE, orders[0]) == pytest.approx(1)  # by coordinates: the false positive is the rightmost
    leftmost = [hit([0, 0, 20, 20], 0.9), *orders[0][:3]]
    assert score(THREE, leftmost) == score(THREE, leftmost[::-1]) == pytest.approx(3 / 4)
    theirs = [pycocotools(THREE, list(rows)) for rows in orders]
    assert len({round(value, 6) for value in theirs}) == 4  # one for each place of the false positive
    assert [score(THREE, rows, tie_break="input") for rows in orders] == theirs
    assert {counts(THREE, rows) for rows in orders[::5]} == {(3, 1, 0)}


@pytest.mark.parametrize("value", [math.nan, math.inf, None])
def test_scores_and_boxes_that_are_not_finite(value):
    with pytest.raises(DetectionError, match=r"detection 3 \(image 1\): `score` must be a finite number"):
        load(THREE, [*HITS, hit(MISS, value)])
    if value is not None:
        with pytest.raises(DetectionError, match=r"detection 3 \(image 1\): `bbox` must be 4 finite numbers"):
            load(THREE, [*HITS, hit([value, 1, 2, 3], 0.5)])
        with pytest.raises(DetectionError, match=r"Image 1: detection 0 must be finite"):
            Detections.from_arrays([([[0, 0, 1, 1]], [value], [0])], [1], [1])


def test_a_nan_score_passes_pycocotools_in_silence():
    assert pycocotools(THREE, [*HITS, hit(MISS, math.nan)]) == pytest.approx(
        1
    )  # a false positive for nothing


def test_negative_width_or_height():
    with pytest.raises(TruthError, match=r"annotation 1 of image 1: .*sizes >= 0"):
        GroundTruth.from_coco(split([box(1, [60, 60, -50, 50])]))
    for bbox in ([60, 60, -50, 50], [60, 60, -50, -50]):
        rows = [hit(bbox, 0.95), *HITS]
        assert score(THREE, rows) == pytest.approx(3 / 4)
        assert counts(THREE, rows) == (3, 1, 0)
        assert load(THREE, rows)[1].n_negative == 1
    unseen = pycocotools(THREE, [hit([60, 60, -50, 50], 0.95), *HITS])  # of no size, as its area is negative
    assert unseen == pytest.approx(1)


def test_truth_without_area():
    content = split([box(1, BOXES[0]), box(2, [5, 5, 0, 0])])
    rows = [hit([5, 5, 0, 0], 0.95), hit(BOXES[0], 0.9)]
    assert score(content, rows) == pytest.approx(51 / 101 / 2)
    assert counts(content, rows) == (1, 1, 1)
    assert detection_metrics(*load(content, rows)).n_degenerate_truth == 1


def test_real_truth_without_area(golden):
    cells = GroundTruth.from_coco(golden("bccd/bccd_coco.json"))
    assert cells.health().degenerate_annotation_ids == (3951, 4005)
    flat = np.isin(cells.annotation_ids, (3951, 4005))
    names = [cells.file_names[i] for i in cells.image_index[flat]]
    assert names == ["BloodImage_00338.jpg", "BloodImage_00343.jpg"]
    images, boxes, scores = cells.image_ids, cells.boxes, np.ones(cells.n_boxes)
    perfect = Detections(images, cells.image_splits, boxes, cells.sizes, scores, cells.category_ids)
    result = detection_metrics(cells, perfect)
    assert (result.n_true_positives, result.n_false_positives, result.n_false_negatives) == (4886, 2, 2)


def test_giou_of_identical_points():
    points = [[3, 3, 3, 3], [5, 5, 5, 5], [0, 0, 0, 9], [0, 0, 9, 9]]
    giou = pairwise_giou(points, points)
    assert not np.isnan(giou).any()
    assert np.diag(giou).tolist() == [0, 0, 0, 1]
    content = split([box(1, [3, 3, 0, 0])])
    assert matched_metrics(*load(content, [hit([3, 3, 0, 0], 0.9)])).mean_giou == 0
    assert GroundTruth.from_coco(content).health().n_degenerate == 1


def test_more_than_a_hundred_detections():
    false = [hit([400, 10 + i, 5, 5], 0.9 - i / 1000) for i in range(119)]
    late = ap(ONE, [*false, hit(BOXES[0], 0.1)])
    assert (late.AP, late.n_cut) == (0, 20)
    just = ap(ONE, [*false[:99], hit(BOXES[0], 0.1), *false[99:]])  # the 120th by score, wherever it stands
    assert (just.AP, just.n_cut) == (0, 20)
    kept = ap(ONE, [*false[:99], hit(BOXES[0], 0.1)])
    assert (kept.AP, kept.n_cut) == (pytest.approx(1 / 100), 0)
    of_two = [{**row, "category_id": 1 + i % 2} for i, row in enumerate(false)]  # COCO cuts per category
    assert ap(split(ONE["annotations"], categories=(1, 2)), of_two).n_cut == 0


def test_string_and_float_ids():
    for number in (1.0, "1"):
        content = split([box(number, BOXES[0], number, number)], images=(number,), categories=(number,))
        for rows in ([hit(BOXES[0], 0.9)], [hit(BOXES[0], 0.9, number, number)]):
            assert score(content, rows) == pytest.approx(1)
    with pytest.raises(AssertionError):
        pycocotools(content, [hit(BOXES[0], 0.9)])
    for number in (1.5, "1.5", "a.jpg", math.nan):
        with pytest.raises(TruthError, match="must be an integer"):
            GroundTruth.from_coco(split([], images=(number,)))
        with pytest.raises(DetectionError, match="must be an integer"):
            load(ONE, [hit(BOXES[0], 0.9, image=number)])


def test_no_pixel_is_added():
    content, rows = split([box(1, [0, 0, 2, 2])]), [hit([0, 0, 2, 1], 0.9)]
    assert score(content, rows) == pytest.approx(1 / 10)  # IoU 1/2; with + 1 it would be 6/9, and AP 4/10
    assert counts(content, rows, iou_threshold=0.5) == (1, 0, 0)
    assert counts(content, rows, iou_threshold=0.51) == (0, 1, 1)
    assert pairwise_giou([[0, 0, 2, 2]], [[0, 0, 2, 1]])[0, 0] == 1 / 2
