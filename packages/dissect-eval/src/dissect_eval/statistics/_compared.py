"""Intervals of many metrics at once: a study has tens of thousands of them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ._intervals import p_values, percentile_intervals, t_intervals
from ._metrics import Floats, Key
from ._resampled import Resampled, Resampling

__all__ = ["Compared", "compared", "stacked", "standard_errors"]


@dataclass(frozen=True, eq=False)
class Compared:
    """Columns of K metrics; NaN where undefined.

    Attributes
    ----------
    baseline, variant : ndarray of float64, shape (K,)
        The metrics of both sets of detections; `variant` is NaN if only one was given.
    estimate : ndarray of float64, shape (K,)
        The value that the interval is for: variant − baseline, or the baseline if only one set was given.
    low, high : ndarray of float64, shape (K,)
    bias : ndarray of float64, shape (K,)
        How far the estimate lies too high because of the number of images, as halves of them show it; NaN for the
        percentile interval, which has none.
    standard_error, p_value : ndarray of float64, shape (K,)
    n_undefined : ndarray of int64, shape (K,)
        Resamples in which the metric is undefined.
    n_replicates : int
    """

    baseline: Floats
    variant: Floats
    estimate: Floats
    low: Floats
    high: Floats
    bias: Floats
    standard_error: Floats
    p_value: Floats
    n_undefined: NDArray[np.int64]
    n_replicates: int


def compared(
    keys: Sequence[Key], baseline: Resampled, variant: Resampled | None, how: Resampling
) -> Compared:
    """Return the intervals of some metrics, or of their differences between the two if there is a variant."""
    one = np.array([baseline.whole[key] for key in keys])
    other = np.full(len(keys), np.nan) if variant is None else np.array([variant.whole[key] for key in keys])
    estimate = one if variant is None else other - one
    out = np.full((5, len(keys)), np.nan)
    n_undefined = np.zeros(len(keys), dtype=np.int64)
    n_replicates = 0
    if baseline.replicates:
        n_replicates = how.n_replicates
        replicates = stacked(keys, baseline, variant, "replicates")
        n_undefined = np.isnan(replicates).sum(axis=1)
        out[3] = standard_errors(replicates)
        if how.method == "percentile":
            out[:2] = percentile_intervals(estimate, replicates, how.confidence)
        else:
            halves = stacked(keys, baseline, variant, "halves")
            out[2] = [baseline.bias[key] for key in keys]
            if variant is not None:
                out[2] = [variant.bias[key] for key in keys] - out[2]
            out[:2] = t_intervals(estimate, out[3], halves, out[2], baseline.n_images, how.confidence)
            if variant is None:
                least = np.array([-1.0 if "giou" in metric else 0.0 for metric, _ in keys])
                out[0], out[1] = np.maximum(out[0], least), np.minimum(out[1], 1.0)
        if variant is not None:
            out[4] = p_values(estimate, replicates, baseline.n_images)
    low, high, bias, error, p = out
    return Compared(one, other, estimate, low, high, bias, error, p, n_undefined, n_replicates)


def stacked(keys: Sequence[Key], baseline: Resampled, variant: Resampled | None, name: str) -> Floats:
    """Return the values of the metrics on the resamples, or their differences, shape (K, R)."""
    values = np.stack([getattr(baseline, name)[key] for key in keys])
    return values if variant is None else np.stack([getattr(variant, name)[key] for key in keys]) - values


def standard_errors(replicates: Floats) -> Floats:
    """Return the standard deviations of the defined replicates (K, R); NaN where fewer than two are."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # NumPy warns where fewer than two are defined
        found: Floats = np.nanstd(replicates, axis=1, ddof=1)
    return found
