"""Small p-values from further resamples: as many as the correction for many tests needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .._arrays import Ints
from ..data import Detections, GroundTruth
from ._intervals import as_far, image_weights, with_t_tails
from ._metrics import Floats, Key, MetricSettings, Values
from ._resampled import Resampling, measured_on
from ._statistics import statistics_of

__all__ = ["Further"]

STREAM = 1
"""Number of the random stream, which gives other resamples than those of the intervals."""
LEVEL = 0.05
"""P-values from this on are not significant, and are not refined."""
BEYOND = 2.0
"""If a difference is this many times as far from 0 as its farthest replicate is from the difference, its p-value is not
refined: with a normal distribution and a thousand replicates, one further replicate in 10^10 would reach 0."""
ENOUGH = 50
"""With so many replicates as far away, the standard error of a p-value is a seventh of its size."""


class Further:
    """Refines small p-values by further resamples, up to `how.n_for_p` in all, or until enough lie as far away.

    Parameters
    ----------
    truth : GroundTruth
    baseline : Detections
    settings : MetricSettings
    how : Resampling
    """

    def __init__(
        self, truth: GroundTruth, baseline: Detections, settings: MetricSettings, how: Resampling
    ) -> None:
        self._truth, self._how = truth, how
        self._settings = replace(settings, per_class=False)
        self._statistics = statistics_of(truth, baseline, self._settings)
        self._of_baseline: list[Values] = []

    def p_values(
        self, keys: Sequence[Key], detections: Detections, differences: Floats, replicates: Floats, p: Floats
    ) -> Floats:
        """Return the p-values of a variant; small ones over all categories are refined by further resamples.

        Parameters
        ----------
        keys : sequence of K (str, int or None)
        detections : Detections
            Detections of the variant.
        differences : ndarray of float64, shape (K,)
        replicates : ndarray of float64, shape (K, R)
            Replicates that have been drawn already.
        p : ndarray of float64, shape (K,)
            P-values from these replicates.
        """
        over_all = np.array([category is None for _, category in keys])
        small = np.flatnonzero(over_all & (p < LEVEL))
        if not len(small) or self._how.n_for_p <= self._how.n_replicates:
            return p
        drawn = (~np.isnan(replicates[small])).sum(axis=1)
        far = as_far(differences[small], replicates[small]).sum(axis=1)
        reach = np.nanmax(np.abs(replicates[small] - differences[small, None]), axis=1)
        open_ = np.abs(differences[small]) < BEYOND * reach
        n_further = self._how.n_for_p - self._how.n_replicates
        drawn[~open_] += n_further * drawn[~open_] // self._how.n_replicates
        names = [keys[k] for k in small.tolist()]
        self._draw(names, detections, differences[small], drawn, far, open_)
        out: Floats = p.copy()
        out[small] = with_t_tails((1 + far) / (1 + drawn), self._truth.n_images)
        return out

    def _draw(
        self,
        keys: Sequence[Key],
        detections: Detections,
        differences: Floats,
        drawn: Ints,
        far: Ints,
        open_: NDArray[np.bool_],
    ) -> None:
        """Draw further resamples and add them to `drawn` and `far`, in place, while any p-value is open."""
        n_further, seed = self._how.n_for_p - self._how.n_replicates, self._how.seed
        if not open_.any():
            return
        measured: tuple[str, ...] = ()
        for number, weights in enumerate(image_weights(self._truth.n_images, n_further, seed, STREAM)):
            at = np.flatnonzero(open_ & (far < ENOUGH)).tolist()
            if not at:
                return
            metrics = tuple(keys[k][0] for k in at)
            if metrics != measured:
                statistics = statistics_of(self._truth, detections, replace(self._settings, metrics=metrics))
                measured = metrics
            if number == len(self._of_baseline):
                self._of_baseline.append(measured_on(self._statistics, [weights]))
            values, before = measured_on(statistics, [weights]), self._of_baseline[number]
            change: Floats = np.stack([values[keys[k]] for k in at]) - np.stack([before[keys[k]] for k in at])
            drawn[at] += (~np.isnan(change)).sum(axis=1)
            far[at] += as_far(differences[at], change).sum(axis=1)
