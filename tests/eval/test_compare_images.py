"""The table of images against `detection_metrics` and TIDE on each image by itself."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from dissect_eval import DetectionError, Detections, GroundTruth, SettingError, detection_metrics, error_types
from dissect_eval.compare import compare_images
from reference import HITS, THREE, box, hit, load, split

KINDS = {"Cls": "of_wrong_class", "Loc": "badly_placed", "Both": "wrong_class_and_place", "Dupe": "duplicate"}
KINDS |= {"Bkg": "background"}


def problem(seed):
    rng = np.random.default_rng(seed)
    boxes, found = [], ([], [])
    for image in range(1, 9):
        for _ in range(rng.integers(6)):
            bbox, category = [*rng.uniform(0, 350, 2), *rng.uniform(20, 80, 2)], int(rng.integers(1, 4))
            boxes.append(box(len(boxes) + 1, bbox, category, image, iscrowd=int(rng.random() < 0.15)))
            for rows, noise in zip(found, (4, 9), strict=True):
                for _ in range(rng.integers(3)):
                    near = (np.array(bbox) + rng.normal(0, noise, 4)).tolist()
                    other = category if rng.random() < 0.8 else int(rng.integers(1, 4))
                    rows.append(hit(near, float(rng.uniform(0.2, 1)), other, image))
        for rows in found:
            rows.append(hit([*rng.uniform(400, 450, 2), 20, 20], 0.5, 1, image))
    truth = GroundTruth.from_coco(split(boxes, range(1, 9), range(1, 4)))
    return truth, *(Detections.from_results(rows, truth) for rows in found)


@pytest.mark.parametrize("seed", range(15))
def test_equals_each_image_by_itself(seed):
    truth, before, after = problem(seed)
    table = compare_images(truth, before, after, score_threshold=(0.3, 0.4), check=False)
    assert sorted(row.image_id for row in table) == truth.image_ids.tolist()
    assert [row.change for row in table] == sorted((row.change for row in table), reverse=True)
    for row in table:
        part = truth.subset([row.image_id])
        results, kinds = [], []
        for found, score in ((before, 0.3), (after, 0.4)):
            one = found.subset([row.image_id])
            results.append(detection_metrics(part, one, score_threshold=score, check=False))
            kinds.append(error_types(part, one.above(score), check=False).counts)
        errors = [r.n_false_positives + r.n_false_negatives for r in results]
        assert [row.errors_before, row.errors_after] == errors
        assert row.change == errors[1] - errors[0]
        assert [row.f1_before, row.f1_after] == pytest.approx([r.micro.f1 for r in results], nan_ok=True)
        assert row.n_truth == results[0].n_truth
        assert (
            row.missed == results[1].n_false_negatives - results[0].n_false_negatives == row.lost - row.gained
        )
        for kind, name in KINDS.items():
            assert getattr(row, name) == kinds[1][kind] - kinds[0][kind]
        assert (row.reason != "") >= (row.change > 0)


def test_by_what():
    truth = GroundTruth.from_arrays(
        [([[0, 0, 10, 10], [50, 0, 60, 10], [80, 0, 90, 10]], [1, 2, 2])] * 2, [5, 3], {1: "cat", 2: "dog"}
    )
    whole = [[0, 0, 10, 10], [50, 0, 60, 10], [80, 0, 90, 10]], [0.9] * 3, [0, 1, 1]
    moved = [[0, 0, 10, 8], [50, 0, 60, 10], [80, 0, 90, 10]], [0.9] * 3, [0, 1, 1]
    broken = [[0, 0, 10, 10], [50, 0, 60, 10], [200, 0, 210, 10]], [0.9] * 3, [0, 0, 1]
    before = Detections.from_arrays([whole, whole], [5, 3], [1, 2])
    table = compare_images(truth, before, Detections.from_arrays([moved, broken], [5, 3], [1, 2]))
    first, second = table
    assert (first.image_id, first.change, first.worst_class) == (3, 4, "dog")
    assert first.reason == "2 more missed (dog), 1 more of a wrong class, 1 more on the background"
    assert (second.change, second.iou_change) == (0, pytest.approx(-0.2 / 3))
    assert second.reason == "IoU -0.067"
    assert table.to_dicts()[0]["image_id"] == 3
    json.dumps(table.to_dicts())
    assert table.to_pandas().image_id.tolist() == [3, 5]
    by_f1 = compare_images(truth, before, before, order_by="f1")
    assert [row.reason for row in by_f1] == ["", ""]
    assert [row.image_id for row in by_f1] == [3, 5]


def test_another_box_of_the_class_may_be_lost_where_no_more_are_missed():
    truth = GroundTruth.from_arrays([([[0, 0, 10, 10], [50, 0, 60, 10]], [1, 1])], [1], {1: "cat"})
    one, other = (Detections.from_arrays([([b], [0.9], [0])], [1], [1]) for b in truth.boxes)
    (row,) = compare_images(truth, one, other)
    assert (row.change, row.lost, row.gained, row.reason) == (0, 1, 1, "others missed (cat)")


def test_images_that_one_has_not_seen_are_left_out():
    truth, before, after = problem(1)
    table = compare_images(truth, before, after.subset([2, 3]), check=False)
    assert (len(table), table.n_left_out) == (2, 6)


def test_images_without_anything():
    truth = GroundTruth.from_coco(split([], (1, 2)))
    nothing = Detections.from_results([], truth)
    table = compare_images(truth, nothing, nothing)
    assert [row.change for row in table] == [0, 0]
    assert math.isnan(table[0].f1_before)
    assert table.to_dicts()[0]["f1_before"] is None


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"iou_threshold": 2}, "`iou_threshold` must be in"),
        ({"background": 0.6}, "`background` must be above 0 and under `iou_threshold`, 0.5, got 0.6"),
        ({"order_by": "ap"}, "`order_by` must be 'errors' or 'f1', got 'ap'"),
        ({"score_threshold": (0.1, 0.2, 0.3)}, "`score_threshold` must be one number or two"),
        ({"score_threshold": 30}, "`score_threshold` must not be above 1"),
    ],
)
def test_bad_settings(settings, match):
    truth, found = load(THREE, HITS)
    with pytest.raises(SettingError, match=match):
        compare_images(truth, found, found, **settings)
    with pytest.raises(DetectionError, match="`detections` must be Detections"):
        compare_images(truth, found, 3)
