"""Metrics as functions of image weights: what a bootstrap needs, with no box matched twice.

A resample of images is a weight per image: how often it was drawn. Every metric here is made of sums over
images, kept per image once; a metric of a thousand resamples is then a few matrix products.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from ..coco._ap import NAMES as AP_NAMES
from ..coco._ap import TieBreak
from ..coco._ap_numpy import match_split
from ..coco._index import index_of
from ..coco._ranking import Ranking, rank
from ..data._detections import Detections
from ..data._ragged import Ints
from ..data._truth import GroundTruth
from ..errors import SettingError
from ..matching._f1 import f1_of_counts, ratio
from ..matching._greedy import greedy_matches
from ..matching._matching import pairs_of_aligned

__all__ = ["METRICS", "Key", "Settings", "Statistic", "Values", "count_matrix", "statistics_of"]

DETECTION_NAMES = ("f1", "precision", "recall", "giou")
MATCHED_NAMES = ("matched_giou", "matched_f1")
METRICS = (*AP_NAMES, *DETECTION_NAMES, *MATCHED_NAMES)
"""Metrics that `bootstrap` and `evaluate_variants` know: COCO's twelve; micro F1, precision, recall and mean GIoU
of `detection_metrics`; mean GIoU and weighted F1 of `matched_metrics`."""

Floats = NDArray[np.float64]
Key = tuple[str, int | None]
"""A metric, and the category id where it is that of one category."""
Values = dict[Key, Floats]
"""One value for each of R resamples, NaN where undefined."""
Statistic = Callable[[Floats], Values]
"""From weights of shape (I, R) to the values of some metrics."""


@dataclass(frozen=True)
class Settings:
    """What the metrics need to know besides the boxes."""

    metrics: tuple[str, ...]
    per_class: bool = False
    iou_threshold: float = 0.5
    score_threshold: float = 0.3
    tie_break: TieBreak = "canonical"

    def __post_init__(self) -> None:
        unknown = [name for name in self.metrics if name not in METRICS]
        if unknown or not self.metrics:
            raise SettingError(
                f"`metrics` must be some of {', '.join(METRICS)}, got {', '.join(unknown) or 'none'}."
            )
        if not 0 < self.iou_threshold <= 1:
            raise SettingError(f"`iou_threshold` must be in (0, 1], got {self.iou_threshold}.")
        if not np.isfinite(self.score_threshold):
            raise SettingError(f"`score_threshold` must be finite, got {self.score_threshold}.")


def statistics_of(truth: GroundTruth, detections: Detections, settings: Settings) -> list[Statistic]:
    """Match the detections once for each mode that the metrics ask for."""
    aligned = detections.aligned_to(truth)
    wanted = set(settings.metrics)
    found: list[Statistic] = []
    ranking = (
        rank(index_of(truth, "canonical"), aligned, "canonical") if wanted - set(MATCHED_NAMES) else None
    )
    if wanted & set(AP_NAMES):
        from ._statistics_ap import ap_statistic

        same = settings.tie_break == "canonical"
        split = match_split(truth, aligned, settings.tie_break, ranking=ranking if same else None)
        found.append(ap_statistic(split, truth.n_images, settings))
    if wanted & set(DETECTION_NAMES):
        found.append(_detection_statistic(truth, aligned, settings, ranking))
    if wanted & set(MATCHED_NAMES):
        found.append(_matched_statistic(truth, aligned, settings))
    return found


def count_matrix(
    rows: Ints, images: Ints, shape: tuple[int, int], values: NDArray[Any] | None = None
) -> csr_array[Any]:
    """Return a sparse (rows, images) matrix of counts, or of sums of `values`."""
    data = np.ones(len(rows)) if values is None else values.astype(np.float64)
    return csr_array((data, (rows, images)), shape=shape)


def _detection_statistic(
    truth: GroundTruth, aligned: Detections, settings: Settings, ranking: Ranking | None
) -> Statistic:
    found = greedy_matches(truth, aligned, settings.iou_threshold, settings.score_threshold, ranking)
    categories, shape = _categories(truth)

    def matrix(ids: Ints, images: Ints, values: Floats | None = None) -> csr_array[Any]:
        return count_matrix(np.searchsorted(categories, ids), images, shape, values)

    counted, detected = found.truth_counted, found.detection_counted
    of_hit, image_of_hit = truth.category_ids[found.truth_index], truth.image_index[found.truth_index]
    sums = (
        matrix(truth.category_ids[counted], truth.image_index[counted]),
        matrix(aligned.category_ids[detected], aligned.image_index[detected]),
        matrix(of_hit, image_of_hit),
        matrix(of_hit, image_of_hit, found.giou),
    )

    def statistic(weights: Floats) -> Values:
        t, d, h, g = (_with_all(m @ weights) for m in sums)
        found = {
            "f1": f1_of_counts(h, d - h, t - h),
            "precision": ratio(h, d),
            "recall": ratio(h, t),
            "giou": ratio(g, h),
        }
        values: Values = {}
        for name, rows in found.items():
            values[name, None] = rows[0]
            if settings.per_class:
                values |= {(name, c): row for c, row in zip(categories.tolist(), rows[1:], strict=True)}
        return {key: value for key, value in values.items() if key[0] in settings.metrics}

    return statistic


def _matched_statistic(truth: GroundTruth, aligned: Detections, settings: Settings) -> Statistic:
    pairs = pairs_of_aligned(truth, aligned)
    categories, shape = _categories(truth)
    true = np.searchsorted(categories, truth.category_ids[pairs.truth_index])
    predicted = np.searchsorted(categories, aligned.category_ids[pairs.detection_index])
    agree, images = true == predicted, pairs.image_index
    sums = (
        count_matrix(true, images, shape),
        count_matrix(predicted, images, shape),
        count_matrix(true[agree], images[agree], shape),
        count_matrix(true[agree], images[agree], shape, pairs.giou[agree]),
    )
    total = count_matrix(np.zeros_like(images), images, (1, truth.n_images), pairs.giou)

    def statistic(weights: Floats) -> Values:
        t, p, h, g = (m @ weights for m in sums)
        f1, n_pairs = f1_of_counts(h, p - h, t - h), t.sum(axis=0)
        values: Values = {
            ("matched_giou", None): ratio((total @ weights)[0], n_pairs),
            ("matched_f1", None): ratio((t * np.nan_to_num(f1)).sum(axis=0), n_pairs),
        }
        if settings.per_class:
            giou = ratio(g, h)
            for k, category in enumerate(categories.tolist()):
                values["matched_giou", category], values["matched_f1", category] = giou[k], f1[k]
        return {key: value for key, value in values.items() if key[0] in settings.metrics}

    return statistic


def _with_all(sums: Floats) -> Floats:
    """Return sums of K categories (K, R) below those over all of them, shape (K + 1, R)."""
    return np.concatenate([sums.sum(axis=0, keepdims=True), sums])


def _categories(truth: GroundTruth) -> tuple[Ints, tuple[int, int]]:
    categories = np.array(list(truth.category_names), dtype=np.int64)
    return categories, (len(categories), truth.n_images)
