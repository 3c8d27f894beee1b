"""`error_types` on real data: numbers of tidecv and of pycocotools."""

from __future__ import annotations

import numpy as np
import pytest

from dissect_eval import Detections, GroundTruth, coco_ap, error_types
from dissect_eval.tide import _fix as _tide_fix

TYPES = ("Cls", "Loc", "Both", "Dupe", "Bkg", "Miss")

# Counts, and AP and its changes in percent, that tidecv 1.0.1 gives.
TIDECV = {
    "medical_waste/test_gt.json dt.json": (
        (88, 611, 209, 59, 846, 14),
        (
            45.4721559643,
            0.7054119645,
            14.0795399322,
            1.1933073698,
            0.4812315398,
            8.6852815818,
            4.2313221539,
            33.9832895803,
            11.0156218528,
        ),
    ),
    "padilla_review/voc_coco.json dt_coco.json": (
        (3, 33, 22, 2, 166, 35),
        (
            61.0029680532,
            2.4557356835,
            6.1434088701,
            4.6240001808,
            0.0046802437,
            10.9106955548,
            7.5769548233,
            20.5316854122,
            12.3040763575,
        ),
    ),
}


@pytest.mark.parametrize("name", TIDECV)
def test_numbers_of_tidecv(golden, monkeypatch, name):
    truth_file, found_file = name.split()
    truth = GroundTruth.from_coco(golden(truth_file))
    found = Detections.from_results(golden(f"{truth_file.split('/')[0]}/{found_file}"), truth)
    # It samples precision at k / 100; numpy.linspace, which COCO uses, differs in the last bit of some.
    monkeypatch.setattr(_tide_fix, "RECALLS", np.array([k / 100 for k in range(101)]))
    result = error_types(truth, found)
    counts, numbers = TIDECV[name]
    assert result.counts == dict(zip(TYPES, counts, strict=True))
    ours = [result.ap, *result.delta_ap.values()]
    assert [100 * value for value in ours] == pytest.approx(numbers, abs=1e-9)


@pytest.mark.parametrize(
    ("folder", "truth_file", "found_file"),
    [
        ("medical_waste", "test_gt.json", "dt.json"),
        ("padilla_review", "voc_coco.json", "dt_coco.json"),
        ("cocoapi_fakebbox100", "instances_val2014_100.json", "instances_val2014_fakebbox100_results.json"),
    ],
)
@pytest.mark.parametrize("tie_break", ["canonical", "input"])
def test_ap_is_that_of_pycocotools(golden, folder, truth_file, found_file, tie_break):
    truth = GroundTruth.from_coco(golden(f"{folder}/{truth_file}"))
    found = Detections.from_results(golden(f"{folder}/{found_file}"), truth)
    result = error_types(truth, found, tie_break=tie_break)
    backend = "pycocotools" if tie_break == "input" else "numpy"
    assert result.ap == pytest.approx(
        coco_ap(truth, found, tie_break=tie_break, backend=backend).AP50, abs=1e-12
    )
    wrong = sum(result.counts[error] for error in TYPES[:5])
    assert wrong + result.n_true_positives == result.n_detections
    assert result.n_true_positives + result.n_false_negatives == result.n_truth
    assert min(result.delta_ap.values()) >= -1e-12
