"""Results of best F1, calibration, LRP and the comparison of images, as text and as tables."""

from __future__ import annotations

import subprocess
import sys

import pytest

from dissect_eval import Detections
from dissect_eval.calibration import d_ece, laece, olrp
from dissect_eval.compare import compare_images
from dissect_eval.matching import best_f1
from reference import HITS, THREE, load


@pytest.fixture
def pair():
    return load(THREE, HITS)


def test_as_text(pair):
    truth, found = pair
    assert str(best_f1(truth, found)).splitlines() == [
        "best F1 at IoU 0.5           score      F1  precision  recall",
        "all classes                  0.700   1.000      1.000   1.000",
        "class 1                      0.700   1.000      1.000   1.000",
    ]
    assert str(d_ece(truth, found)).startswith(
        "calibration error 0.200 (3 detections, IoU 0.5, score from 0.3)"
    )
    assert str(olrp(truth, found)) == (
        "oLRP 0.000 at IoU 0.5 (0 is best): localisation 0.000, false positive 0.000, false negative 0.000"
    )
    worse = compare_images(truth, found, Detections.from_results(HITS[:1], truth), check=False)
    assert str(worse).splitlines() == ["1 images: 1 worse, 0 better", "   +2  1: 2 more missed (class 1)"]


def test_as_tables(pair):
    truth, found = pair
    results = best_f1(truth, found), d_ece(truth, found), laece(truth, found), olrp(truth, found)
    for result in results:
        table = result.to_pandas()
        assert table.category.tolist() == ["class 1"]
        assert "<pre" in result._repr_html_()
    assert compare_images(truth, found, found).to_pandas().image_id.tolist() == [1]


def test_masks_without_pycocotools_say_what_to_install():
    code = """
import sys
sys.modules["pycocotools"] = None
import numpy as np
from dissect_eval import Detections, GroundTruth, MissingExtraError, coco_ap
mask = [[np.ones((9, 9), dtype=bool)]]
truth = GroundTruth.from_arrays([([[0, 0, 9, 9]], [1])], [1], {1: "a"}, masks=mask)
found = Detections.from_arrays([([[0, 0, 9, 9]], [0.5], [0])], [1], [1], mask)
assert round(coco_ap(truth, found).AP, 6) == 1
try:
    coco_ap(truth, found, iou_type="segm")
except MissingExtraError as error:
    assert "dissect-eval[coco]" in str(error), error
else:
    raise SystemExit("no error")
"""
    subprocess.run([sys.executable, "-c", code], check=True)
