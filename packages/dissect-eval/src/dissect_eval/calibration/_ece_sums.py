"""Calibration errors as functions of image weights: sums of scores and of what was hit, per class and bin."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .._arrays import Ints, ratio
from .._sums import count_matrix
from ..errors import DetectionError
from ._hits import ScoredHits

__all__ = ["D_ECE_BINS", "LAECE_BINS", "EceSums", "bin_of", "require_shares"]

D_ECE_BINS = 20
"""Bins of the score: as many as Küppers et al. take."""
LAECE_BINS = 25
"""Bins of the score: as many as Oksuz et al. take."""

Floats = NDArray[np.float64]


class EceSums:
    """Per class and bin: number of detections, sum of their scores, and sum of what these should be.

    Parameters
    ----------
    hits : ScoredHits
    gain : ndarray of float64, shape (D,)
        What the scores should be on average: 1 for a hit, or its IoU; 0 for a false positive.
    bins : ndarray of int64, shape (D,)
    n_bins : int
    """

    def __init__(self, hits: ScoredHits, gain: Floats, bins: Ints, n_bins: int) -> None:
        self._shape = hits.n_categories, n_bins
        shape = hits.n_categories * n_bins, hits.n_images
        rows = hits.category * n_bins + bins
        self._matrices = tuple(
            count_matrix(rows, hits.image, shape, values) for values in (None, hits.scores, gain)
        )

    def sums(self, weights: Floats) -> tuple[Floats, Floats, Floats]:
        """Return the three sums, each of shape (K, bins, R)."""
        number, score, gain = ((m @ weights).reshape(*self._shape, -1) for m in self._matrices)
        return number, score, gain

    def pooled(self, weights: Floats) -> Floats:
        """Return the error of all detections together, shape (R,); NaN without detections."""
        number, score, gain = (part.sum(axis=0) for part in self.sums(weights))
        return ratio(np.abs(gain - score).sum(axis=0), number.sum(axis=0))

    def per_class(self, weights: Floats) -> Floats:
        """Return the error of each class, shape (K, R); NaN for a class without detections."""
        number, score, gain = self.sums(weights)
        return ratio(np.abs(gain - score).sum(axis=1), number.sum(axis=1))

    def class_mean(self, weights: Floats) -> Floats:
        """Return the mean error over the classes that have detections, shape (R,); NaN if none has."""
        errors = self.per_class(weights)
        defined = ~np.isnan(errors)
        return ratio(np.where(defined, errors, 0).sum(axis=0), defined.sum(axis=0))


def bin_of(values: Floats, n_bins: int) -> Ints:
    """Return the bin of each value in [0, 1]: equal widths, the lower bound included, 1 in the last."""
    edges = np.linspace(0.0, 1.0, n_bins + 1)
    return np.clip(np.searchsorted(edges, values, side="right") - 1, 0, n_bins - 1)


def require_shares(scores: Floats) -> None:
    """Raise `DetectionError` unless all scores are in [0, 1]: others are no probabilities."""
    if len(scores) and not (scores.min() >= 0 and scores.max() <= 1):
        bad = scores[(scores < 0) | (scores > 1)][0]
        raise DetectionError(
            f"`scores` must be in [0, 1] for a calibration error, got {bad:g}. Give probabilities, not logits "
            "or per cent."
        )
