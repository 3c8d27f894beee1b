"""Best F1 against `detection_metrics` at every threshold, and classes by name in every result."""

from __future__ import annotations

import copy
import math
import pickle

import numpy as np
import pytest

from dissect_eval import (
    CategoryError,
    Detections,
    GroundTruth,
    SettingError,
    bootstrap,
    coco_ap,
    detection_metrics,
    error_types,
    evaluate,
    matched_metrics,
    precision_recall_curve,
)
from dissect_eval.matching import best_f1
from reference import HITS, THREE, box, hit, load, split


def problem(seed):
    rng = np.random.default_rng(seed)
    truth, found = [], []
    for image in range(1, 6):
        for _ in range(rng.integers(5)):
            bbox, category = [*rng.uniform(0, 200, 2), *rng.uniform(20, 60, 2)], int(rng.integers(1, 4))
            truth.append(box(len(truth) + 1, bbox, category, image, iscrowd=int(rng.random() < 0.2)))
            for _ in range(rng.integers(4)):
                near = [*(np.array(bbox) + rng.normal(0, 5, 4)).tolist()]
                found.append(hit(near, float(rng.integers(6)) / 5, int(rng.integers(1, 5)), image))
    return load(split(truth, range(1, 6), range(1, 5)), found)


@pytest.mark.parametrize("seed", range(30))
def test_equals_the_best_of_all_thresholds(seed):
    truth, found = problem(seed)
    result = best_f1(truth, found)
    every = {t: detection_metrics(truth, found, score_threshold=t) for t in np.unique(found.scores).tolist()}
    for category, point in [*result.per_class.items(), (None, result.overall)]:
        at = {t: one.micro if category is None else one.per_class[category] for t, one in every.items()}
        n_truth = every[min(at)].n_truth if category is None else at[min(at)].n_truth
        if math.isnan(point.score_threshold):
            assert all(one.f1 == 0 for one in at.values() if not math.isnan(one.f1))
            assert math.isnan(point.f1) == (n_truth == 0)
            continue
        best = max(one.f1 for one in at.values() if not math.isnan(one.f1))
        assert point.f1 == pytest.approx(best, abs=1e-12)
        assert point.score_threshold == max(
            t for t, one in at.items() if one.f1 == pytest.approx(best, abs=1e-12)
        )
        chosen = at[point.score_threshold]
        assert (point.precision, point.recall) == pytest.approx((chosen.precision, chosen.recall), abs=1e-12)


def test_undefined():
    truth = GroundTruth.from_coco(split([box(1, [0, 0, 9, 9])], categories=(1, 2)))
    result = best_f1(truth, Detections.from_results([], truth))
    assert result.overall.f1 == 0
    no_hit = "no detection is a hit: no threshold is better than another"
    assert result.undefined == {
        "per_class.1": no_hit,
        "per_class.2": "no truth to be found",
        "overall": no_hit,
    }
    assert result.to_dict()["per_class_by_name"]["class 2"]["f1"] is None
    with pytest.raises(SettingError, match="`iou_threshold` must be in"):
        best_f1(*load(THREE, HITS), iou_threshold=0)


def results():
    truth, found = problem(3)
    return [
        coco_ap(truth, found).per_class,
        detection_metrics(truth, found).per_class,
        matched_metrics(truth, found).giou_per_class,
        matched_metrics(truth, found).f1_per_class,
        matched_metrics(truth, found).f1_per_class_with_unmatched,
        error_types(truth, found).per_class,
        best_f1(truth, found).per_class,
    ]


@pytest.mark.parametrize("number", range(7))
def test_classes_are_found_by_name(number):
    values = results()[number]
    for copied in (values, pickle.loads(pickle.dumps(values)), copy.deepcopy(values)):
        for key in copied:
            assert repr(copied[f"class {key}"]) == repr(values[key]) == repr(copied.by_name[f"class {key}"])
    with pytest.raises(
        CategoryError, match=r"The category must be one that has a value, 'class 1', .* got 'zebra'"
    ):
        values["zebra"]


def test_a_name_that_two_classes_have_goes_with_the_id():
    content = split([box(1, [0, 0, 9, 9], 1), box(2, [20, 0, 9, 9], 2)], categories=(1, 2))
    for category in content["categories"]:
        category["name"] = "N/A"
    truth, found = load(content, [hit([0, 0, 9, 9], 0.9, 1), hit([70, 0, 9, 9], 0.9, 2)])
    per_class = coco_ap(truth, found).per_class
    assert per_class.by_name == {"N/A (1)": pytest.approx(1), "N/A (2)": 0}
    assert per_class["N/A (2)"] == 0
    with pytest.raises(CategoryError, match="Of a name that several categories have, give the id"):
        per_class["N/A"]


def test_names_in_rows_curves_and_records():
    truth, found = problem(3)
    names = [row.category for row in bootstrap(truth, found, metrics="AP", per_class=True, n_replicates=0)]
    assert names == [None, "class 1", "class 2", "class 3", "class 4"]
    assert precision_recall_curve(truth, found, category_id=2).category == "class 2"
    record = evaluate(truth, found, chance_repeats=0).to_dict()
    assert list(record["ap"]["per_class_by_name"]) == [f"class {k}" for k in range(1, 5)]
    assert record["detection"]["per_class_by_name"]["class 2"] == record["detection"]["per_class"]["2"]
