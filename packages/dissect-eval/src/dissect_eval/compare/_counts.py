"""Hits and errors of a detector, image by image, as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._arrays import Ints
from ..boxes import iou_of
from ..data import Detections, GroundTruth
from ..matching import greedy_matches
from ..tide import BKG, BOTH, CLS, DUPE, LOC, assign

__all__ = ["ERRORS", "ImageCounts", "image_counts"]

ERRORS = {
    "missed": "missed",
    "class": "of a wrong class",
    "location": "badly placed",
    "both": "of a wrong class and badly placed",
    "duplicate": "duplicate",
    "background": "on the background",
}
"""Kinds of errors, and the words for them: misses, then those of TIDE."""
KINDS = (CLS, LOC, BOTH, DUPE, BKG)


@dataclass(frozen=True, eq=False)
class ImageCounts:
    """Hits and errors of a detector on I images with N true boxes.

    Attributes
    ----------
    hits : ndarray of int64, shape (I,)
    errors : ndarray of int64, shape (I, 6)
        By kind, see `ERRORS`.
    iou : ndarray of float64, shape (N,)
        IoU with which each true box was found; NaN for one that was not.
    """

    hits: Ints
    errors: Ints
    iou: NDArray[np.float64]


def image_counts(
    truth: GroundTruth, aligned: Detections, iou_threshold: float, score_threshold: float, background: float
) -> ImageCounts:
    """Match detections of at least a score as `detection_metrics` does; tell the kinds of the errors as TIDE does."""
    part = aligned.above(score_threshold)
    found = greedy_matches(truth, part, iou_threshold, score_threshold)
    iou = np.full(truth.n_boxes, np.nan)
    iou[found.truth_index] = iou_of(truth.boxes[found.truth_index], part.boxes[found.detection_index])
    n_images, image = truth.n_images, truth.image_index
    missed = found.truth_counted & np.isnan(iou)
    false = found.detection_counted.copy()
    false[found.detection_index] = False
    assigned = assign(truth, part, iou_threshold, background, "canonical")
    kind = np.full(
        part.n_boxes, BKG
    )  # beyond the best 100 of an image and class, which TIDE does not look at
    kind[assigned.rows] = assigned.kind
    # What TIDE calls a hit or excused and is false here differs by rounding at the threshold: the box is in its place.
    kind[false & ~np.isin(kind, KINDS)] = DUPE
    per_kind = [np.bincount(image[missed], minlength=n_images)]
    per_kind += [np.bincount(part.image_index[false & (kind == one)], minlength=n_images) for one in KINDS]
    hits = np.bincount(image[found.truth_index], minlength=n_images)
    return ImageCounts(hits, np.stack(per_kind, axis=1), iou)
