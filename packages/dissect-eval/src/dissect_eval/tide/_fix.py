"""Average precision with one type of error fixed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .._arrays import Ints
from ..coco import RECALLS
from ._assign import BKG, BOTH, CLS, DUPE, EXCUSED, HIT, LOC, Assignment

__all__ = ["ERROR_TYPES", "SPECIAL_TYPES", "ap_before", "ap_fixed", "missed"]

ERROR_TYPES = ("Cls", "Loc", "Both", "Dupe", "Bkg", "Miss")
SPECIAL_TYPES = ("FalsePos", "FalseNeg")
KINDS = {"Cls": CLS, "Loc": LOC, "Both": BOTH, "Dupe": DUPE, "Bkg": BKG}


def missed(found: Assignment) -> NDArray[np.bool_]:
    """Return True for truth that is not found, and that no Cls or Loc error would have found."""
    miss = found.counted & ~found.hit
    miss[found.claim[found.claim >= 0]] = False
    return miss


def ap_before(found: Assignment, n_categories: int) -> NDArray[np.float64]:
    """Return AP per category; NaN without truth."""
    n_truth = _count(found, found.counted, n_categories)
    ap = _average_precision(found.category, found.kind == HIT, found.kind != EXCUSED, n_truth)
    return np.where(n_truth > 0, ap, np.nan)


def ap_fixed(found: Assignment, error: str, n_categories: int) -> NDArray[np.float64]:
    """Return AP per category with one type of error fixed.

    NaN where there was no truth, or where neither truth nor detections remain.
    """
    category, hit, kept = found.category, found.kind == HIT, found.kind != EXCUSED
    remains = found.counted
    if error == "Miss":
        remains = remains & ~missed(found)
    elif error == "FalseNeg":
        remains = remains & found.hit
    elif error == "FalsePos":
        kept = hit
    else:
        wrong = found.kind == KINDS[error]
        finds = wrong & _claims_first(found)
        hit, kept = hit | finds, kept & (~wrong | finds)
        if error == "Cls":
            category = category.copy()
            category[finds] = found.truth_category[found.claim[finds]]
            order = np.lexsort([found.tie, -found.scores, category])
            category, hit, kept = category[order], hit[order], kept[order]
    ap = _average_precision(category, hit, kept, _count(found, remains, n_categories))
    return np.where(_count(found, found.counted, n_categories) > 0, ap, np.nan)


def _claims_first(found: Assignment) -> NDArray[np.bool_]:
    """Return True for the Cls or Loc error of the best score of those that would have found the same truth."""
    rows = np.flatnonzero(found.claim >= 0)
    rows = rows[np.lexsort([found.tie[rows], -found.scores[rows]])]
    first = np.zeros(len(found.claim), dtype=np.bool_)
    first[rows[np.unique(found.claim[rows], return_index=True)[1]]] = True
    return first


def _count(found: Assignment, boxes: NDArray[np.bool_], n_categories: int) -> Ints:
    return np.bincount(found.truth_category[boxes], minlength=n_categories)


def _average_precision(
    category: Ints, hit: NDArray[np.bool_], kept: NDArray[np.bool_], n_truth: Ints
) -> NDArray[np.float64]:
    """Return 101-point AP per category of detections sorted by category and falling score.

    Without truth it is 0 if there are detections, else NaN.
    """
    category, hit = category[kept], hit[kept]
    every = np.arange(len(n_truth) + 1)
    starts, at = np.searchsorted(category, every), np.flatnonzero(hit)
    of_hit = category[at]
    ends = np.searchsorted(of_hit, every)
    # COCO's precision, with the smallest step above 1 in the denominator.
    precision = (np.arange(1, len(at) + 1) - ends[of_hit]) / (at - starts[of_hit] + 1 + np.spacing(1))
    ap = np.where((n_truth > 0) | (np.diff(starts) > 0), 0.0, np.nan)
    for k in np.flatnonzero(np.diff(ends)):
        best = np.maximum.accumulate(precision[ends[k] : ends[k + 1]][::-1])[::-1]
        place = np.searchsorted(np.arange(1, len(best) + 1) / n_truth[k], RECALLS, side="left")
        sampled = np.zeros(len(RECALLS))
        sampled[place < len(best)] = best[place[place < len(best)]]
        ap[k] = sampled.mean()
    return ap
