from __future__ import annotations

import json
import math
import random
import warnings

import pytest

from dissect_eval import Detections, GroundTruth, SettingError, coco_ap

NAMES = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")


def score(truth, rows, **more):
    return coco_ap(truth, Detections.from_results(rows, truth), **more)


def hit(bbox, value=0.9, image=1, category=1):
    return {"image_id": image, "category_id": category, "bbox": bbox, "score": value}


@pytest.mark.parametrize(
    ("folder", "truth_file", "reference_file"),
    [
        ("cocoapi_fakebbox100", "instances_val2014_100.json", "reference_pycocotools.json"),
        ("padilla_review", "voc_coco.json", "reference_pycocotools.json"),
        ("medical_waste", "test_gt.json", "reference_pycocotools_ids_from_1.json"),
        ("medical_waste", "test_gt_ids_from_1.json", "reference_pycocotools_ids_from_1.json"),
    ],
)
def test_golden_numbers(golden, folder, truth_file, reference_file):
    reference = json.loads(golden(f"{folder}/{reference_file}").read_text())
    truth = GroundTruth.from_coco(golden(f"{folder}/{truth_file}"))
    found = Detections.from_results(golden(f"{folder}/{reference['dt_file']}"), truth)
    result = coco_ap(truth, found, tie_break="input")
    for name, value in zip(NAMES, reference["stats"], strict=True):
        assert getattr(result, name) == pytest.approx(value, abs=1e-12)
    assert {str(key) for key in result.per_class} == reference["per_class_AP"].keys()
    for key, value in reference["per_class_AP"].items():
        ours = result.per_class[int(key)]
        assert math.isnan(ours) if value is None else ours == pytest.approx(value, abs=1e-12)
    assert result.n_cut == 0
    if folder == "cocoapi_fakebbox100":  # 188 tied scores: the declared order differs a little
        assert pytest.approx(result.AP, abs=5e-3) == coco_ap(truth, found).AP
    else:
        assert pytest.approx(result.AP, abs=1e-12) == coco_ap(truth, found).AP


def test_ids_from_zero_give_the_right_number(golden):
    truth = GroundTruth.from_coco(golden("medical_waste/test_gt.json"))
    assert truth.annotation_ids.min() == 0
    assert (
        pytest.approx(0.2172, abs=5e-5)
        == score(truth, json.loads(golden("medical_waste/dt.json").read_text())).AP
    )


RIGHT = {  # AP and AP50 where engines disagree or fail
    "ann_id_zero": (1, 1),
    "empty_dt": (0, 0),
    "ignore_field_only": (1, 1),
    "ignore_field_nocrowdkey": (1, 1),
    "no_iscrowd": (1, 1),
    "no_area": (1, 1),
    "float_ids": (1, 1),
    "str_gt_image_id": (1, 1),
}


def edge_cases(golden):
    return {c["name"]: c for c in json.loads(golden("edge_cases/edge_cases.json").read_text())["cases"]}


def test_edge_cases(golden):
    """Every constructed case: the known answer, an error, or the number that all engines agree on."""
    errors = {
        "dup_ann_ids",
        "unknown_dt_image",
        "unknown_dt_cat",
        "dt_nan_box",
        "nan_score_tp",
        "nan_score_fp",
    }
    errors |= {"inf_score_fp", "none_score"}
    for name, case in edge_cases(golden).items():
        if name in errors:
            with pytest.raises(ValueError, match=r"must be"):
                score(GroundTruth.from_coco(case["gt"]), case["dt"])
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = score(GroundTruth.from_coco(case["gt"]), case["dt"], tie_break="input")
        if RIGHT.get(name):
            expected = RIGHT[name]
        else:
            expected = tuple(float(x) for x in case["results"]["pycocotools"].split("/")[:2])
        for ours, theirs in zip((result.AP, result.AP50), expected, strict=True):
            if theirs == -1:
                assert math.isnan(ours), name
            else:
                assert ours == pytest.approx(theirs, abs=1e-4), name


def test_ties_do_not_depend_on_input_order(golden):
    cases = edge_cases(golden)
    first, last = (cases[name] for name in ("ties_fp_first", "ties_fp_last"))
    a, b = (score(GroundTruth.from_coco(case["gt"]), case["dt"]) for case in (first, last))
    assert repr(a) == repr(b)


def test_shuffled_input(golden):
    truth = GroundTruth.from_coco(golden("cocoapi_fakebbox100/instances_val2014_100.json"))
    rows = json.loads(golden("cocoapi_fakebbox100/instances_val2014_fakebbox100_results.json").read_text())
    first = score(truth, rows)
    random.Random(0).shuffle(rows)
    assert repr(score(truth, rows)) == repr(first)


def test_no_detections_is_zero(truth_of):
    result = score(truth_of({1: [(1, 0, 0, 50, 50)]}), [])
    assert (result.AP, result.AR100, result.APm) == (0, 0, 0)
    assert math.isnan(result.APs)
    assert result.undefined == {
        k: v for k, v in result.undefined.items() if v in ("no small truth", "no large truth")
    }
    assert result.per_class[1] == 0
    assert math.isnan(result.per_class[2])


@pytest.mark.parametrize("boxes", [[], [(1, 0, 0, 50, 50, {"iscrowd": 1})]])
def test_no_truth_is_undefined(truth_of, boxes):
    result = score(truth_of({1: boxes}), [hit([0, 0, 50, 50])])
    assert all(math.isnan(getattr(result, name)) for name in NAMES)
    assert set(result.undefined) == set(NAMES)
    assert result.undefined["APs"] == "no truth"
    assert result.to_dict()["AP"] is None
    assert result.to_dict()["per_class"] == {"1": None, "2": None}


def test_detections_beyond_a_hundred_are_cut_and_counted(truth_of):
    truth = truth_of({1: [(1, 0, 0, 50, 50)]})
    rows = [hit([60, 60, 5, 5], 0.9 - i / 1000) for i in range(119)]
    result = score(truth, [*rows, hit([0, 0, 50, 50], 0.1), hit([0, 0, 5, 5], category=2)])
    assert (result.AP, result.n_cut) == (0, 20)


def test_size_limits_belong_to_both_sides(truth_of):
    result = score(truth_of({1: [(1, 0, 0, 32, 32)]}), [hit([0, 0, 32, 32])])
    assert result.APs == pytest.approx(1)
    assert result.APm == pytest.approx(1)


def test_nothing_is_printed(truth_of, capfd):
    score(truth_of({1: [(1, 0, 0, 50, 50)]}), [hit([0, 0, 50, 50])])
    assert capfd.readouterr() == ("", "")


def test_bad_tie_break(truth_of):
    with pytest.raises(SettingError, match="`tie_break` must be 'canonical' or 'input', got 'random'"):
        score(truth_of({1: []}), [], tie_break="random")
