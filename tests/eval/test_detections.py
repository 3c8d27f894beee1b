from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest

from dissect_eval import (
    BoxError,
    CategoryError,
    DetectionError,
    Detections,
    GroundTruth,
    SettingError,
    SplitWarning,
    check_split,
    label_to_category,
)


def hit(image=1, category=1, bbox=(1, 2, 3, 4), score=0.5, **more):
    return {"image_id": image, "category_id": category, "bbox": list(bbox), "score": score, **more}


@pytest.fixture
def truth(truth_of):
    return truth_of({1: [(1, 0, 0, 10, 10)], 2: [(2, 0, 0, 10, 10)]})


def test_from_results(truth):
    found = Detections.from_results([hit(2), hit(1), hit("2", 2.0, score=0.25)], truth)
    assert found.image_ids.tolist() == [1, 2]
    assert found.image_splits.tolist() == [0, 1, 3]
    assert found.category_ids.tolist() == [1, 1, 2]
    assert found.scores.tolist() == [0.5, 0.5, 0.25]
    assert found.boxes[0].tolist() == [1, 2, 4, 6]


def test_no_results(truth):
    found = Detections.from_results([], truth)
    assert (found.n_images, found.n_boxes) == (2, 0)
    assert found.to_results() == []


def test_results_round_trip(golden):
    for gt, dt in (
        ("medical_waste/test_gt.json", "medical_waste/dt.json"),
        (
            "cocoapi_fakebbox100/instances_val2014_100.json",
            "cocoapi_fakebbox100/instances_val2014_fakebbox100_results.json",
        ),
    ):
        results = json.loads(golden(dt).read_text())
        found = Detections.from_results(golden(dt), GroundTruth.from_coco(golden(gt)))
        key = lambda r: json.dumps(r, sort_keys=True)  # noqa: E731
        as_float = [{**r, "bbox": [float(v) for v in r["bbox"]]} for r in results]
        assert sorted(found.to_results(), key=key) == sorted(as_float, key=key)


@pytest.mark.parametrize(
    ("record", "match"),
    [
        (hit(score=float("nan")), r"detection 1 \(image 1\): `score` must be a finite number, got nan"),
        (hit(score=float("inf")), r"detection 1 \(image 1\): `score` must be a finite number, got inf"),
        (hit(score=None), r"detection 1 \(image 1\): `score` must be a finite number, got None"),
        (hit(bbox=(0, float("nan"), 1, 1)), r"detection 1 \(image 1\): `bbox` must be 4 finite numbers"),
        (hit(bbox=(0, 1)), r"detection 1 \(image 1\): `bbox` must be 4 finite numbers"),
        (hit(image="x"), r"detection 1 \(image 'x'\): `image_id` must be an integer"),
        (hit(category=None), r"`category_id` must be an integer.*got None"),
        (
            hit(image=9),
            r"detection 1 \(image 9\): the image id must be one of the ground truth's, got 9.*on_unknown",
        ),
        (
            hit(category=9),
            r"detection 1 \(image 1\): the category id must be one .* got 9 \(1 such detections\)",
        ),
        ("x", r"detection 1 must be an object"),
    ],
)
def test_bad_result(truth, record, match):
    with pytest.raises(DetectionError, match=match):
        Detections.from_results([hit(), record], truth)


def test_unknown_can_be_dropped(truth):
    found = Detections.from_results([hit(), hit(9), hit(category=9)], truth, on_unknown="drop")
    assert (found.n_boxes, found.n_dropped) == (1, 2)
    with pytest.raises(SettingError, match="`on_unknown` must be 'error' or 'drop', got 'x'"):
        Detections.from_results([], truth, on_unknown="x")


def test_bad_results_files(truth, tmp_path):
    with pytest.raises(DetectionError, match="Cannot read the results file"):
        Detections.from_results(tmp_path / "none.json", truth)
    (tmp_path / "cut.json").write_text("[{")
    with pytest.raises(DetectionError, match=r"results file .*cut\.json' is not valid JSON"):
        Detections.from_results(tmp_path / "cut.json", truth)
    with pytest.raises(DetectionError, match=r"must be a list of .*, got dict"):
        Detections.from_results({"annotations": []}, truth)


def test_negative_size_becomes_a_point(truth):
    found = Detections.from_results([hit(bbox=(60, 60, -50, -50)), hit(bbox=(5, 6, -1, 9)), hit()], truth)
    assert found.n_negative == 2
    assert found.boxes[:2].tolist() == [[60, 60, 60, 60], [5, 6, 5, 6]]
    assert found.sizes[:2].tolist() == [[0, 0], [0, 0]]
    arrays = Detections.from_arrays([([[5, 5, 2, 9]], [0.5], [0])], [1], [1])
    assert arrays.boxes.tolist() == [[5, 5, 5, 5]]
    assert arrays.n_negative == 1


def test_from_arrays_sorts_images():
    empty = (np.zeros((0, 4), dtype=np.float32), [], [])
    found = Detections.from_arrays(
        [(np.float32([[0, 0, 1, 1]]), np.float32([0.5]), np.array([1])), empty, ([[1, 1, 2, 2]], [1], [0])],
        [9, 3, 5],
        [10, 20],
    )
    assert found.image_ids.tolist() == [3, 5, 9]
    assert found.image_splits.tolist() == [0, 0, 1, 2]
    assert found.category_ids.tolist() == [10, 20]
    assert found.boxes.dtype == np.float64
    assert Detections.from_arrays([], [], []).n_boxes == 0
    assert Detections.from_arrays([([], [], [])], [1], []).n_images == 1


@pytest.mark.parametrize(
    ("arrays", "match"),
    [
        (([[0, 0, 1, float("nan")]], [0.5], [0]), r"Image 4: detection 0 must be finite.*diverge"),
        (([[0, 0, 1, 1]], [float("inf")], [0]), r"Image 4: detection 0 must be finite"),
        (([[0, 0, 1, 1]], [0.5], [2]), r"Image 4: label must be an index .*\(0 to 1\), got 2"),
        (([[0, 0, 1, 1]], [0.5], [-1]), r"Image 4: label must be an index .* got -1"),
        (([[0, 0, 1, 1]], [0.5], [0.0]), r"Image 4: boxes, scores and labels must be numbers"),
        (([[0, 0, 1, 1]], [0.5, 0.4], [0]), r"Image 4: .* shapes \(n, 4\), \(n,\) and \(n,\)"),
        (([[0, 0, 1]], [0.5], [0]), r"Image 4: .*got \(1, 3\)"),
    ],
)
def test_bad_arrays(arrays, match):
    with pytest.raises(DetectionError, match=match):
        Detections.from_arrays([arrays], [4], [1, 2])


def test_bad_image_ids():
    nothing = ([], [], [])
    with pytest.raises(DetectionError, match="unique, but these occur more than once: 4"):
        Detections.from_arrays([nothing] * 2, [4, 4], [])
    with pytest.raises(DetectionError, match="of one length, got 1 and 2"):
        Detections.from_arrays([nothing], [4, 5], [])


def test_constructor_checks():
    from dataclasses import replace

    found = Detections.from_arrays([([[0, 0, 1, 1]], [0.5], [0])], [4], [1])
    with pytest.raises(DetectionError, match="`scores` row 0 must be finite"):
        replace(found, scores=[np.nan])
    with pytest.raises(BoxError, match="row 0"):
        replace(found, boxes=[[1, 1, 0, 0]])
    with pytest.raises(DetectionError, match="`scores` must have shape"):
        replace(found, scores=[1, 2])
    with pytest.raises(DetectionError, match="`image_splits`"):
        replace(found, image_splits=[0, 0])
    with pytest.raises(ValueError, match="read-only"):
        found.scores[0] = 1


def test_alignment(truth):
    found = Detections.from_arrays([([[0, 0, 1, 1]], [0.5], [0])], [2], [1])
    aligned = found.aligned_to(truth)
    assert aligned.image_ids.tolist() == [1, 2]
    assert aligned.image_splits.tolist() == [0, 0, 1]
    assert aligned.aligned_to(truth) is aligned
    stranger = Detections.from_arrays([([[0, 0, 1, 1]], [0.5], [0])], [5], [1])
    with pytest.raises(DetectionError, match="the image id must be one of"):
        stranger.aligned_to(truth)
    assert stranger.aligned_to(truth, "drop").n_dropped == 1


def test_subset_and_above(truth):
    found = Detections.from_results([hit(1, score=0.9), hit(2, score=0.1), hit(2, score=0.5)], truth)
    assert found.subset([2]).scores.tolist() == [0.1, 0.5]
    assert found.above(0.5).image_splits.tolist() == [0, 1, 2]
    with pytest.raises(DetectionError, match="got 5"):
        found.subset([5])


def test_labels_go_through_names(golden):
    truth = GroundTruth.from_coco(golden("coco_tiny80/instances_val2017_80.json"))
    names = list(truth.category_names.values())
    mapping = label_to_category(truth, names)
    assert len(mapping) == 80
    assert mapping[-1] == 90
    assert mapping[names.index("traffic light")] == 10
    with pytest.raises(
        CategoryError, match=r"Not in the ground truth: 'Blood bag'.*Not in the detector: 'airplane', "
    ):
        label_to_category(truth, ["Blood bag"])


def test_label_errors_name_both_sides(truth_of):
    truth = truth_of({1: [(1, 0, 0, 1, 1)]}, categories={1: "tv monitor", 2: "unused"})
    assert label_to_category(truth, ["tv monitor"]).tolist() == [1]
    with pytest.raises(
        CategoryError, match=r"'tvmonitor' \('tvmonitor' may be 'tv monitor'\).*Not in the detector"
    ):
        label_to_category(truth, ["tvmonitor"])
    with pytest.raises(CategoryError, match="in the detector's `class_names` these repeat: 'tv monitor'"):
        label_to_category(truth, ["tv monitor", "tv monitor"])
    with pytest.raises(CategoryError, match="sequence of names"):
        label_to_category(truth, "tv monitor")
    twice = truth_of({1: []}, categories={1: "a", 2: "a"})
    with pytest.raises(CategoryError, match="in the ground truth's categories these repeat"):
        label_to_category(twice, [])


def many_images(n=12):
    rng = np.random.default_rng(1)
    return {i: [(1, *rng.uniform(0, 70, 2).round(), 20, 20) for _ in range(3)] for i in range(n)}


def results_of(boxes, shift=0):
    n = len(boxes)
    return [hit((i + shift) % n, c, b) for i, rows in boxes.items() for c, *b in rows]


def test_another_split_is_noticed(truth_of):
    boxes = many_images()
    truth = truth_of(boxes)
    assert check_split(truth, Detections.from_results(results_of(boxes), truth)) == ()
    (reason,) = check_split(truth, Detections.from_results(results_of(boxes, shift=5), truth))
    assert "no better than another image's" in reason


def test_images_without_detections_are_noticed(truth_of):
    boxes = many_images()
    truth = truth_of(boxes)
    half = [r for r in results_of(boxes) if r["image_id"] < 6]
    with pytest.warns(
        SplitWarning, match=r"right annotation file\? 6 of 12 images with truth have no detection"
    ) as seen:
        found = Detections.from_results(half, truth)
    assert found.notes
    assert Path(seen[0].filename).name == Path(__file__).name
    known = Detections.from_arrays([([], [], [])] * 6, range(6), [])
    assert check_split(truth, known) == ("6 of 12 images were not run; score a part with `truth.subset`.",)


def test_boxes_outside_the_image_are_noticed(truth_of):
    boxes = many_images()
    truth = truth_of(boxes)
    far = [{**r, "bbox": [x + 60, y, w, h]} for r in results_of(boxes) for x, y, w, h in [r["bbox"]]]
    with pytest.warns(SplitWarning, match="stick out of their image"):
        Detections.from_results(far, truth)
    small = [{**r, "bbox": [v / 100 for v in r["bbox"]]} for r in results_of(boxes)]
    with pytest.warns(SplitWarning, match="normalised"):
        Detections.from_results(small, truth)


def test_real_split_mix_up_is_noticed(golden):
    right = GroundTruth.from_coco(golden("medical_waste/test_gt.json"))
    wrong = GroundTruth.from_coco(golden("medical_waste/valid_gt.json"))
    found = Detections.from_results(golden("medical_waste/dt.json"), right)
    assert check_split(right, found) == ()
    with pytest.warns(SplitWarning, match="25 of 50 images"):
        mixed = Detections.from_results(golden("medical_waste/dt.json"), wrong)
    assert any("they meet 2 of 70 true boxes" in reason for reason in check_split(wrong, mixed))


def test_right_splits_pass_silently(golden):
    pairs = [
        ("padilla_review/voc_coco.json", "padilla_review/dt_coco.json"),
        (
            "cocoapi_fakebbox100/instances_val2014_100.json",
            "cocoapi_fakebbox100/instances_val2014_fakebbox100_results.json",
        ),
    ]
    for gt, dt in pairs:
        truth = GroundTruth.from_coco(golden(gt))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert check_split(truth, Detections.from_results(golden(dt), truth)) == ()
