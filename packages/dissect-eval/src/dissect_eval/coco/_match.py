"""COCO's greedy matching for all IoU thresholds and area ranges at once, over all images at once.

Few detections overlap truth of their category: only those go through the matching, in rounds. Round r holds
the r-th such detection of every image and category, so no two detections of a round compete for a box, and one
array operation matches a round for all thresholds and ranges.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from .._arrays import Ints, splits_of
from ._index import TruthIndex
from ._mask_overlap import mask_overlap
from ._ranking import Ranking

__all__ = ["CocoMatches", "match", "overlapping_pairs"]

PAIRS_AT_ONCE = 2_000_000
"""Most pairs of boxes whose IoU is computed at once, to bound the memory."""


@dataclass(frozen=True, eq=False)
class CocoMatches:
    """Results for the C detections whose IoU with truth of their category reaches the lowest threshold.

    Attributes
    ----------
    at : ndarray of int64, shape (C,)
        Positions in the `Ranking`, ascending. All other detections match nothing.
    hit : ndarray of bool, shape (T, A, C)
        True positives, per IoU threshold and area range.
    excused : ndarray of bool, shape (T, A, C)
        Matched with ignored truth: neither true nor false positives.
    """

    at: Ints
    hit: NDArray[np.bool_]
    excused: NDArray[np.bool_]


def match(index: TruthIndex, ranking: Ranking, thresholds: NDArray[np.float64]) -> CocoMatches:
    """Match detections to truth as ``COCOeval.evaluateImg`` does.

    Best score first, each detection takes the free true box of the highest IoU at or above the threshold, the
    last in order among equals, and takes ignored truth only if there is no other. A crowd region stays free.
    """
    # The same rule as in COCO's code: a threshold of 1 lets rounding pass.
    floors = np.minimum(thresholds, 1 - 1e-10)
    truth, detection, iou = overlapping_pairs(index, ranking, float(floors.min()))
    # Sorted so that among the pairs of a detection the last that is free is the best.
    order = np.lexsort([truth, iou, detection])
    truth, detection, iou = truth[order], detection[order], iou[order]
    found, first = np.unique(detection, return_index=True)  # positions in the order by group
    pairs = np.concatenate([first, [len(detection)]])
    group = ranking.group[found]
    round_of = np.arange(len(found)) - np.searchsorted(group, group)

    shape = (len(floors), len(index.areas))
    hit, excused = (np.zeros((*shape, len(found)), dtype=np.bool_) for _ in range(2))
    free = np.ones((*shape, len(index.group)), dtype=np.bool_)
    by_round = np.argsort(round_of, kind="stable")
    rounds = splits_of(np.bincount(round_of))
    for begin, end in pairwise(rounds):
        of_round = by_round[begin:end]
        lengths = np.diff(pairs)[of_round]
        starts = splits_of(lengths)
        local = np.arange(starts[-1], dtype=np.int32) - np.repeat(starts[:-1], lengths).astype(np.int32)
        rows = np.repeat(pairs[of_round], lengths) + local
        box = truth[rows]
        # The value of a pair is its place among the pairs of its detection, from 1, which ascend by IoU; `places` is
        # added if its truth is to be found, so that it beats all pairs with ignored truth. The maximum over the pairs
        # of a detection thus is the best pair and tells its place. 0 is no pair.
        places = np.int32(lengths.max())
        value = local + 1 + (~index.ignored[:, box]) * places
        can = (iou[rows] >= floors[:, None])[:, None] & (free[..., box] | index.crowd[box])
        best = np.maximum.reduceat(np.where(can, value, 0), starts[:-1], axis=-1)
        hit[..., of_round] = best > places
        excused[..., of_round] = (best > 0) & (best <= places)
        t, a, d = np.nonzero(best)
        # The value gives the place of the pair, and this its true box, which is no longer free.
        free[t, a, box[starts[d] + (best[t, a, d] - 1) % places]] = False
    at = ranking.by_group[found]
    order = np.argsort(at)
    return CocoMatches(at[order], hit[..., order], excused[..., order])


def overlapping_pairs(
    index: TruthIndex, ranking: Ranking, floor: float
) -> tuple[Ints, Ints, NDArray[np.float64]]:
    """Return all pairs of truth and detection of one image and category with IoU at or above `floor`.

    Detections are given as places in ``ranking.by_group``.
    """
    begin = np.searchsorted(ranking.group, index.group, side="left")
    n_pairs = np.searchsorted(ranking.group, index.group, side="right") - begin
    ends = np.cumsum(n_pairs)
    parts: list[tuple[Ints, Ints, NDArray[np.float64]]] = []
    done = 0
    while done < len(ends):
        before = int(ends[done - 1]) if done else 0
        stop = max(int(np.searchsorted(ends, before + PAIRS_AT_ONCE, side="right")), done + 1)
        chunk = np.arange(done, stop)
        counts = n_pairs[chunk]
        truth = np.repeat(chunk, counts)
        splits = splits_of(counts)
        place = np.arange(splits[-1]) - np.repeat(splits[:-1] - begin[chunk], counts)
        detection = ranking.by_group[place]
        if index.masks is None or ranking.masks is None:
            iou = _overlap(index, ranking, truth, detection)
        else:
            iou = mask_overlap(index.masks, ranking.masks, index.crowd, index.group, truth, detection)
        near = np.flatnonzero(iou >= floor)
        parts.append((truth[near], place[near], iou[near]))
        done = stop
    if not parts:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0)
    truths, places, ious = zip(*parts, strict=True)
    return np.concatenate(truths), np.concatenate(places), np.concatenate(ious)


def _overlap(index: TruthIndex, ranking: Ranking, truth: Ints, detection: Ints) -> NDArray[np.float64]:
    """Return the IoU of pairs, over the detection's area where the truth is a crowd: ``bbIou``, step by step."""
    a, b = index.corners, ranking.corners
    width = np.minimum(a[2][truth], b[2][detection]) - np.maximum(a[0][truth], b[0][detection])
    height = np.minimum(a[3][truth], b[3][detection]) - np.maximum(a[1][truth], b[1][detection])
    shared = np.where((width > 0) & (height > 0), width * height, 0.0)
    own = ranking.box_area[detection]
    whole = np.where(index.crowd[truth], own, own + index.box_area[truth] - shared)
    return np.divide(shared, whole, out=np.zeros_like(shared), where=whole > 0)
