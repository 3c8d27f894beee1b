"""Confidence intervals and p-values from resampled values, and corrections for testing many variants.

``scipy.stats.bootstrap`` is not used: it draws the resamples itself and calls the metric for each of them. Here all
metrics of all resamples come from matrix products, and only their quantiles and tails are left to compute. Of SciPy's
distributions the functions of ``scipy.special`` are used, since importing ``scipy.stats`` takes half a second.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._numbers import is_number
from .._text import quoted
from ..errors import SettingError

__all__ = [
    "Correction",
    "IntervalMethod",
    "RepeatSummary",
    "adjust_p_values",
    "half_bias",
    "half_weights",
    "image_weights",
    "interval",
    "interval_note",
    "least_p_value",
    "p_values",
    "percentile_intervals",
    "replicates_needed",
    "summarize_repeats",
    "t_intervals",
]

Floats = NDArray[np.float64]
IntervalMethod = Literal["t", "percentile"]
Correction = Literal["holm", "bh", "none"]

WEIGHTS_AT_ONCE = 256
HALVES = 200
"""Halves of the images that are looked at: their mean and spread need fewer than the tails of resamples."""
HALVES_STREAM = 7
"""Stream of random numbers for the halves, apart from that of the resamples."""
FEW_IMAGES, FEWEST_PAIRED = 40, 10
"""Images from which on intervals of one detector's value, and of a paired difference, were tried: see the README."""


def image_weights(n_images: int, n_replicates: int, seed: int, stream: int = 0) -> Iterator[Floats]:
    """Yield how often each image was drawn, in blocks of shape (I, ≤ 256): the same for the same seed and stream."""
    start = np.random.SeedSequence(seed, spawn_key=(stream,)) if stream else seed
    rng = np.random.Generator(np.random.PCG64(start))
    for start in range(0, n_replicates, WEIGHTS_AT_ONCE):
        n = min(WEIGHTS_AT_ONCE, n_replicates - start)
        drawn = rng.integers(0, n_images, size=(n_images, n)) * n + np.arange(n)
        counts = np.bincount(drawn.reshape(-1), minlength=n_images * n)
        yield counts.reshape(n_images, n).astype(np.float64)


def half_weights(n_images: int, seed: int) -> Iterator[Floats]:
    """Yield which half of the images is taken, without repeats, in blocks of shape (I, ≤ 256)."""
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(HALVES_STREAM,))))
    for start in range(0, HALVES, WEIGHTS_AT_ONCE):
        n = min(WEIGHTS_AT_ONCE, HALVES - start)
        order = np.argsort(rng.random((n_images, n)), axis=0)
        yield (order < n_images // 2).astype(np.float64)


def interval(estimate: float, replicates: Floats, confidence: float) -> tuple[float, float]:
    """Return a percentile interval from bootstrap replicates; NaN if the estimate or all replicates are undefined.

    References
    ----------
    Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
    """
    values = replicates[~np.isnan(replicates)]
    if not len(values) or np.isnan(estimate):
        return float("nan"), float("nan")
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def half_bias(whole: Floats, halves: Floats) -> float:
    """Return how far a mean over classes lies higher on halves of the images than on all of them.

    AP of a class grows as images become fewer, since fewer false positives compete with its objects. The mean over
    classes need not: a half leaves out classes that have no object in it, mostly rare ones, whose AP is unlike that of
    the others, and the two effects may cancel. So each class is compared with itself, over the halves that hold it.

    Parameters
    ----------
    whole : ndarray of float64, shape (C,)
        The number of each class on all images; NaN where undefined. A number that is no mean over classes is one class.
    halves : ndarray of float64, shape (C, H)
        The same on halves of the images.

    Examples
    --------
    >>> halves = np.array([[0.3, 0.3], [np.nan, 0.9]])  # the mean is .3 and .6, and on all images .55
    >>> round(half_bias(np.array([0.2, 0.9]), halves), 3)
    0.05
    """
    known = ~np.isnan(halves) & ~np.isnan(whole)[:, None]
    n_known = known.sum(axis=1)
    seen = n_known > 0
    if not seen.any():
        return float("nan")
    sums = np.where(known, halves, 0.0).sum(axis=1)[seen]
    return float(np.mean(sums / n_known[seen] - whole[seen]))


def t_intervals(
    estimates: Floats, errors: Floats, halves: Floats, bias: Floats, n_images: int, confidence: float
) -> tuple[Floats, Floats]:
    """Return Student's t intervals of K estimates, widened to the side of their bias.

    AP of few images is biased: false positives that no other image outranks make it larger than it is on more images.
    Resamples with repeated images show only part of that; halves of the images without repeats show what the number of
    images does. If the bias is proportional to 1 / n, the halves lie as far from the estimate as that from the truth;
    if it is proportional to 1 / sqrt(n), it is 2.4 times as large. Twice that is allowed for.

    Parameters
    ----------
    estimates, errors : ndarray of float64, shape (K,)
        With the standard deviation of each over resamples.
    halves : ndarray of float64, shape (K, H)
        The numbers on halves of the images.
    bias : ndarray of float64, shape (K,)
        How far halves lie higher, see `half_bias`.
    n_images : int
    confidence : float

    Returns
    -------
    low, high : ndarray of float64, shape (K,)
        NaN where undefined.

    References
    ----------
    Politis, Romano and Wolf, Subsampling, 1999; Quenouille, Biometrika 43, 1956, for the bias; Hesterberg, The American
    Statistician 69, 2015, for Student's t and the factor n / (n - 1).
    """
    from scipy import special  # on use: it would double the time that importing this package takes

    taken = n_images // 2
    nothing = np.full(len(estimates), np.nan)
    if taken < 1:
        return nothing, nothing
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # NumPy warns where none is defined
        # The deviation of samples without repeats is smaller by the share that is left out.
        of_halves = np.nanstd(halves, axis=1, ddof=1) * np.sqrt(taken / (n_images - taken))
    error = np.fmax(errors, of_halves) * np.sqrt(n_images / (n_images - 1))
    reach = special.stdtrit(n_images - 1, (1 + confidence) / 2) * error
    low = estimates - reach - 2 * np.fmax(bias, 0)
    high = estimates + reach + 2 * np.fmax(-bias, 0)
    return low, high


def percentile_intervals(estimates: Floats, replicates: Floats, confidence: float) -> tuple[Floats, Floats]:
    """Return the percentile intervals of K estimates from their replicates, shape (K, R), as `interval` does."""
    low, high = (np.full(len(estimates), np.nan) for _ in range(2))
    tails = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
    gaps = np.isnan(replicates).any(axis=1)
    whole = np.flatnonzero(~gaps & ~np.isnan(estimates))
    if replicates.shape[1]:
        low[whole], high[whole] = np.quantile(replicates[whole], tails, axis=1)
    for k in np.flatnonzero(gaps).tolist():
        low[k], high[k] = interval(float(estimates[k]), replicates[k], confidence)
    return low, high


def p_values(differences: Floats, replicates: Floats, n_images: int | None = None) -> Floats:
    """Return two-sided bootstrap p-values: the share of replicates as far from the difference as it is from 0.

    Parameters
    ----------
    differences : ndarray of float64, shape (K,)
    replicates : ndarray of float64, shape (K, R)
        NaN where undefined: left out.
    n_images : int, optional
        How many images were resampled, for `with_t_tails`.

    References
    ----------
    Hall and Wilson, Biometrics 47, 1991: resample the distance from the estimate, not from 0. One is added to
    both counts, so that no p-value is 0.
    """
    n = (~np.isnan(replicates)).sum(axis=1)
    shares = (1 + as_far(differences, replicates).sum(axis=1)) / (1 + n)
    found: Floats = np.where(np.isnan(differences) | (n == 0), np.nan, shares)
    return found if n_images is None else with_t_tails(found, n_images)


def as_far(differences: Floats, replicates: Floats) -> NDArray[np.bool_]:
    """Return which replicates (K, R) lie as far from their difference (K,) as it lies from 0; undefined ones do not."""
    return np.abs(replicates - differences[:, None]) >= np.abs(differences)[:, None] - 1e-12


def with_t_tails(p_values: ArrayLike, n_images: int) -> Floats:
    """Return p-values corrected for a small number of images; NaN for a single image.

    Resamples of n images spread less than other images would, by ``sqrt((n - 1) / n)``, and their tails are those of a
    normal distribution and not of Student's t. Without this correction, twenty images and a hundred tests of no effect
    give a false finding in one study of five; with it, in about one of fifteen (with a hundred images, one of twenty).

    References
    ----------
    Hesterberg, The American Statistician 69, 2015: the expanded percentile interval, of which this is the p-value.
    """
    from scipy import special  # on use: it would double the time that importing this package takes

    p = np.asarray(p_values, dtype=np.float64)
    if n_images < 2:
        return np.full_like(p, np.nan)
    z = -special.ndtri(p / 2)
    found: Floats = 2 * special.stdtr(n_images - 1, -z * np.sqrt((n_images - 1) / n_images))
    return found


def interval_note(n_images: int, method: IntervalMethod = "t", *, paired: bool = False) -> str:
    """Return what an interval of 95 % is worth if that is less than it says; else an empty text.

    Examples
    --------
    >>> interval_note(12)
    "Over 12 images, intervals of 95 % may hold one detector's true AP only some 90 % of the time; take 40 or more."
    >>> interval_note(12, paired=True), interval_note(40)
    ('', '')
    """
    if method == "percentile":
        held = "a true difference of AP 84 to 95 %" if paired else "one detector's true AP 37 to 96 %"
        return f"In trials, percentile intervals of 95 % held {held} of the time; method='t' covers better."
    if paired and n_images < FEWEST_PAIRED:
        return (
            f"Paired intervals were tried with {FEWEST_PAIRED} images or more, and these are over {n_images}."
        )
    if not paired and n_images < FEW_IMAGES:
        return (
            f"Over {n_images} images, intervals of 95 % may hold one detector's true AP only some 90 % of the time; "
            f"take {FEW_IMAGES} or more."
        )
    return ""


def least_p_value(n_replicates: int, n_images: int, n_tests: int = 1) -> float:
    """Return the least corrected p-value that one of `n_tests` tests can have with so many resamples and images.

    Examples
    --------
    >>> round(least_p_value(1000, 5000, n_tests=100), 3)
    0.101
    """
    return min(1.0, n_tests * float(with_t_tails(1 / (n_replicates + 1), n_images)))


def replicates_needed(n_tests: int, n_images: int, level: float = 0.05) -> float:
    """Return how many resamples a corrected p-value needs to fall below a level; infinity for a single image.

    Examples
    --------
    >>> replicates_needed(100, 5000), replicates_needed(100, 24)
    (2019, 28109)
    """
    from scipy import special  # on use: it would double the time that importing this package takes

    if n_images < 2:
        return np.inf
    t = -special.stdtrit(n_images - 1, level / (2 * max(n_tests, 1)))
    share = 2 * special.ndtr(-t * np.sqrt(n_images / (n_images - 1)))
    return int(1 / share) if share > 1e-12 else np.inf


def adjust_p_values(p_values: ArrayLike, method: Correction = "holm") -> Floats:
    """Adjust p-values for the number of tests made together.

    Parameters
    ----------
    p_values : array-like, shape (n,)
        In [0, 1]; NaN, where there is no test, stays NaN and does not count.
    method : {"holm", "bh", "none"}
        "holm" bounds the chance of any false finding, "bh" (Benjamini–Hochberg) the expected share of false
        ones among the findings.

    Returns
    -------
    ndarray of float64, shape (n,)
        In [0, 1]; compare them with the level of significance itself.

    Raises
    ------
    SettingError
        If a value is outside [0, 1] or the method is unknown.

    References
    ----------
    Holm, Scand. J. Statist. 6, 1979; Benjamini and Hochberg, J. R. Statist. Soc. B 57, 1995.

    Examples
    --------
    >>> adjust_p_values([0.01, 0.04, 0.03]).round(4)
    array([0.03, 0.06, 0.06])
    >>> adjust_p_values([0.01, 0.04, 0.03], "bh").round(4)
    array([0.03, 0.04, 0.04])
    """
    p = _floats(p_values, "p_values")
    known = np.flatnonzero(~np.isnan(p))
    if ((p[known] < 0) | (p[known] > 1)).any():
        raise SettingError(f"`p_values` must be in [0, 1], got {p[known].min()} to {p[known].max()}.")
    if method == "holm":  # SciPy has no such correction
        order = known[np.argsort(p[known], kind="stable")]
        p[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)), 1.0)
    elif method == "bh":
        from scipy.stats import false_discovery_control

        p[known] = false_discovery_control(p[known], method="bh")
    elif method != "none":
        raise SettingError(f"`method` must be 'holm', 'bh' or 'none', got {method!r}.")
    return p


@dataclass(frozen=True)
class RepeatSummary:
    """Mean of a metric over repeats, such as random draws of one dose; NaN where undefined.

    Attributes
    ----------
    mean, standard_deviation, standard_error : float
        The deviation is computed with n − 1; the error is that of the mean.
    low, high : float
        Student's t interval of the mean.
    n : int
        Number of defined values.
    """

    mean: float
    standard_deviation: float
    standard_error: float
    low: float
    high: float
    n: int


def summarize_repeats(values: ArrayLike, confidence: float = 0.95) -> RepeatSummary:
    """Summarise a metric over repeats: its mean, and how far that depends on the random draws.

    Parameters
    ----------
    values : array-like, shape (n,)
        One value for each repeat; NaN is left out.
    confidence : float
        In (0, 1).

    Returns
    -------
    RepeatSummary
        The spread is NaN for fewer than two values.

    Raises
    ------
    SettingError
        If `confidence` is out of range.

    Examples
    --------
    >>> result = summarize_repeats([0.2, 0.3, 0.4])
    >>> round(result.mean, 6), round(result.standard_error, 4), round(result.low, 3), round(result.high, 3)
    (0.3, 0.0577, 0.052, 0.548)
    """
    from scipy import special  # on use: it would double the time that importing this package takes

    check_confidence(confidence)
    x = _floats(values, "values")
    x = x[~np.isnan(x)]
    nan = float("nan")
    if len(x) < 2:
        return RepeatSummary(float(x[0]) if len(x) else nan, nan, nan, nan, nan, len(x))
    deviation = float(x.std(ddof=1))
    error = deviation / len(x) ** 0.5
    reach = float(special.stdtrit(len(x) - 1, (1 + confidence) / 2)) * error
    mean = float(x.mean())
    return RepeatSummary(mean, deviation, error, mean - reach, mean + reach, len(x))


def _floats(given: ArrayLike, name: str) -> Floats:
    try:
        return np.array(given, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError) as exc:
        raise SettingError(f"`{name}` must be numbers; {exc}.") from exc


def check_confidence(confidence: float) -> None:
    """Raise `SettingError` unless the confidence is a probability strictly within 0 and 1."""
    if not is_number(confidence) or not 0 < confidence < 1:
        raise SettingError(
            f"`confidence` must be within 0 and 1, got {quoted(confidence)}. The usual one is 0.95."
        )
