"""Calibration errors and the LRP error on resamples of the images, from one matching each."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..calibration import D_ECE_BINS, LAECE_BINS, EceSums, LrpSums, bin_of, require_shares, scored_hits
from ..data import Detections, GroundTruth
from ._metrics import Floats, MetricSettings, Statistic, Values

__all__ = ["calibration_statistic"]

Function = Callable[[Floats], Floats]


def calibration_statistic(truth: GroundTruth, aligned: Detections, settings: MetricSettings) -> Statistic:
    """Return the calibration metrics among the settings' metrics as a function of image weights."""
    functions: dict[str, tuple[Function, Function]] = {}
    if {"d_ece", "laece"} & set(settings.metrics):
        hits = scored_hits(truth, aligned, settings.iou_threshold, settings.score_threshold)
        require_shares(hits.scores)
        d_ece = EceSums(hits, hits.hit.astype(np.float64), bin_of(hits.scores, D_ECE_BINS), D_ECE_BINS)
        laece = EceSums(hits, hits.iou, bin_of(hits.scores, LAECE_BINS), LAECE_BINS)
        functions |= {"d_ece": (d_ece.pooled, d_ece.per_class), "laece": (laece.class_mean, laece.per_class)}
    if "olrp" in settings.metrics:
        hits = scored_hits(truth, aligned, settings.iou_threshold, max_detections=settings.coco.most)
        sums = LrpSums(hits, settings.iou_threshold)
        functions["olrp"] = sums.class_mean, sums.per_class
    chosen = {name: functions[name] for name in settings.metrics if name in functions}

    def statistic(weights: Floats) -> Values:
        values: Values = {}
        for name, (overall, per_class) in chosen.items():
            values[name, None] = overall(weights)
            if settings.per_class:
                rows = per_class(weights)
                values |= {(name, key): row for key, row in zip(truth.category_names, rows, strict=True)}
        return values

    return statistic
