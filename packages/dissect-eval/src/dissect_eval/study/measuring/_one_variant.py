"""Measure one variant of a study."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from ...boxes import degenerate_rows
from ...matching import chance_level
from ...statistics import Beside, Measured
from ...tide import ErrorTypes, error_types
from ..stored import StoredDetections, StudyDetections
from ._settings import Settings

__all__ = ["OneVariant", "VariantMeasure"]

CHANCE_OF = {
    "AP": "ap",
    "AP50": "ap50",
    "f1": "f1",
    "precision": "precision",
    "recall": "recall",
    "matched_giou": "mean_giou",
    "matched_f1": "matched_f1",
}


class OneVariant(NamedTuple):
    """Numbers of one variant.

    Attributes
    ----------
    metrics : Measured
        Metrics of the variant beside the baseline.
    errors : ErrorTypes
    chance : dict of str to float
        What random boxes reach, by metric.
    n_detections, n_not_finite, n_negative, n_degenerate : int
        Detections that are measured; those left out since they are not finite; among the measured ones, those with an
        inverted box, and those without area, inverted ones included.
    is_baseline : bool
        Whether its detections are those of the baseline on all images, bit for bit.
    """

    metrics: Measured
    errors: ErrorTypes
    chance: dict[str, float]
    n_detections: int
    n_not_finite: int
    n_negative: int
    n_degenerate: int
    is_baseline: bool


def _bits(found: StoredDetections) -> tuple[bytes, ...]:
    """Return all stored detections of a variant as bytes, also those that are not finite."""
    columns = (found.images, found.counts, found.boxes, found.scores, found.labels)
    return tuple(np.ascontiguousarray(column).tobytes() for column in columns)


class VariantMeasure:
    """Measures variants of a study one at a time; making an instance measures the baseline.

    Parameters
    ----------
    found : StudyDetections
    settings : Settings
    kept : collection of str
        Variants whose numbers on each resample are returned, too.
    untested : collection of str
        Variants that are not tested, such as controls: their p-values are not refined.
    """

    def __init__(
        self,
        found: StudyDetections,
        settings: Settings,
        kept: Collection[str] = (),
        untested: Collection[str] = (),
    ) -> None:
        self._found, self._settings = found, settings
        self._kept, self._untested = frozenset(kept), frozenset(untested)
        self._baseline = found.study.variants[0]
        stored = found.stored(self._baseline)
        self._first = found.of(self._baseline, stored)
        self._bits = _bits(stored)
        self._beside = Beside(found.truth, self._first[0], settings.statistics, settings.resampling)

    def __call__(self, variant: str) -> OneVariant:
        """Measure a variant, by its id."""
        truth, settings, is_first = self._found.truth, self._settings, variant == self._baseline
        stored = self._found.stored(variant)
        boxes, n_dropped = self._first if is_first else self._found.of(variant, stored)
        keep = variant in self._kept
        level = chance_level(
            truth,
            boxes,
            settings.seed,
            repeats=1,
            iou_threshold=settings.iou_threshold,
            score_threshold=settings.score_threshold,
        )
        return OneVariant(
            self._beside.of_baseline(keep=keep)
            if is_first
            else self._beside.of(boxes, keep=keep, tested=variant not in self._untested),
            error_types(truth, boxes, foreground=settings.iou_threshold, check=False),
            {
                metric: getattr(level, name)
                for metric, name in CHANCE_OF.items()
                if metric in settings.metrics
            },
            boxes.n_boxes,
            n_dropped,
            boxes.n_negative,
            int(degenerate_rows(boxes.boxes).sum()),
            _bits(stored) == self._bits,
        )
