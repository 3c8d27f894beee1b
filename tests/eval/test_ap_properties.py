"""COCO AP against pycocotools itself: random problems full of what goes wrong, and real ones."""

from __future__ import annotations

import json
import math
import random

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from dissect_eval import Detections, GroundTruth, coco_ap
from dissect_eval.coco._ap import NAMES
from dissect_eval.coco._ap_numpy import precision_arrays
from reference import box, cocoeval, hit, load, split

CROWDED = 130
"""Detections of one image and category, of which COCO looks at 100."""


def numbers(rng, grid):
    """A box on a grid of pixels, so that IoUs are often equal or exactly a threshold, or of any numbers."""
    sides = rng.choice([4.0, 16.0, 32.0, 60.0, 96.0, 140.0], 2) if grid else rng.uniform(2, 150, 2)
    corner = rng.uniform(0, 200, 2)
    return [*(np.round(corner / grid) * grid if grid else corner).tolist(), *sides.tolist()]


def near(rng, bbox, grid):
    """The same box, or one moved and stretched a little; rarely one without width."""
    if rng.random() < 0.2:
        return list(bbox)
    step = rng.integers(-2, 3, 4) * grid if grid else rng.normal(0, 6, 4)
    x, y, w, h = (np.array(bbox) + step).tolist()
    return [x, y, 0.0 if rng.random() < 0.03 else max(w, 1.0), max(h, 1.0)]


@st.composite
def problems(draw):
    """Truth and detections as records: crowds, ties, empty images, gaps in ids, every size, crowded images."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    images = draw(st.lists(st.integers(0, 10**12), min_size=1, max_size=6, unique=True))
    categories = draw(st.lists(st.integers(0, 90), min_size=1, max_size=4, unique=True))
    grid = draw(st.sampled_from([0, 1, 8]))
    levels = draw(st.sampled_from([1, 3, 20, 10**9]))
    most_truth, most_false = draw(st.integers(0, 9)), draw(st.integers(0, 9))
    truth, found = [], []

    def detect(bbox, category, image):
        found.append(hit(bbox, float(rng.integers(levels) / levels) - 0.1, category, image))

    for image in images:
        for i in range(rng.integers(most_truth + 1)):
            bbox, category = numbers(rng, grid), int(rng.choice(categories))
            if i and rng.random() < 0.4:  # beside the last one, with a detection as near to both
                (x, y, w, h), category = truth[-1]["bbox"], truth[-1]["category_id"]
                bbox, shift = [x + w / 4, y, w, h], w / 8
                detect([x + shift, y, w, h], category, image)
            area = bbox[2] * bbox[3] * rng.choice([1, 1, rng.uniform(0.3, 1)])
            crowd = int(rng.random() < 0.2)
            truth.append(box(0, bbox, category, image, iscrowd=crowd, area=float(area)))
            for _ in range(rng.integers(4)):
                other = int(rng.choice(categories)) if rng.random() < 0.2 else category
                detect(near(rng, bbox, grid), other, image)
        for _ in range(rng.integers(most_false + 1)):
            detect(numbers(rng, grid), int(rng.choice(categories)), image)
    if not found or draw(st.integers(0, 3)) == 0:
        some = [record["bbox"] for record in truth] or [numbers(rng, grid)]
        for i in range(CROWDED):
            detect(near(rng, some[i % len(some)], grid), categories[0], images[-1])
    ids = 1 + rng.choice(10 * len(truth) + 1, len(truth), replace=False)  # not 0: pycocotools would be wrong
    for record, number in zip(truth, ids.tolist(), strict=True):
        record["id"] = number
    return split(truth, images, categories), [found[i] for i in rng.permutation(len(found))]


def same(result, run):
    """Hold all numbers to those of a `COCOeval`, which writes -1 for undefined."""
    theirs = [math.nan if value == -1 else value for value in run.stats]
    ours = [getattr(result, name) for name in NAMES]
    assert ours == pytest.approx(theirs, rel=0, abs=1e-12, nan_ok=True)
    whole = run.eval["precision"][:, :, :, 0, -1]
    for k, category in enumerate(run.params.catIds):
        defined = whole[:, :, k][whole[:, :, k] > -1]
        expected = defined.mean() if len(defined) else math.nan
        assert result.per_class[category] == pytest.approx(expected, rel=0, abs=1e-12, nan_ok=True)


def same_bits(truth, found, run):
    precision, recall = precision_arrays(truth, found, "input")
    np.testing.assert_array_equal(precision, run.eval["precision"], strict=True)
    np.testing.assert_array_equal(recall, run.eval["recall"], strict=True)


@given(problems())
@settings(max_examples=200, deadline=None)
def test_equal_to_pycocotools(problem):
    content, rows = problem
    truth, found = load(content, rows)
    run = cocoeval(content, rows)
    same(coco_ap(truth, found, tie_break="input", check=False), run)
    same_bits(truth, found, run)


@given(problems(), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_canonical_order(problem, shuffler: random.Random):
    """The result of any order of the input is that of pycocotools for the declared one."""
    content, rows = problem
    result = coco_ap(*load(content, rows), check=False)
    reference = coco_ap(*load(content, rows), backend="pycocotools", check=False)
    for name in NAMES:
        assert getattr(result, name) == pytest.approx(getattr(reference, name), abs=1e-12, nan_ok=True)
    assert dict(result.per_class) == pytest.approx(dict(reference.per_class), abs=1e-12, nan_ok=True)
    assert result.n_cut == reference.n_cut
    for records in (rows, content["annotations"], content["images"], content["categories"]):
        shuffler.shuffle(records)
    assert repr(coco_ap(*load(content, rows), check=False)) == repr(result)


@pytest.mark.parametrize(
    ("truth_file", "results_file"),
    [
        (
            "cocoapi_fakebbox100/instances_val2014_100.json",
            "cocoapi_fakebbox100/instances_val2014_fakebbox100_results.json",
        ),
        ("medical_waste/test_gt_ids_from_1.json", "medical_waste/dt.json"),
        ("padilla_review/voc_coco.json", "padilla_review/dt_coco.json"),
    ],
)
def test_real_pairs(golden, truth_file, results_file):
    content = json.loads(golden(truth_file).read_text())
    rows = json.loads(golden(results_file).read_text())
    run = cocoeval(content, rows)
    truth = GroundTruth.from_coco(golden(truth_file))
    found = Detections.from_results(golden(results_file), truth)
    same(coco_ap(truth, found, tie_break="input", check=False), run)
    same_bits(truth, found, run)


@pytest.mark.parametrize("name", ["coco_tiny80/instances_val2017_80.json", "bccd/bccd_coco.json"])
def test_real_truth_with_made_up_detections(golden, name):
    """Real crowds, and boxes without area; the detections are the boxes moved, many with tied scores."""
    content = json.loads(golden(name).read_text())
    rng = np.random.default_rng(0)
    rows = []
    for i, record in enumerate(content["annotations"]):
        record["id"] = i + 1
        for _ in range(rng.integers(3)):
            bbox, score = near(rng, record["bbox"], 0), float(rng.integers(40) / 40)
            rows.append(hit(bbox, score, record["category_id"], record["image_id"]))
    run = cocoeval({"info": {}, **content}, rows)
    truth, found = load(content, rows)
    same(coco_ap(truth, found, tie_break="input", check=False), run)
    same_bits(truth, found, run)
