from __future__ import annotations

import json
import math

import numpy as np
import pytest

from dissect_eval import (
    Detections,
    GroundTruth,
    SettingError as BadSetting,
    chance_level,
    match_pairs,
    matched_metrics,
)

SETS = ["cocoapi_fakebbox100", "medical_waste", "padilla_review"]


@pytest.fixture(params=SETS)
def case(request, golden):
    reference = json.loads(golden(f"{request.param}/reference_seed_metrics.json").read_text())
    truth = GroundTruth.from_coco(golden(f"{request.param}/{reference['gt_file']}"))
    return truth, Detections.from_results(golden(f"{request.param}/{reference['dt_file']}"), truth), reference


def same(ours, reference):
    assert ours.keys() == {int(key) for key in reference}
    for key, value in reference.items():
        assert ours[int(key)] == pytest.approx(value, abs=1e-12)


def test_golden_numbers(case):
    truth, found, reference = case
    result = matched_metrics(truth, found)
    assert result.mean_giou == pytest.approx(reference["mean_giou"], abs=1e-12)
    assert result.f1_weighted == pytest.approx(reference["f1_weighted_matched_only"], abs=1e-12)
    assert result.f1_micro_with_unmatched == pytest.approx(
        reference["f1_micro_counting_unmatched"], abs=1e-12
    )
    assert result.n_pairs == reference["pairs"]
    assert result.n_unmatched_truth == reference["unmatched_gt"]
    assert result.n_unmatched_detections == reference["unmatched_dt"]
    same(result.giou_per_class, reference["mean_giou_per_class"])
    same(result.f1_per_class, reference["f1_per_class_matched_only"])
    same(result.f1_per_class_with_unmatched, reference["f1_per_class_counting_unmatched"])
    legacy = result.legacy()
    assert legacy.average_giou == result.mean_giou
    assert legacy.f1_score_per_class == result.f1_per_class
    assert result.undefined == {}


def test_golden_f1_equals_scikit_learn(case):
    from sklearn.metrics import f1_score

    truth, found, _ = case
    pairs = match_pairs(truth, found)
    true, predicted = truth.category_ids[pairs.truth_index], found.category_ids[pairs.detection_index]
    expected = f1_score(true, predicted, average="weighted")
    assert matched_metrics(truth, found).f1_weighted == pytest.approx(expected, abs=1e-12)


def test_known_hole_not_monotone(golden):
    truth = GroundTruth.from_coco(golden("medical_waste/test_gt.json"))
    found = Detections.from_results(golden("medical_waste/dt.json"), truth)
    assert matched_metrics(truth, found).mean_giou == pytest.approx(0.642, abs=5e-4)
    assert matched_metrics(truth, found.above(0.5)).mean_giou == pytest.approx(0.435, abs=5e-4)


def test_crowd_and_ignored_truth_take_part(truth_of):
    truth = truth_of({1: [(1, 0, 0, 10, 10, {"iscrowd": 1}), (2, 50, 50, 10, 10, {"ignore": 1})]})
    found = Detections.from_arrays([([[0, 0, 10, 10], [50, 50, 60, 60]], [1, 1], [0, 0])], [1], [1])
    result = matched_metrics(truth, found)
    assert (result.n_pairs, result.mean_giou) == (2, 1)
    assert result.giou_per_class == {1: 1.0}
    assert result.f1_per_class == {1: pytest.approx(2 / 3), 2: 0.0}


def test_counts_of_what_is_skipped(truth_of):
    truth = truth_of({1: [(1, 0, 0, 10, 10)], 2: [], 3: [(1, 0, 0, 10, 10)]})
    found = Detections.from_arrays([([[0, 0, 10, 10]], [1], [0]), ([[0, 0, 10, 10]], [1], [0])], [1, 2], [1])
    result = matched_metrics(truth, found, check=False)  # image 3 was not run
    assert (result.n_images, result.n_images_without_truth, result.n_images_without_detections) == (3, 1, 1)
    assert (result.n_pairs, result.n_unmatched_truth, result.n_unmatched_detections) == (1, 1, 1)
    assert result.f1_weighted == 1
    assert result.f1_micro_with_unmatched == 0.5


def test_no_pair_is_undefined_but_zero_in_legacy(truth_of):
    result = matched_metrics(truth_of({1: [(1, 0, 0, 10, 10)]}), Detections.from_arrays([], [], []))
    assert math.isnan(result.mean_giou)
    assert math.isnan(result.f1_weighted)
    assert "no pair" in result.undefined["mean_giou"]
    assert result.legacy() == (0.0, {}, 0.0, {})
    assert result.f1_micro_with_unmatched == 0
    assert result.to_dict()["mean_giou"] is None
    empty = matched_metrics(truth_of({1: []}), Detections.from_arrays([], [], []))
    assert "f1_micro_with_unmatched" in empty.undefined


@pytest.mark.parametrize(("n", "expected"), [(100, 0.190), (300, 0.253)])
def test_chance_level_on_coco(golden, n, expected):
    truth = GroundTruth.from_coco(golden("cocoapi_fakebbox100/instances_val2014_100.json"))
    assert chance_level(truth, n, seed=1, repeats=2).mean_giou == pytest.approx(expected, abs=0.012)


def test_chance_level_is_seeded(truth_of):
    truth = truth_of({1: [(1, 10, 10, 40, 40)], 2: [(1, 0, 0, 90, 20)], 3: []})
    first = chance_level(truth, 20, seed=3, repeats=4)
    assert first.to_dict() == chance_level(truth, [20, 20, 20], seed=3, repeats=4).to_dict()
    assert first.per_repeat[:2] == chance_level(truth, 20, seed=3, repeats=2).per_repeat
    assert first != chance_level(truth, 20, seed=4, repeats=4)
    assert first.mean_giou == pytest.approx(np.mean(first.per_repeat))
    assert chance_level(truth, 2000).mean_giou > 0.5
    assert chance_level(truth, [0, 6, 0]).n_boxes_mean == 2


def test_chance_level_without_image_size(coco):
    content = coco({1: [(1, 10, 10, 40, 40)]})
    del content["images"][0]["width"]
    assert -1 <= chance_level(GroundTruth.from_coco(content), 5).mean_giou <= 1


def test_chance_level_undefined(truth_of):
    truth = truth_of({1: [(1, 10, 10, 40, 40)]})
    nothing = chance_level(truth, 0)
    assert math.isnan(nothing.mean_giou)
    assert nothing.undefined["mean_giou"] == "no image has both truth and boxes"
    assert nothing.to_dict()["mean_giou"] is None


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"detections": [1, 2]}, r"`detections` must be detections, one count >= 0, or 1 of them"),
        ({"detections": -1}, r"`detections` must be"),
        ({"detections": 1, "repeats": 0}, r"`repeats` must be a whole number >= 1"),
        ({"detections": 1, "seed": -1}, r"`seed` must be a whole number >= 0"),
    ],
)
def test_chance_level_bad_settings(truth_of, arguments, match):
    with pytest.raises(BadSetting, match=match):
        chance_level(truth_of({1: [(1, 10, 10, 40, 40)]}), **arguments)
