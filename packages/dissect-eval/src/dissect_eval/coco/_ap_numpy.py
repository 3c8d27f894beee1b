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
from ..data import Detections, GroundTruth
from ._agnostic import as_one_class
from ._index import TieBreak, TruthIndex, index_of
from ._match import CocoMatches, match
from ._ranking import Ranking, kept, rank
from ._settings import DEFAULT, CocoSettings, Number

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
    "scores_at",
]

RECALLS = np.linspace(0.0, 1.0, 101)
"""Recalls at which COCO samples precision."""


@dataclass(frozen=True, eq=False)
class MatchedSplit:
    """Truth and detections of a split, ordered and matched, for all curves and averages."""

    index: TruthIndex
    ranking: Ranking
    matches: CocoMatches
    settings: CocoSettings


def match_split(
    truth: GroundTruth,
    aligned: Detections,
    tie_break: TieBreak,
    settings: CocoSettings = DEFAULT,
    ranking: Ranking | None = None,
) -> MatchedSplit:
    """Match a split as COCO does, in the order of `ranking` if that is given."""
    index = index_of(truth, tie_break, settings)
    everything = rank(index, aligned, tie_break) if ranking is None else ranking
    ranking = kept(everything, everything.place < settings.most)
    return MatchedSplit(index, ranking, match(index, ranking, settings.thresholds), settings)


def evaluate(
    truth: GroundTruth,
    aligned: Detections,
    tie_break: TieBreak,
    settings: CocoSettings = DEFAULT,
    ranking: Ranking | None = None,
) -> tuple[dict[str, float], list[float]]:
    """Return all numbers by name, and AP per category in the order of the truth's categories; NaN where undefined."""
    split = match_split(truth, aligned, tie_break, settings, ranking)
    # Only categories with truth: there may be many others, and all their numbers are undefined.
    precision = [precision_of_known(split, area)[0] for area in range(len(settings.areas))]

    def value(number: Number) -> float:
        if number.is_recall:
            return mean_of_defined(recall_at(split, number.area, number.cut))
        return mean_of_defined(precision[number.area][number.thresholds])

    whole, known = precision[0], np.flatnonzero(split.index.n_counted[0] > 0).tolist()
    per_class = dict(zip(known, (mean_of_defined(whole[:, :, k]) for k in range(len(known))), strict=True))
    return {name: value(number) for name, number in settings.numbers.items()}, [
        per_class.get(k, float("nan")) for k in range(len(split.index.categories))
    ]


def precision_arrays(
    truth: GroundTruth, detections: Detections, tie_break: TieBreak, settings: CocoSettings = DEFAULT
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return precision (T, R, K, A, M) and recall (T, K, A, M) as ``COCOeval.eval`` holds them, -1 if undefined."""
    aligned = detections.aligned_to(truth)
    if settings.class_agnostic:
        truth, aligned = as_one_class(truth, aligned)
    split = match_split(truth, aligned, tie_break, settings)
    areas, cuts = range(len(settings.areas)), settings.max_detections
    precision = np.stack([np.stack([precision_at(split, a, m) for m in cuts], -1) for a in areas], -2)
    recall = np.stack([np.stack([recall_at(split, a, m) for m in cuts], -1) for a in areas], -2)
    return np.nan_to_num(precision, nan=-1.0), np.nan_to_num(recall, nan=-1.0)


def precision_at(split: MatchedSplit, area: int = 0, cut: int | None = None) -> NDArray[np.float64]:
    """Return interpolated precision, shape (T, 101, K), of one area range and cut; NaN without truth."""
    found, known = precision_of_known(split, area, cut)
    out = np.full((*found.shape[:2], len(split.index.categories)), np.nan)
    out[:, :, known] = found
    return out


def precision_of_known(
    split: MatchedSplit, area: int = 0, cut: int | None = None
) -> tuple[NDArray[np.float64], Ints]:
    """Return interpolated precision of only the categories with truth in the area range, and their indices."""
    n_counted = split.index.n_counted[area]
    known = np.flatnonzero(n_counted > 0)
    out = np.zeros((len(split.matches.hit), len(RECALLS), len(known)))
    for t, hits, counted in _hits(split, area, split.settings.most if cut is None else cut):
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


def scores_at(split: MatchedSplit, area: int = 0, cut: int | None = None) -> NDArray[np.float64]:
    """Return the score at which each recall is reached, shape (T, 101, K): 0 where it is not, NaN without truth.

    At recall 0 it is the best score of the category, also of a false positive.
    """
    ranking, n_counted = split.ranking, split.index.n_counted[area]
    known = np.flatnonzero(n_counted > 0)
    out = np.full((len(split.matches.hit), len(RECALLS), len(n_counted)), np.nan)
    out[:, :, known] = 0
    found = np.flatnonzero((n_counted > 0) & (np.diff(ranking.splits) > 0))
    out[:, 0, found] = ranking.scores[ranking.splits[found]]
    for t, hits, _ in _hits(split, area, split.settings.most if cut is None else cut):
        category = ranking.category[hits]
        begins, ends = np.searchsorted(category, known), np.searchsorted(category, known, side="right")
        for k, begin, end in zip(known.tolist(), begins.tolist(), ends.tolist(), strict=True):
            recall = np.arange(1.0, end - begin + 1) / n_counted[k]
            at = np.searchsorted(recall, RECALLS[1:], side="left")
            reached = at < end - begin
            out[t, 1:, k][reached] = ranking.scores[hits[begin:end]][at[reached]]
    return out


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
