"""Assign to each detection the error it makes, and find the missed truth: TIDE's types, as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .._arrays import Ints
from ..coco import MAX_DETECTIONS, index_of, kept, rank
from ..data import Detections, GroundTruth
from ..matching import BoxesByImage, Pairs, near_pairs, take_free

if TYPE_CHECKING:
    from ..coco import TieBreak

__all__ = ["BKG", "BOTH", "CLS", "DUPE", "EXCUSED", "HIT", "LOC", "Assignment", "assign"]

HIT, EXCUSED, CLS, LOC, BOTH, DUPE, BKG = range(7)


@dataclass(frozen=True, eq=False)
class Assignment:
    """Results for D detections, ordered by category and falling score, and for N true boxes.

    Attributes
    ----------
    rows, truth_rows : ndarray of int64, shapes (D,) and (N,)
        Rows of the detections and of the truth.
    category : ndarray of int64, shape (D,)
        Index of the detection's category.
    scores : ndarray of float64, shape (D,)
        Falling within a category.
    tie : ndarray of int64, shape (D,)
        Order of detections with tied scores, also of different categories.
    kind : ndarray of int64, shape (D,)
        `HIT`, `EXCUSED` or the type of error.
    claim : ndarray of int64, shape (D,)
        The free true box that a Cls or Loc error would have found, -1 if there is none.
    truth_category : ndarray of int64, shape (N,)
        Index of the true box's category.
    counted, hit : ndarray of bool, shape (N,)
        Truth that is to be found, and that is found.
    n_cut : int
        Detections beyond the best 100 of their image and category.
    """

    rows: Ints
    truth_rows: Ints
    category: Ints
    scores: NDArray[np.float64]
    tie: Ints
    kind: Ints
    claim: Ints
    truth_category: Ints
    counted: NDArray[np.bool_]
    hit: NDArray[np.bool_]
    n_cut: int


def assign(
    truth: GroundTruth, aligned: Detections, foreground: float, background: float, tie_break: TieBreak
) -> Assignment:
    """Match as COCO does at the foreground IoU, and give every other detection its type of error."""
    index = index_of(truth, tie_break)
    everything = rank(index, aligned, tie_break)
    ranking = kept(everything, everything.place < MAX_DETECTIONS)
    n, category = len(ranking.rows), index.category
    by_image = ranking.by_group
    splits = np.searchsorted(ranking.image[by_image], np.arange(truth.n_images + 1))
    near = near_pairs(
        BoxesByImage(np.ascontiguousarray(index.corners.T), index.box_area, truth.image_splits),
        index.crowd,
        BoxesByImage(ranking.corners.T[by_image], ranking.box_area[by_image], splits),
        background,
    )
    near = near._replace(detection=by_image[near.detection])
    floor = min(foreground, 1 - 1e-10)  # COCO's rule: a threshold of 1 lets rounding pass
    same = category[near.truth] == ranking.category[near.detection]
    region, over = index.crowd[near.truth], near.overlap >= floor

    candidates = near.where(same & over & ~region)
    # The last in order among equal IoUs, as COCO does.
    best_first = np.lexsort([-candidates.truth, -candidates.overlap, candidates.detection])
    matched = take_free(candidates, best_first)
    hit = np.zeros(truth.n_boxes, dtype=np.bool_)
    hit[matched.truth] = True

    own_iou, own = _best(near.where(same & ~region), n)
    other_iou, other = _best(near.where(~same & ~region), n)
    kind = np.select(
        [(own >= 0) & (own_iou < floor), other_iou >= floor, own >= 0, other >= 0],
        [LOC, CLS, DUPE, BOTH],
        default=BKG,
    )
    kind[near.detection[same & over & region]] = EXCUSED
    kind[matched.detection] = HIT
    claim = np.select([kind == LOC, kind == CLS], [own, other], default=-1)
    claimed = np.flatnonzero(claim >= 0)
    claim[claimed[hit[claim[claimed]]]] = -1
    return Assignment(
        rows=ranking.rows,
        truth_rows=index.rows,
        category=ranking.category,
        scores=ranking.scores,
        tie=ranking.rows if tie_break == "input" else np.arange(n),
        kind=kind,
        claim=claim,
        truth_category=category,
        counted=~index.crowd,
        hit=hit,
        n_cut=len(everything.rows) - len(ranking.rows),
    )


def _best(pairs: Pairs, n_detections: int) -> tuple[NDArray[np.float64], Ints]:
    """Return for each detection its highest overlap and the truth of that, the last among equals; 0 and -1 if none."""
    overlap, truth = np.zeros(n_detections), np.full(n_detections, -1, dtype=np.int64)
    order = np.lexsort([pairs.truth, pairs.overlap, pairs.detection])
    at = order[np.diff(pairs.detection[order], append=-1) != 0]
    overlap[pairs.detection[at]], truth[pairs.detection[at]] = pairs.overlap[at], pairs.truth[at]
    return overlap, truth
