"""The LRP error at the best score threshold, as a function of image weights.

The error can fall only with a hit, so that only the scores of hits are thresholds to look at. Between two of these lies
a run of false positives, of which only the number per image is kept.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from .._arrays import ratio
from .._sums import count_matrix
from ._hits import ScoredHits

__all__ = ["LrpSums"]

Floats = NDArray[np.float64]
RESAMPLES_AT_ONCE = 256


class LrpSums:
    """Numbers of detections and hits, and localisation errors, per class up to each score that a hit has.

    Parameters
    ----------
    hits : ScoredHits
        Of all scores.
    iou_threshold : float

    Attributes
    ----------
    scores : ndarray of float64, shape (C,)
        The thresholds, by class and falling.
    splits : ndarray of int64, shape (K + 1,)
        Where each class begins.
    n_images : int
    """

    def __init__(self, hits: ScoredHits, iou_threshold: float) -> None:
        self.n_images = hits.n_images
        order = np.lexsort([-hits.scores, hits.category])
        category, scores, hit = hits.category[order], hits.scores[order], hits.hit[order]
        first = np.ones(len(order), dtype=np.bool_)
        first[1:] = (scores[1:] != scores[:-1]) | (category[1:] != category[:-1])
        run = np.cumsum(first) - 1  # detections of one class and score
        corners = np.unique(run[hit])
        begins = np.flatnonzero(first)[corners]
        self.scores = scores[begins]
        self.splits = np.searchsorted(category[begins], np.arange(hits.n_categories + 1))
        at = np.searchsorted(corners, run)
        inside = at < self.splits[category + 1]  # behind the last hit of a class the error only grows
        rows, images = at[inside], hits.image[order][inside]
        loss = np.where(hit, (1 - hits.iou[order]) / (1 - iou_threshold), 0.0)
        shape = len(corners), hits.n_images
        matrices = [count_matrix(rows, images, shape, values) for values in (None, hit[inside], loss[inside])]
        self._of_class = [[m[begin:end] for m in matrices] for begin, end in pairwise(self.splits.tolist())]
        self._truth = count_matrix(hits.truth_category, hits.truth_image, (hits.n_categories, hits.n_images))

    def counts(self, k: int, weights: Floats) -> tuple[Floats, Floats, Floats]:
        """Return numbers of detections and hits, and localisation errors of a class at its thresholds, (n, R) each."""
        number, hit, loss = (np.cumsum(m @ weights, axis=0) for m in self._of_class[k])
        return number, hit, loss

    def truth(self, weights: Floats) -> Floats:
        """Return the number of true boxes of each class, shape (K, R)."""
        found: Floats = self._truth @ weights
        return found

    def per_class(self, weights: Floats) -> Floats:
        """Return the least error of each class, shape (K, R): at most 1, with no detection; NaN without truth."""
        starts = range(0, weights.shape[1], RESAMPLES_AT_ONCE)
        blocks = [self._block(np.ascontiguousarray(weights[:, i : i + RESAMPLES_AT_ONCE])) for i in starts]
        return np.concatenate(blocks, axis=1)

    def class_mean(self, weights: Floats) -> Floats:
        """Return the mean over the classes that have truth, shape (R,); NaN if none has."""
        errors = self.per_class(weights)
        defined = ~np.isnan(errors)
        return ratio(np.where(defined, errors, 0).sum(axis=0), defined.sum(axis=0))

    def _block(self, weights: Floats) -> Floats:
        n_truth = self.truth(weights)
        out = np.where(n_truth > 0, 1.0, np.nan)
        for k in np.flatnonzero(np.diff(self.splits)).tolist():
            errors = lrp_of(*self.counts(k, weights), n_truth[k])
            out[k] = np.where(n_truth[k] > 0, np.minimum(errors.min(axis=0), 1.0), np.nan)
        return out


def lrp_of(number: Floats, hit: Floats, loss: Floats, n_truth: Floats) -> Floats:
    """Return the LRP error from numbers of detections, of hits, their localisation errors and numbers of true boxes."""
    return ratio(loss + (number - hit) + (n_truth - hit), number + n_truth - hit)
