"""Names of all metrics, their settings, and metrics as functions of image weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
from numpy.typing import NDArray

from .._numbers import require_fraction
from .._sums import count_matrix
from .._text import quoted
from ..coco import DEFAULT, NAMES as AP_NAMES, CocoSettings, TieBreak
from ..errors import SettingError

__all__ = [
    "AP_NAMES",
    "CALIBRATION_NAMES",
    "DEFAULT_METRICS",
    "DETECTION_NAMES",
    "MATCHED_NAMES",
    "METRICS",
    "Floats",
    "Key",
    "MetricSettings",
    "Statistic",
    "Values",
    "chosen_metrics",
    "count_matrix",
    "names_of",
]

DETECTION_NAMES = ("f1", "precision", "recall", "giou")
MATCHED_NAMES = ("matched_giou", "matched_f1")
CALIBRATION_NAMES = ("d_ece", "laece", "olrp")
"""Further metrics that `bootstrap` and `evaluate_variants` know, all errors: see the room ``calibration``."""
METRICS = (*AP_NAMES, *DETECTION_NAMES, *MATCHED_NAMES)
"""Metrics that `bootstrap` and `evaluate_variants` know: COCO's twelve; micro F1, precision, recall and mean GIoU
of `detection_metrics`; mean GIoU and weighted F1 of `matched_metrics`."""

DEFAULT_METRICS = ("AP", "AP50", "f1", "matched_giou", "matched_f1")
"""What `bootstrap` and `evaluate_variants` measure unless asked for something else."""

Floats = NDArray[np.float64]
Key = tuple[str, int | None]
"""A metric, and the id of its category; None over all categories."""
Values = dict[Key, Floats]
"""One value for each of R resamples, NaN where undefined."""
Statistic = Callable[[Floats], Values]
"""Returns the values of some metrics for image weights of shape (I, R)."""


@dataclass(frozen=True)
class MetricSettings:
    """Names of the metrics, their thresholds, the order of tied scores, and the settings of COCO's numbers."""

    metrics: tuple[str, ...]
    per_class: bool = False
    iou_threshold: float = 0.5
    score_threshold: float = 0.3
    tie_break: TieBreak = "canonical"
    coco: CocoSettings = DEFAULT

    def __post_init__(self) -> None:
        numbers = self.coco.numbers
        known = (*METRICS, *CALIBRATION_NAMES)
        unknown = [name for name in self.metrics if name not in known and name not in numbers]
        if unknown or not self.metrics:
            near = get_close_matches(str(unknown[0])[:100], known, n=3) if unknown else []
            raise SettingError(
                f"`metrics` must be some of {', '.join(known)}, got {', '.join(map(quoted, unknown)) or 'none'}."
                + (f" Near matches: {', '.join(map(repr, near))}." if near else "")
            )
        undefined = [name for name in self.metrics if name in AP_NAMES and name not in numbers]
        if undefined:
            raise SettingError(
                f"`metrics` must be defined by the other settings, got {listed(undefined)}; these define "
                f"{listed(numbers)}."
            )
        of_boxes = [name for name in self.metrics if name not in numbers]
        if self.coco.iou_type == "segm" and of_boxes:
            raise SettingError(
                f"`metrics` must be of masks where `iou_type` is 'segm', got {listed(of_boxes)}, which are of boxes. "
                f"These are of masks: {listed(numbers)}."
            )
        if self.coco.class_agnostic and (self.per_class or "matched_f1" in self.metrics):
            what = "`per_class`" if self.per_class else "the metric 'matched_f1'"
            raise SettingError(
                f"{what} needs classes, and `class_agnostic` takes all as one. Leave out one of them."
            )
        require_fraction(self.iou_threshold, "iou_threshold", "0.5")
        if "olrp" in self.metrics and self.iou_threshold == 1:
            raise SettingError(
                f"`iou_threshold` must be in (0, 1) for 'olrp', got {self.iou_threshold}. The usual one is 0.5."
            )
        if not abs(self.score_threshold) < np.inf:
            raise SettingError(
                f"`score_threshold` must be finite, got {self.score_threshold}. To keep all use 0."
            )


def names_of(metrics: str | Sequence[str]) -> tuple[str, ...]:
    """Return names of metrics; a single one may be given by itself."""
    if isinstance(metrics, str):
        return (metrics,)
    if not isinstance(metrics, Iterable):
        raise SettingError(
            f"`metrics` must be names of metrics, got {quoted(metrics)}. Write metrics=['AP50']."
        )
    return tuple(metrics)


def chosen_metrics(metrics: str | Sequence[str], coco: CocoSettings) -> tuple[str, ...]:
    """Return the metrics as given; of the default ones those that the settings of COCO's numbers define."""
    if metrics is not DEFAULT_METRICS:
        return names_of(metrics)
    left_out = set(AP_NAMES) - coco.numbers.keys()
    if coco.iou_type == "segm":
        left_out |= set(DETECTION_NAMES) | set(MATCHED_NAMES)
    if coco.class_agnostic:
        left_out |= {"matched_f1"}
    return tuple(name for name in DEFAULT_METRICS if name not in left_out)


def listed(names: Iterable[str]) -> str:
    """Return names for a message."""
    return ", ".join(map(quoted, names))
