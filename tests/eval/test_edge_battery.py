"""33 constructed cases: the right answer of each by hand, and which of six engines give it.

The numbers are AP, AP50, AP of small and of medium objects, and AR; ``nan`` where there is no truth.
"""

from __future__ import annotations

import contextlib
import json
import math

import pytest

from dissect_eval import DetectionError, Detections, GroundTruth, SplitWarning, TruthError, coco_ap

NONE = math.nan
PERFECT = (1, 1, NONE, 1, 1)
THREE_OF_FOUR = 76 / 101  # recall 3/4 reaches 76 of the 101 recalls at which precision is looked at

RIGHT = {
    "perfect": PERFECT,
    "ann_id_zero": PERFECT,
    "dup_ann_ids": (TruthError, "annotation ids must be unique, .* more than once: 1"),
    "empty_dt": (0, 0, NONE, 0, 0),
    "empty_gt": (NONE,) * 5,
    "empty_gt_image_fp": (3 / 4, 3 / 4, NONE, 1, 1),  # the false positive is small
    "missing_dt_image": (THREE_OF_FOUR, THREE_OF_FOUR, NONE, THREE_OF_FOUR, 3 / 4),
    "unknown_dt_image": (DetectionError, r"detection 3 \(image 77\): the image id must be one of"),
    "unknown_dt_cat": (DetectionError, r"detection 3 \(image 1\): the category id must be one of"),
    "cat_gap_ids": PERFECT,
    "crowd_many": PERFECT,
    "ignore_field_only": PERFECT,
    "ignore_field_nocrowdkey": PERFECT,
    "area_field_vs_box": (1, 1, 1, NONE, 1),  # a large box of which 500 square pixels are object
    "float_ids": PERFECT,
    "no_iscrowd": PERFECT,
    "no_area": PERFECT,
    "gt_zero_area": (THREE_OF_FOUR, THREE_OF_FOUR, 0, 1, 3 / 4),
    "gt_zero_area_exact_dt": (3 / 4 * THREE_OF_FOUR, 3 / 4 * THREE_OF_FOUR, 0, 1, 3 / 4),
    "dt_negative_wh": (3 / 4, 3 / 4, NONE, 1, 1),  # one false positive, without area
    "dt_nan_box": (DetectionError, r"detection 3 \(image 1\): `bbox` must be 4 finite numbers"),
    "nan_score_tp": (DetectionError, r"detection 0 \(image 1\): `score` must be a finite number, got nan"),
    "nan_score_fp": (DetectionError, r"detection 3 \(image 1\): `score` must be a finite number, got nan"),
    "inf_score_fp": (DetectionError, r"detection 3 \(image 1\): `score` must be a finite number, got inf"),
    "none_score": (DetectionError, r"detection 0 \(image 1\): `score` must be a finite number, got None"),
    "ties_fp_first": PERFECT,  # by coordinates the false positive is the last of those tied
    "ties_fp_last": PERFECT,
    "iou_exact_half": (1 / 10, 1, NONE, NONE, 1 / 10),
    "gt_area_1024": (1, 1, 1, 1, 1),
    "dets_120_tp_last": (0, 0, NONE, 0, 0),
    "str_gt_image_id": PERFECT,
    "dt_double_hit": PERFECT,  # the second comes when all truth is found
    "used_cat_without_gt": PERFECT,
}

ENGINES = ("pycocotools", "fce", "hotcoco", "ultrafast", "vernier_strict", "vernier_corrected")
ALL = set(ENGINES)
WRONG = {
    "ann_id_zero": {"pycocotools", "fce"},
    "dup_ann_ids": ALL,
    "empty_dt": {"pycocotools", "vernier_strict"},
    "unknown_dt_image": {"hotcoco", "vernier_corrected"},
    "unknown_dt_cat": ALL,
    "ignore_field_only": ALL - {"vernier_corrected"},
    "ignore_field_nocrowdkey": ALL - {"vernier_corrected"},
    "float_ids": ALL - {"pycocotools", "hotcoco"},
    "no_iscrowd": {"pycocotools"},
    "no_area": ALL - {"hotcoco", "ultrafast"},
    "dt_negative_wh": ALL,  # AP is right; two negative sides make a positive area, and so a medium object
    "dt_nan_box": ALL - {"hotcoco", "vernier_corrected"},
    "nan_score_tp": {"pycocotools", "ultrafast"},
    "nan_score_fp": {"pycocotools", "ultrafast"},
    "inf_score_fp": ALL - {"vernier_strict", "vernier_corrected"},
    "none_score": {"hotcoco", "ultrafast"},
    "ties_fp_first": ALL,  # another answer than for the same detections with the false positive last
    "str_gt_image_id": ALL - {"fce"},
}


def cases(golden):
    found = {
        case["name"]: case for case in json.loads(golden("edge_cases/edge_cases.json").read_text())["cases"]
    }
    assert found.keys() == RIGHT.keys()
    return found


def ours(case, **more):
    truth = GroundTruth.from_coco(case["gt"])
    result = coco_ap(truth, Detections.from_results(case["dt"], truth), **more)
    return result.AP, result.AP50, result.APs, result.APm, result.AR100


def is_right(text, right):
    """Whether an engine's answer as the file has it, rounded, is the right one."""
    fails = isinstance(right[0], type)
    if text.startswith("ERR") or fails:
        return fails and text.startswith("ERR")
    numbers = [float(part.lstrip("smAR")) for part in text.split("/")]
    return [NONE if x == -1 else x for x in numbers] == pytest.approx(list(right), abs=6e-4, nan_ok=True)


@pytest.mark.parametrize("name", RIGHT)
@pytest.mark.parametrize("backend", ["numpy", "pycocotools"])
def test_case(golden, name, backend):
    case, right = cases(golden)[name], RIGHT[name]
    if isinstance(right[0], type):
        with pytest.raises(right[0], match=right[1]):
            ours(case, backend=backend)
        return
    outside = pytest.warns(SplitWarning) if name == "str_gt_image_id" else contextlib.nullcontext()
    with outside:  # there the image is of 9 × 9 pixels
        assert ours(case, backend=backend) == pytest.approx(right, abs=1e-12, nan_ok=True)


def test_which_engines_are_right(golden):
    wrong = {
        name: {engine for engine in ENGINES if not is_right(case["results"][engine], RIGHT[name])}
        for name, case in cases(golden).items()
    }
    assert {name: engines for name, engines in wrong.items() if engines} == WRONG


def test_ties_in_the_order_of_the_input(golden):
    assert ours(cases(golden)["ties_fp_first"], tie_break="input")[0] == pytest.approx(3 / 4)
    assert ours(cases(golden)["ties_fp_last"], tie_break="input")[0] == pytest.approx(1)


def test_what_the_counts_add(golden):
    found = cases(golden)
    truth = GroundTruth.from_coco(found["dets_120_tp_last"]["gt"])
    assert coco_ap(truth, Detections.from_results(found["dets_120_tp_last"]["dt"], truth)).n_cut == 20
    flat = GroundTruth.from_coco(found["gt_zero_area"]["gt"])
    assert flat.health().degenerate_annotation_ids == (4,)
    negative = found["dt_negative_wh"]
    assert Detections.from_results(negative["dt"], GroundTruth.from_coco(negative["gt"])).n_negative == 1
    for name in ("unknown_dt_image", "unknown_dt_cat"):
        truth = GroundTruth.from_coco(found[name]["gt"])
        kept = Detections.from_results(found[name]["dt"], truth, on_unknown="drop")
        assert (kept.n_dropped, coco_ap(truth, kept).AP) == (1, pytest.approx(1))
