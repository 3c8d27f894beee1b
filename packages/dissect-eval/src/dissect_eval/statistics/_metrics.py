"""Names of all metrics, their settings, and metrics as functions of image weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from .._arrays import Ints
from .._text import quoted
from ..coco import NAMES as AP_NAMES, TieBreak
from ..errors import SettingError

__all__ = [
    "AP_NAMES",
    "DETECTION_NAMES",
    "MATCHED_NAMES",
    "METRICS",
    "Floats",
    "Key",
    "MetricSettings",
    "Statistic",
    "Values",
    "count_matrix",
    "names_of",
]

DETECTION_NAMES = ("f1", "precision", "recall", "giou")
MATCHED_NAMES = ("matched_giou", "matched_f1")
METRICS = (*AP_NAMES, *DETECTION_NAMES, *MATCHED_NAMES)
"""Metrics that `bootstrap` and `evaluate_variants` know: COCO's twelve; micro F1, precision, recall and mean GIoU
of `detection_metrics`; mean GIoU and weighted F1 of `matched_metrics`."""

Floats = NDArray[np.float64]
Key = tuple[str, int | None]
"""A metric, and the id of its category; None over all categories."""
Values = dict[Key, Floats]
"""One value for each of R resamples, NaN where undefined."""
Statistic = Callable[[Floats], Values]
"""Returns the values of some metrics for image weights of shape (I, R)."""


@dataclass(frozen=True)
class MetricSettings:
    """Names of the metrics, their thresholds, and the order of tied scores."""

    metrics: tuple[str, ...]
    per_class: bool = False
    iou_threshold: float = 0.5
    score_threshold: float = 0.3
    tie_break: TieBreak = "canonical"

    def __post_init__(self) -> None:
        unknown = [name for name in self.metrics if name not in METRICS]
        if unknown or not self.metrics:
            near = get_close_matches(str(unknown[0])[:100], METRICS, n=3) if unknown else []
            raise SettingError(
                f"`metrics` must be some of {', '.join(METRICS)}, got {', '.join(map(quoted, unknown)) or 'none'}."
                + (f" Near matches: {', '.join(map(repr, near))}." if near else "")
            )
        if not 0 < self.iou_threshold <= 1:
            raise SettingError(
                f"`iou_threshold` must be in (0, 1], got {self.iou_threshold}. The usual one is 0.5."
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


def count_matrix(
    rows: Ints, images: Ints, shape: tuple[int, int], values: NDArray[Any] | None = None
) -> csr_array[Any]:
    """Return a sparse (rows, images) matrix of counts, or of sums of `values`."""
    data = np.ones(len(rows)) if values is None else values.astype(np.float64)
    return csr_array((data, (rows, images)), shape=shape)
