"""Precision, recall and F1 from counts, and F1 of paired labels, without scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._arrays import Ints, ratio
from .._numbers import plain_values
from ..errors import SettingError

__all__ = ["PairedF1", "f1_of_counts", "paired_labels_f1"]


@dataclass(frozen=True, eq=False)
class PairedF1:
    """F1 of paired labels, for C classes.

    Attributes
    ----------
    labels : ndarray of int64, shape (C,)
        The classes, ascending unless given.
    support : ndarray of int64, shape (C,)
        How often each class is the true one.
    true_positives, false_positives, false_negatives : ndarray of int64, shape (C,)
        One-vs-rest counts over the pairs.
    f1 : ndarray of float64, shape (C,)
        One-vs-rest F1 of each class, in [0, 1]; `undefined` where the class occurs on neither side.
    weighted : float
        Mean of `f1` weighted by `support`; `undefined` if there is no pair.
    """

    labels: Ints
    support: Ints
    true_positives: Ints
    false_positives: Ints
    false_negatives: Ints
    f1: NDArray[np.float64]
    weighted: float


def f1_of_counts(
    true_positives: ArrayLike,
    false_positives: ArrayLike,
    false_negatives: ArrayLike,
    undefined: float = float("nan"),
) -> NDArray[np.float64]:
    """Return F1 = 2 TP / (2 TP + FP + FN), and `undefined` where all three are 0.

    Parameters
    ----------
    true_positives, false_positives, false_negatives : array-like of int, shape (C,)
        Counts per class.
    undefined : float
        Value where nothing was to be found and nothing was found.

    Returns
    -------
    ndarray of float64, shape (C,)

    References
    ----------
    van Rijsbergen, Information Retrieval, 1979; the Dice coefficient of two sets.

    Examples
    --------
    >>> f1_of_counts([3, 0, 0], [1, 2, 0], [1, 0, 0])
    array([0.75, 0.  ,  nan])
    """
    twice = 2 * np.asarray(true_positives)
    return ratio(twice, twice + np.asarray(false_positives) + np.asarray(false_negatives), undefined)


def paired_labels_f1(
    true_labels: ArrayLike,
    predicted_labels: ArrayLike,
    labels: ArrayLike | None = None,
    undefined: float = float("nan"),
) -> PairedF1:
    """Compute the F1 of predicted against true labels, per class (one-vs-rest) and weighted by true count.

    Parameters
    ----------
    true_labels, predicted_labels : array-like of int, shape (P,)
        Labels of the two sides of each pair.
    labels : array-like of int, shape (C,), optional
        Classes to report, unique, in this order; by default all that occur on either side, ascending.
    undefined : float
        Value where F1 is undefined; scikit-learn and Deep Dissect 1.0 report 0.

    Returns
    -------
    PairedF1

    Raises
    ------
    SettingError
        If the two sides differ in length or `labels` repeat.

    References
    ----------
    ``sklearn.metrics.f1_score`` with ``average=None`` and ``average="weighted"``: equal numbers.

    Examples
    --------
    >>> result = paired_labels_f1([1, 1, 2, 5], [1, 2, 2, 2])
    >>> dict(zip(result.labels.tolist(), result.f1.round(4).tolist())), round(result.weighted, 4)
    ({1: 0.6667, 2: 0.5, 5: 0.0}, 0.4583)
    """
    true, predicted = (
        _labels(x, name) for x, name in ((true_labels, "true_labels"), (predicted_labels, "predicted_labels"))
    )
    if len(true) != len(predicted):
        raise SettingError(
            f"`true_labels` and `predicted_labels` must pair up, got {len(true)} and {len(predicted)} labels. Give one "
            "of each for every pair."
        )
    present, place = np.unique(np.concatenate([true, predicted]), return_inverse=True)
    at_true, at_predicted = place.reshape(2, -1)
    n = len(present)
    hits = np.bincount(at_true[at_true == at_predicted], minlength=n).astype(np.int64)
    support = np.bincount(at_true, minlength=n).astype(np.int64)
    predictions = np.bincount(at_predicted, minlength=n).astype(np.int64)
    if labels is None:
        wanted = present
    else:
        wanted = _labels(labels, "labels")
        known, times = np.unique(wanted, return_counts=True)
        if len(known) != len(wanted):
            raise SettingError(
                f"`labels` must be unique, got {known[times > 1][0]} more than once. Remove the repeats."
            )
        hits, support, predictions = (_at(wanted, present, counts) for counts in (hits, support, predictions))
    f1 = f1_of_counts(hits, predictions - hits, support - hits, undefined)
    total = int(support.sum())
    weighted = float((f1[support > 0] * support[support > 0]).sum() / total) if total else undefined
    return PairedF1(wanted, support, hits, predictions - hits, support - hits, f1, float(weighted))


def _labels(given: Any, name: str) -> Ints:
    try:
        return np.asarray(plain_values(given), dtype=np.int64).reshape(-1)
    except (TypeError, ValueError, OverflowError) as exc:
        raise SettingError(f"`{name}` must be whole numbers, one label each; {exc}.") from exc


def _at(wanted: Ints, present: Ints, counts: Ints) -> Ints:
    """Return the counts of the wanted classes; 0 for one that is not present."""
    out = np.zeros(len(wanted), dtype=np.int64)
    if len(present):
        place = np.clip(np.searchsorted(present, wanted), 0, len(present) - 1)
        found = present[place] == wanted
        out[found] = counts[place[found]]
    return out
