"""COCO's precision and recall in NumPy: bit for bit the arrays that ``COCOeval.accumulate`` makes.

Precision after a detection is TP / (TP + FP). Its running maximum from the end changes only at true
positives, and so does recall: other detections are only counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._arrays import Ints, ratio
from ..data import AREA_RANGES, Detections, GroundTruth
from ._index import TieBreak, TruthIndex, index_of
from ._match import IOU_THRESHOLDS, CocoMatches, match
from ._ranking import MAX_DETECTIONS, Ranking, kept, rank

__all__ = [
    "RECALLS",
    "MatchedSplit",
    "evaluate",
    "match_split",
    "mean_of_defined",
    "precision_arrays",
    "precision_at",
    "precision_of_known",
    "recall_at",
]

RECALLS = np.linspace(0.0, 1.0, 101)
"""Recalls at which COCO samples precision."""

CUTS = (1, 10, MAX_DETECTIONS)


@dataclass(frozen=True, eq=False)
class MatchedSplit:
    """Truth and detections of a split, ordered and matched, for all curves and averages."""

    index: TruthIndex
    ranking: Ranking
    matches: CocoMatches


def match_split(
    truth: GroundTruth,
    aligned: Detections,
    tie_break: TieBreak,
    thresholds: NDArray[np.float64] = IOU_THRESHOLDS,
    ranking: Ranking | None = None,
) -> MatchedSplit:
    """Match a split as COCO does, in the order of `ranking` if that is given."""
    index = index_of(truth, tie_break)
    everything = rank(index, aligned, tie_break) if ranking is None else ranking
    ranking = kept(everything, everything.place < MAX_DETECTIONS)
    return MatchedSplit(index, ranking, match(index, ranking, thresholds))


def evaluate(truth: GroundTruth, aligned: Detections, tie_break: TieBreak) -> tuple[list[float], list[float]]:
    """Return the twelve numbers, and AP per category in the order of the truth's categories; NaN where undefined."""
    split = match_split(truth, aligned, tie_break)
    # Only categories with truth: there may be many others, and all their numbers are undefined.
    precision = [precision_of_known(split, area)[0] for area in range(len(AREA_RANGES))]
    whole, known = precision[0], np.flatnonzero(split.index.n_counted[0] > 0).tolist()
    aps = [
        mean_of_defined(whole),
        mean_of_defined(whole[0]),
        mean_of_defined(whole[5]),
        *(mean_of_defined(values) for values in precision[1:]),
    ]
    recalls = [recall_at(split, 0, cut) for cut in CUTS]
    recalls += [recall_at(split, area, MAX_DETECTIONS) for area in (1, 2, 3)]
    per_class = dict(zip(known, (mean_of_defined(whole[:, :, k]) for k in range(len(known))), strict=True))
    n_categories = len(split.index.categories)
    return aps + [mean_of_defined(values) for values in recalls], [
        per_class.get(k, float("nan")) for k in range(n_categories)
    ]


def precision_arrays(
    truth: GroundTruth, detections: Detections, tie_break: TieBreak
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return precision (T, R, K, A, M) and recall (T, K, A, M) as ``COCOeval.eval`` holds them, -1 if undefined."""
    split = match_split(truth, detections.aligned_to(truth), tie_break)
    areas = range(len(AREA_RANGES))
    precision = np.stack([np.stack([precision_at(split, a, m) for m in CUTS], -1) for a in areas], -2)
    recall = np.stack([np.stack([recall_at(split, a, m) for m in CUTS], -1) for a in areas], -2)
    return np.nan_to_num(precision, nan=-1.0), np.nan_to_num(recall, nan=-1.0)


def precision_at(split: MatchedSplit, area: int = 0, cut: int = MAX_DETECTIONS) -> NDArray[np.float64]:
    """Return interpolated precision, shape (T, 101, K), of one area range and cut; NaN without truth."""
    found, known = precision_of_known(split, area, cut)
    out = np.full((*found.shape[:2], len(split.index.categories)), np.nan)
    out[:, :, known] = found
    return out


def precision_of_known(
    split: MatchedSplit, area: int = 0, cut: int = MAX_DETECTIONS
) -> tuple[NDArray[np.float64], Ints]:
    """Return interpolated precision of only the categories with truth in the area range, and their indices."""
    n_counted = split.index.n_counted[area]
    known = np.flatnonzero(n_counted > 0)
    out = np.zeros((len(split.matches.hit), len(RECALLS), len(known)))
    for t, hits, counted in _hits(split, area, cut):
        category = split.ranking.category[hits]
        begins, ends = np.searchsorted(category, known), np.searchsorted(category, known, side="right")
        for place in np.flatnonzero(ends > begins):
            k, begin, end = known[place], begins[place], ends[place]
            found = np.arange(1.0, end - begin + 1)
            # COCO adds the smallest step above 1 to the denominator, which shows at the very first detection.
            precision = found / (counted[begin:end] + np.spacing(1))
            best = np.maximum.accumulate(precision[::-1])[::-1]
            at = np.searchsorted(found / n_counted[k], RECALLS, side="left")
            reached = at < len(best)
            out[t, reached, place] = best[at[reached]]
    return out, known


def recall_at(split: MatchedSplit, area: int, cut: int) -> NDArray[np.float64]:
    """Return the recall reached, shape (T, K), in one area range with at most `cut` detections; NaN without truth."""
    ranking, matches, n_counted = split.ranking, split.matches, split.index.n_counted[area]
    early = ranking.place[matches.at] < cut
    category = ranking.category[matches.at]
    hits = np.array(
        [np.bincount(category[hit & early], minlength=len(n_counted)) for hit in matches.hit[:, area]]
    )
    return ratio(hits, n_counted)


def _hits(split: MatchedSplit, area: int, cut: int) -> Iterator[tuple[int, Ints, NDArray[np.float64]]]:
    """Yield per threshold the positions of the true positives, and TP + FP of their category up to each.

    Nearly all detections match nothing and count for every threshold if their area is in range. These are
    counted once; the few that matched correct the count.
    """
    ranking, matches = split.ranking, split.matches
    early = ranking.place < cut
    plain = ranking.in_range[area] & early
    count = np.concatenate([[0], np.cumsum(plain)])
    at, of_candidates = matches.at, early[matches.at]
    category, starts = ranking.category[at], ranking.splits[:-1]
    first = np.searchsorted(at, starts)
    for t in range(len(matches.hit)):
        hit = matches.hit[t, area] & of_candidates
        real = hit | (plain[at] & ~matches.excused[t, area])
        change = np.concatenate([[0], np.cumsum(real.astype(np.int64) - plain[at])])
        chosen = np.flatnonzero(hit)
        k = category[chosen]
        counted = count[at[chosen] + 1] - count[starts[k]] + change[chosen + 1] - change[first[k]]
        yield t, at[chosen], counted.astype(np.float64)


def mean_of_defined(values: NDArray[np.float64]) -> float:
    """Return the mean of the defined values; NaN if there are none."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")
