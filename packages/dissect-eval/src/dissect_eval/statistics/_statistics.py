"""Metrics as functions of image weights, as a bootstrap needs them: boxes are matched only once.

A resample of images is a weight per image: how often it was drawn. Every metric here is computed from sums over
images. Their terms are kept per image, so a metric on a thousand resamples is a few matrix products.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .._arrays import Ints, ratio
from ..coco import DEFAULT, Ranking, as_one_class, index_of, match_split, rank
from ..data import Detections, GroundTruth
from ..matching import f1_of_counts, greedy_matches, pairs_of_aligned
from ._metrics import (
    CALIBRATION_NAMES,
    DETECTION_NAMES,
    MATCHED_NAMES,
    Floats,
    MetricSettings,
    Statistic,
    Values,
    count_matrix,
)
from ._statistics_ap import ap_statistic
from ._statistics_calibration import calibration_statistic

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["statistics_of"]


def statistics_of(truth: GroundTruth, detections: Detections, settings: MetricSettings) -> list[Statistic]:
    """Match the detections once for each mode that the metrics need, and return them as functions of image weights."""
    aligned, coco = detections.aligned_to(truth), settings.coco
    if coco.class_agnostic:
        truth, aligned = as_one_class(truth, aligned)
    wanted = set(settings.metrics)
    found: list[Statistic] = []
    plain = coco.iou_type == "bbox" and coco.area_ranges == DEFAULT.area_ranges
    same = plain and settings.tie_break == "canonical"
    ranking = (
        rank(index_of(truth, "canonical"), aligned, "canonical")
        if wanted & set(DETECTION_NAMES) or (same and wanted & coco.numbers.keys())
        else None
    )
    if wanted & coco.numbers.keys():
        split = match_split(truth, aligned, settings.tie_break, coco, ranking if same else None)
        found.append(ap_statistic(split, truth.n_images, settings))
    if wanted & set(DETECTION_NAMES):
        found.append(_detection_statistic(truth, aligned, settings, ranking))
    if wanted & set(CALIBRATION_NAMES):
        found.append(calibration_statistic(truth, aligned, settings))
    if wanted & set(MATCHED_NAMES):
        found.append(_matched_statistic(truth, aligned, settings))
    return found


def _detection_statistic(
    truth: GroundTruth, aligned: Detections, settings: MetricSettings, ranking: Ranking | None
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


def _matched_statistic(truth: GroundTruth, aligned: Detections, settings: MetricSettings) -> Statistic:
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
    """Return the sums of K categories, shape (K, R), with their total as the first row, shape (K + 1, R)."""
    return np.concatenate([sums.sum(axis=0, keepdims=True), sums])


def _categories(truth: GroundTruth) -> tuple[Ints, tuple[int, int]]:
    categories = np.array(list(truth.category_names), dtype=np.int64)
    return categories, (len(categories), truth.n_images)
