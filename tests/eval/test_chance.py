"""Chance levels: computed by hand for one box, and as a floor under real detections."""

from __future__ import annotations

import numpy as np
import pytest

from dissect_eval import Detections, GroundTruth, chance_level, coco_ap, detection_metrics, matched_metrics


def test_detections_keep_scores_and_categories(golden):
    truth = GroundTruth.from_coco(golden("medical_waste/test_gt.json"))
    found = Detections.from_results(golden("medical_waste/dt.json"), truth)
    chance = chance_level(truth, found, repeats=2)
    real = detection_metrics(truth, found).micro
    assert 0 <= chance.f1 < real.f1 / 5
    assert 0 <= chance.ap <= chance.ap50 < coco_ap(truth, found).AP50 / 5
    # The holes of matched mode: random boxes reach a GIoU far above -1, and an F1 that is no failure.
    assert matched_metrics(truth, found).mean_giou > chance.mean_giou > -0.2
    assert chance.matched_f1 > 0.2
    assert chance.mean_giou == chance_level(truth, np.diff(found.image_splits), repeats=2).mean_giou
    assert not chance.undefined


def test_share_of_random_boxes_that_hit(truth_of):
    """IoU >= .5 of one random box with a truth that fills the image needs an area of at least half of it.

    Width and height are distances of two uniform points, density 2(1 - w): P(wh >= a) is the integral of
    2(1 - w)(1 - a/w)^2 over w from a to 1 = 1 + 4a ln a - ... evaluated numerically here.
    """
    n = 20_000
    truth = truth_of({i: [(1, 0, 0, 100, 100)] for i in range(n)})
    found = Detections.from_arrays([([[0, 0, 1, 1]], [0.9], [0])] * n, range(n), [1])
    w = np.linspace(0.5, 1, 200_001)
    density = 2 * (1 - w) * (1 - 0.5 / w) ** 2
    expected = float(((density[1:] + density[:-1]) / 2).sum() * (w[1] - w[0]))
    assert chance_level(truth, found, repeats=1).recall == pytest.approx(expected, abs=0.004)


def test_what_was_not_given_is_undefined_with_a_reason(truth_of):
    truth = truth_of({1: [(1, 0, 0, 10, 10)]})
    counts = chance_level(truth, 5)
    assert np.isnan(counts.f1)
    assert counts.undefined["f1"] == "needs the detections: only their number was given"
    found = Detections.from_arrays([([[0, 0, 1, 1]], [0.9], [0])], [1], [1])
    assert chance_level(truth, found, ap=False).undefined == {"ap": "not asked for", "ap50": "not asked for"}
    none = chance_level(truth, Detections.from_arrays([([], [], [])], [1], [1]))
    assert none.undefined["mean_giou"] == "no image has both truth and boxes"
    assert none.recall == 0.0
