"""Detections with their scores and what they hit: all that calibration and LRP need of a matching."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._arrays import Ints
from ..coco import index_of, kept, rank
from ..data import Detections, GroundTruth
from ..matching import greedy_matches

__all__ = ["ScoredHits", "scored_hits"]


@dataclass(frozen=True, eq=False)
class ScoredHits:
    """Detections that are true or false positives, D in all, and the truth that is to be found, N in all.

    Attributes
    ----------
    rows : ndarray of int64, shape (D,)
        Rows of the detections.
    scores, iou : ndarray of float64, shape (D,)
        IoU is 0 for a false positive.
    hit : ndarray of bool, shape (D,)
    category, image : ndarray of int64, shape (D,)
        Indices into the truth's categories and images.
    truth_category, truth_image : ndarray of int64, shape (N,)
    n_categories, n_images : int
    """

    rows: Ints
    scores: NDArray[np.float64]
    iou: NDArray[np.float64]
    hit: NDArray[np.bool_]
    category: Ints
    image: Ints
    truth_category: Ints
    truth_image: Ints
    n_categories: int
    n_images: int


def scored_hits(
    truth: GroundTruth,
    aligned: Detections,
    iou_threshold: float,
    score_threshold: float = -np.inf,
    max_detections: int | None = None,
) -> ScoredHits:
    """Match detections of at least a score as COCO does, of each image and category at most the best so many."""
    index = index_of(truth, "canonical")
    ranking = rank(index, aligned, "canonical")
    if max_detections is not None:
        ranking = kept(ranking, ranking.place < max_detections)
    found = greedy_matches(truth, aligned, iou_threshold, score_threshold, ranking)
    rows = np.flatnonzero(found.detection_counted)
    iou, hit = np.zeros(aligned.n_boxes), np.zeros(aligned.n_boxes, dtype=np.bool_)
    iou[found.detection_index], hit[found.detection_index] = found.iou, True
    counted = found.truth_counted
    return ScoredHits(
        rows=rows,
        scores=aligned.scores[rows],
        iou=iou[rows],
        hit=hit[rows],
        category=index.category_of(aligned.category_ids[rows]),
        image=aligned.image_index[rows],
        truth_category=index.category_of(truth.category_ids[counted]),
        truth_image=truth.image_index[counted],
        n_categories=len(index.categories),
        n_images=truth.n_images,
    )
