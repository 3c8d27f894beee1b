"""Precision–recall curves against pycocotools' own arrays."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from dissect_eval import Detections, GroundTruth, SettingError, coco_ap, precision_recall_curve


@pytest.fixture(scope="module")
def pair(golden):
    truth = GroundTruth.from_coco(golden("medical_waste/test_gt_ids_from_1.json"))
    return truth, Detections.from_results(golden("medical_waste/dt.json"), truth)


def test_equals_pycocotools(golden, pair):
    truth, found = pair
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(golden("medical_waste/test_gt_ids_from_1.json")))
        run = COCOeval(coco, coco.loadRes(str(golden("medical_waste/dt.json"))), "bbox")
        run.evaluate()
        run.accumulate()
    precision = run.eval["precision"][:, :, :, 0, -1]
    for t, iou in ((0, 0.5), (5, 0.75), (9, run.params.iouThrs[9])):
        for k, category in enumerate(run.params.catIds):
            curve = precision_recall_curve(
                truth, found, iou_threshold=iou, category_id=category, tie_break="input"
            )
            assert np.array_equal(np.nan_to_num(curve.precision, nan=-1), precision[t, :, k])
    assert precision_recall_curve(truth, found).ap == pytest.approx(coco_ap(truth, found).AP50, abs=1e-12)


def test_no_truth_is_undefined(truth_of):
    truth = truth_of({1: []})
    curve = precision_recall_curve(truth, Detections.from_arrays([], [], []))
    assert np.isnan(curve.precision).all()
    assert curve.to_dict()["ap"] is None


@pytest.mark.parametrize(
    ("setting", "match"),
    [
        ({"iou_threshold": 0}, "`iou_threshold` must be in"),
        ({"category_id": 99}, r"`category_id` must be one of \[.*\], got 99"),
    ],
)
def test_bad_settings(pair, setting, match):
    with pytest.raises(SettingError, match=match):
        precision_recall_curve(*pair, **setting)
