from __future__ import annotations

import json
import warnings

import pytest

from dissect_eval import DetectionError, Detections, GroundTruth, SplitWarning, evaluate


def test_everything_in_one_call(golden):
    truth = GroundTruth.from_coco(golden("medical_waste/test_gt.json"))
    result = evaluate(truth, Detections.from_results(golden("medical_waste/dt.json"), truth))
    assert pytest.approx(0.2172, abs=5e-5) == result.ap.AP
    assert result.matched.mean_giou == pytest.approx(0.6424162041415311, abs=1e-12)
    assert result.detection.micro.f1 < result.matched.f1_weighted
    assert -0.2 < result.chance.mean_giou < result.matched.mean_giou
    assert result.detections.n_detections == 1922
    assert result.truth.n_boxes == 140
    assert result.warnings == ()
    again = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert again["ap"]["per_class"]["0"] is None
    assert again["category_names"]["2"] == "Mask"
    assert again["detection"]["per_class"]["1"]["n_truth"] > 0


def test_wrong_split_warns_and_is_recorded(golden):
    truth = GroundTruth.from_coco(golden("medical_waste/valid_gt.json"))
    with pytest.warns(SplitWarning):
        found = Detections.from_results(golden("medical_waste/dt.json"), truth)
    with pytest.warns(SplitWarning, match="may not be what is meant.*2 of 70 true boxes"):
        result = evaluate(truth, found, chance_repeats=0, ap=False)
    assert len(result.warnings) == 2, "that of the reader, which has warned already, is among them"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert evaluate(truth, found, chance_repeats=0, ap=False, check=False).warnings == ()


def test_parts_can_be_left_out(truth_of):
    truth = truth_of({1: [(1, 0, 0, 10, 10)]})
    result = evaluate(truth, Detections.from_results([], truth), ap=False, chance_repeats=0)
    assert result.ap is None
    assert result.chance is None
    assert result.to_dict()["ap"] is None


def test_dead_detector(truth_of):
    truth = truth_of({1: [(1, 0, 0, 10, 10)]})
    result = evaluate(truth, Detections.from_results([], truth))
    assert (result.ap.AP, result.detection.micro.f1) == (0, 0)
    assert result.chance.undefined
    json.dumps(result.to_dict(), allow_nan=False)


def test_counts_of_odd_detections(truth_of):
    truth = truth_of({1: [(1, 0, 0, 10, 10)], 2: []})
    rows = [
        ([0, 0, 9, 9], 1),
        ([0, 0, 9, 9], 1),
        ([0, 0, 9, 9], 2),
        ([5, 5, -1, 2], 1),
        ([5, 5, 0, 2], 1),
        ([0, 0, 1, 1], 9),
    ]
    found = Detections.from_results(
        [{"image_id": 1, "category_id": c, "bbox": b, "score": 0.5} for b, c in rows],
        truth,
        on_unknown="drop",
    )
    counts = evaluate(truth, found).detections
    assert (counts.n_detections, counts.n_dropped, counts.n_duplicate) == (5, 1, 1)
    assert (counts.n_degenerate, counts.n_negative, counts.n_images_without_detections) == (2, 1, 1)


def test_images_not_run_are_counted_and_warned_of(truth_of):
    truth = truth_of({1: [(1, 0, 0, 10, 10)], 2: [(1, 0, 0, 10, 10)]})
    found = Detections.from_arrays([([[0, 0, 10, 10]], [1], [0])], [1], [1])
    with pytest.warns(SplitWarning, match="1 of 2 images were not run"):
        result = evaluate(truth, found)
    assert result.detections.n_images_not_run == 1
    assert evaluate(truth.subset(found.image_ids), found).detection.micro.recall == 1


def test_unknown_category(truth_of):
    truth = truth_of({1: [(1, 0, 0, 10, 10)]})
    found = Detections.from_arrays([([[0, 0, 10, 10]], [1], [0])], [1], [77])
    with pytest.raises(DetectionError, match="category id must be one of the ground truth's, got 77"):
        evaluate(truth, found)
    assert evaluate(truth, found, on_unknown="drop").detections.n_dropped == 1
