from __future__ import annotations

import contextlib
import io
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from dissect_eval import Detections, GroundTruth, SettingError, detection_metrics


def found_of(rows, images=(1,)):
    """Detections from `{image: [(category, x, y, w, h, score)]}` rows or one image's rows."""
    rows = rows if isinstance(rows, dict) else {images[0]: rows}
    arrays = [
        (
            [[x, y, x + w, y + h] for _, x, y, w, h, _ in items],
            [item[-1] for item in items],
            np.array([item[0] for item in items], dtype=int),
        )
        for items in rows.values()
    ]
    return Detections.from_arrays(arrays, list(rows), range(10))


def counts(result):
    return result.n_true_positives, result.n_false_positives, result.n_false_negatives


def test_hand_computed(truth_of):
    truth = truth_of({1: [(1, 0, 0, 10, 10), (1, 20, 0, 10, 10), (2, 40, 0, 10, 10)], 2: []})
    found = found_of(
        {
            1: [
                (1, 0, 0, 10, 8, 0.9),
                (1, 0, 0, 10, 10, 0.8),
                (1, 40, 0, 10, 10, 0.7),
                (2, 40, 0, 10, 10, 0.2),
            ],
            2: [(2, 0, 0, 5, 5, 0.6)],
        }
    )
    result = detection_metrics(truth, found)
    assert counts(result) == (1, 3, 2)  # the better score takes the box, the better overlap comes too late
    assert result.n_below_score == 1
    assert (result.micro.precision, result.micro.recall) == (0.25, pytest.approx(1 / 3))
    assert result.micro.f1 == pytest.approx(2 / 7)
    assert result.mean_giou == pytest.approx(0.8)
    cat, dog = result.per_class[1], result.per_class[2]
    assert (cat.n_truth, cat.n_detections, cat.n_true_positives) == (2, 3, 1)
    assert (cat.precision, cat.recall, cat.f1) == (pytest.approx(1 / 3), 0.5, pytest.approx(0.4))
    assert (dog.precision, dog.recall, dog.f1) == (0, 0, 0)
    assert math.isnan(dog.mean_giou)
    assert result.macro.f1 == pytest.approx(0.2)
    assert result.weighted.f1 == pytest.approx(0.4 * 2 / 3)
    assert (result.iou_threshold, result.score_threshold) == (0.5, 0.3)
    assert detection_metrics(truth, found, score_threshold=0.1).n_true_positives == 2


@pytest.mark.parametrize(("height", "hits"), [(5, 1), (4.999, 0)])
def test_iou_at_the_threshold_is_a_hit(truth_of, height, hits):
    truth = truth_of({1: [(1, 0, 0, 10, 10)]})
    assert detection_metrics(truth, found_of([(1, 0, 0, 10, height, 1)])).n_true_positives == hits


def test_iou_at_a_threshold_that_rounding_misses(truth_of):
    truth = truth_of({1: [(1, 0.1, 0.1, 0.7, 1.0)]})
    found = found_of([(1, 0.1, 0.1, 0.7, 0.6, 1)])
    assert detection_metrics(truth, found, iou_threshold=0.6).n_true_positives == 1


def test_score_at_the_cut_counts(truth_of):
    truth = truth_of({1: [(1, 0, 0, 10, 10)]})
    assert detection_metrics(truth, found_of([(1, 0, 0, 10, 10, 0.3)])).n_true_positives == 1


def test_crowd_excuses_any_number(truth_of):
    crowd = {"iscrowd": 1}
    truth = truth_of({1: [(1, 0, 0, 10, 10), (1, 40, 40, 50, 50, crowd), (2, 0, 40, 30, 30, {"ignore": 1})]})
    inside = [(1, 42 + i, 42, 10, 10, 0.9) for i in range(5)]
    other_class, half_out = (2, 42, 42, 10, 10, 0.9), (1, 36, 42, 10, 10, 0.9)
    ignored, mostly_out = (2, 2, 42, 5, 5, 0.9), (1, 32, 42, 10, 10, 0.9)
    hit = (1, 0, 0, 10, 10, 0.4)
    result = detection_metrics(truth, found_of([*inside, other_class, half_out, ignored, mostly_out, hit]))
    assert counts(result) == (1, 2, 0)
    assert (result.n_excused, result.n_regions, result.n_truth) == (7, 2, 1)
    assert result.per_class[2].n_truth == 0


def test_truth_inside_a_crowd_is_preferred(truth_of):
    truth = truth_of({1: [(1, 0, 0, 90, 90, {"iscrowd": 1}), (1, 10, 10, 10, 10)]})
    result = detection_metrics(truth, found_of([(1, 10, 10, 10, 10, 0.5), (1, 10, 10, 10, 9, 0.4)]))
    assert (counts(result), result.n_excused) == ((1, 0, 0), 1)


def test_boxes_without_area_match_nothing(truth_of):
    truth = truth_of({1: [(1, 5, 5, 0, 0)]})
    result = detection_metrics(truth, found_of([(1, 5, 5, 0, 0, 0.9)]))
    assert counts(result) == (0, 1, 1)
    assert result.n_degenerate_truth == 1


def test_negative_size_is_one_false_positive(truth_of):
    truth = truth_of({1: [(1, 10, 10, 50, 50)]})
    bad = {"image_id": 1, "category_id": 1, "bbox": [60, 60, -50, -50], "score": 0.9}
    result = detection_metrics(truth, Detections.from_results([bad], truth))
    assert counts(result) == (0, 1, 1)


def test_no_detections(truth_of):
    result = detection_metrics(truth_of({1: [(1, 0, 0, 10, 10)]}), Detections.from_arrays([], [], []))
    assert (result.micro.recall, result.micro.f1, counts(result)) == (0, 0, (0, 0, 1))
    assert math.isnan(result.micro.precision)
    assert result.undefined["micro.precision"] == "no detection at or above the score cut"
    assert result.undefined["mean_giou"] == "no true positive"
    assert result.n_images_without_detections == 1


def test_no_truth(truth_of):
    result = detection_metrics(truth_of({1: []}), found_of([(1, 0, 0, 10, 10, 0.9)]))
    assert (result.micro.precision, result.micro.f1, counts(result)) == (0, 0, (0, 1, 0))
    assert math.isnan(result.micro.recall)
    assert result.undefined["micro.recall"] == "no truth to be found"
    assert "weighted.f1" in result.undefined
    nothing = detection_metrics(truth_of({1: []}), found_of({1: []}))
    assert "no truth to be found, and no detection" in nothing.undefined["micro.f1"]
    assert nothing.to_dict()["micro"] == {"precision": None, "recall": None, "f1": None}
    assert all(key.split(".")[0] in nothing.to_dict() for key in nothing.undefined)


def test_every_nan_has_a_reason(truth_of):
    for truth in (truth_of({1: []}), truth_of({1: [(1, 0, 0, 10, 10)]})):
        for found in (found_of({1: []}), found_of([(2, 0, 0, 10, 10, 0.9)])):
            result = detection_metrics(truth, found)
            for kind in ("micro", "macro", "weighted"):
                for name in ("precision", "recall", "f1"):
                    undefined = math.isnan(getattr(getattr(result, kind), name))
                    assert undefined == (f"{kind}.{name}" in result.undefined)


def test_macro_means_say_what_they_leave_out(truth_of):
    truth = truth_of({1: [(1, 0, 0, 10, 10)]})
    result = detection_metrics(truth, found_of([(1, 0, 0, 10, 10, 0.9)]))
    assert result.macro.f1 == 1
    assert "Macro f1 is over 1 of 2 categories, the others are undefined." in result.notes


row = st.tuples(st.integers(1, 2), st.integers(0, 3), st.integers(0, 3), st.integers(0, 4), st.integers(0, 4))


@settings(max_examples=60)
@given(
    st.lists(st.tuples(row, st.booleans()), max_size=5),
    st.lists(st.tuples(row, st.sampled_from([0.2, 0.5, 0.9])), max_size=8),
    st.randoms(use_true_random=False),
)
def test_order_does_not_matter(coco, truths, detections, random):
    def run():
        truth = coco({1: [(*box, {"iscrowd": int(crowd)}) for box, crowd in truths]})
        return detection_metrics(GroundTruth.from_coco(truth), found_of([(*b, s) for b, s in detections]))

    first = run()
    random.shuffle(truths)
    random.shuffle(detections)
    assert repr(run()) == repr(first)


@settings(max_examples=60)
@given(
    st.lists(st.tuples(row, st.booleans()), min_size=1, max_size=6),
    st.lists(row, min_size=1, max_size=8),
    st.sampled_from([0.5, 0.6, 0.75]),
    st.integers(0, 2**32),
)
def test_counts_equal_pycocotools(coco, truths, detections, threshold, seed):
    """Scores are distinct, and boxes are shaken so that no IoUs are tied."""
    rng = np.random.default_rng(seed)

    def shake(box):
        return (box[0], *(np.array(box[1:]) + rng.uniform(0.01, 0.4, 4)).tolist())

    content = coco({1: [(*shake(box), {"iscrowd": int(crowd)}) for box, crowd in truths]})
    scores = rng.permutation(len(detections)) / 10 + 0.1
    found = found_of([(*shake(box), float(s)) for box, s in zip(detections, scores, strict=True)])
    result = detection_metrics(
        GroundTruth.from_coco(content), found, iou_threshold=threshold, score_threshold=0
    )
    assert (*counts(result), result.n_excused) == coco_counts(content, found, threshold)


def coco_counts(content, found, threshold):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    for i, record in enumerate(content["annotations"], start=1):
        record["id"] = i
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = content
        truth.createIndex()
        run = COCOeval(truth, truth.loadRes(found.to_results()), "bbox")
        run.params.iouThrs = np.array([threshold])
        run.evaluate()
    tp = fp = fn = excused = 0
    for image in run.evalImgs:
        if image is None or image["aRng"] != run.params.areaRng[0]:
            continue
        matched, ignored = image["dtMatches"][0] > 0, image["dtIgnore"][0] > 0
        tp += int((matched & ~ignored).sum())
        fp += int((~matched & ~ignored).sum())
        excused += int(ignored.sum())
        fn += int(((image["gtMatches"][0] == 0) & (image["gtIgnore"] == 0)).sum())
    return tp, fp, fn, excused


@pytest.mark.parametrize(
    ("gt", "dt"),
    [
        (
            "cocoapi_fakebbox100/instances_val2014_100",
            "cocoapi_fakebbox100/instances_val2014_fakebbox100_results",
        ),
        ("medical_waste/test_gt_ids_from_1", "medical_waste/dt"),
        ("padilla_review/voc_coco", "padilla_review/dt_coco"),
    ],
)
@pytest.mark.parametrize("threshold", [0.5, 0.75])
def test_real_counts_equal_pycocotools(golden, gt, dt, threshold):
    truth = GroundTruth.from_coco(golden(f"{gt}.json"))
    rows = json.loads(golden(f"{dt}.json").read_text())
    by_score = sorted(rows, key=lambda row: -row["score"])
    untied = [{**row, "score": 1 - i / len(rows)} for i, row in enumerate(by_score)]
    found = Detections.from_results(untied, truth)
    result = detection_metrics(truth, found, iou_threshold=threshold, score_threshold=0)
    expected = coco_counts(json.loads(golden(f"{gt}.json").read_text()), found, threshold)
    assert (*counts(result), result.n_excused) == expected


@pytest.mark.parametrize(
    ("setting", "match"),
    [
        ({"iou_threshold": 0}, r"`iou_threshold` must be in \(0, 1\], got 0"),
        ({"iou_threshold": 1.1}, r"`iou_threshold` must be in"),
        ({"iou_threshold": float("nan")}, r"`iou_threshold` must be in"),
        ({"score_threshold": float("nan")}, r"`score_threshold` must be finite"),
    ],
)
def test_bad_settings(truth_of, setting, match):
    with pytest.raises(SettingError, match=match):
        detection_metrics(truth_of({1: []}), found_of({1: []}), **setting)


def test_by_size_goes_by_truth_and_by_false_box(truth_of):
    """Small truth found by a medium box is a small hit; the false medium box is a medium false positive."""
    truth = truth_of({1: [(1, 0, 0, 30, 30), (1, 100, 0, 60, 60)]}, size=(400, 400))
    boxes = [[0, 0, 34, 34], [200, 200, 260, 260], [300, 300, 399, 399]]
    found = Detections.from_arrays([(boxes, [0.9, 0.8, 0.7], [0, 0, 0])], [1], [1])
    by_size = detection_metrics(truth, found).by_size
    counts = {
        name: (m.n_true_positives, m.n_false_positives, m.n_false_negatives) for name, m in by_size.items()
    }
    assert counts == {"small": (1, 0, 0), "medium": (0, 1, 1), "large": (0, 1, 0)}
    assert by_size["small"].mean_giou == pytest.approx(900 / 34**2)
    assert np.isnan(by_size["large"].recall)


def test_sizes_add_up(golden):
    truth = GroundTruth.from_coco(golden("medical_waste/test_gt.json"))
    result = detection_metrics(truth, Detections.from_results(golden("medical_waste/dt.json"), truth))
    assert sum(m.n_truth for m in result.by_size.values()) == result.n_truth
    assert sum(m.n_true_positives for m in result.by_size.values()) == result.n_true_positives
    assert sum(m.n_detections for m in result.by_size.values()) == result.n_detections
