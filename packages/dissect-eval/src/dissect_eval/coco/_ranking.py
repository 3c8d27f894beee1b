"""Detections in the two orders that COCO AP needs: by image for matching, by score for the curves."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .._arrays import Ints
from ..data import Detections
from ._index import TieBreak, TruthIndex, corners_of
from ._mask_overlap import areas_of, detection_masks, order_of

__all__ = ["Ranking", "kept", "rank"]


@dataclass(frozen=True, eq=False)
class Ranking:
    """Detections, D in all, ordered by category and falling score.

    Attributes
    ----------
    rows : ndarray of int64, shape (D,)
        Rows of the detections.
    scores : ndarray of float64, shape (D,)
    category, image : ndarray of int64, shape (D,)
        Indices into the truth's categories and images.
    place : ndarray of int64, shape (D,)
        Rank within image and category, from 0.
    splits : ndarray of int64, shape (K + 1,)
        Where each category begins.
    by_group : ndarray of int64, shape (D,)
        Positions in this order, sorted by image, category and falling score.
    group : ndarray of int64, shape (D,)
        ``image index * K + category index`` in the order of `by_group`, ascending.
    corners : ndarray of float64, shape (4, D)
        ``x_min, y_min, x_max, y_max``.
    box_area : ndarray of float64, shape (D,)
        Width × height, or the area of the mask.
    in_range : ndarray of bool, shape (A, D)
        Whether the area lies in each of the index's ranges.
    masks : ndarray of dict, shape (D,), or None
        Masks as compressed run lengths; None if boxes are scored.
    """

    rows: Ints
    scores: NDArray[np.float64]
    category: Ints
    image: Ints
    place: Ints
    splits: Ints
    by_group: Ints
    group: Ints
    corners: NDArray[np.float64]
    box_area: NDArray[np.float64]
    in_range: NDArray[np.bool_]
    masks: NDArray[np.object_] | None = None


def rank(index: TruthIndex, aligned: Detections, tie_break: TieBreak, like: Ranking | None = None) -> Ranking:
    """Order all detections, which are aligned to the truth of `index`; if it has masks, theirs are taken too.

    `like`, if given, is a ranking of detections that differ in their boxes alone: it saves most of the sorting.
    """
    masks = None if index.masks is None else detection_masks(aligned, index.image_sizes)
    sorted_ = _sorted(index, aligned) if like is None else like
    order = sorted_.rows
    if tie_break == "canonical":
        order = _break_ties(order, sorted_, aligned, masks)
    corners, box_area = corners_of(aligned.boxes.take(order, axis=0), aligned.sizes.take(order, axis=0))
    if masks is not None:
        masks = masks[order]
        box_area = areas_of(masks)
    return replace(
        sorted_,
        rows=order,
        corners=corners,
        box_area=box_area,
        in_range=np.array([(box_area >= low) & (box_area <= high) for low, high in index.areas]),
        masks=masks,
    )


def _sorted(index: TruthIndex, aligned: Detections) -> Ranking:
    """Order detections by category and falling score, without their boxes; tied ones stay in the order of the input."""
    n_categories = len(index.categories)
    category, image = index.category_of(aligned.category_ids), aligned.image_index
    # Sorting by the least important key first: numpy sorts 16-bit integers stably in linear time.
    order = np.argsort(-aligned.scores, kind="stable")
    order = order.take(_by(category.take(order), n_categories))
    category, image = category.take(order), image.take(order)
    by_group = _by(image, aligned.n_images)
    group = (image * n_categories + category).take(by_group)
    begins = np.flatnonzero(np.concatenate([[True], group[1:] != group[:-1]])[: len(group)])
    place = np.empty(len(order), dtype=np.int64)
    place[by_group] = np.arange(len(order)) - np.repeat(begins, np.diff(np.append(begins, len(group))))
    none = np.zeros(0)
    return Ranking(
        rows=order,
        scores=aligned.scores.take(order),
        category=category,
        image=image,
        place=place,
        splits=np.searchsorted(category, np.arange(n_categories + 1)),
        by_group=by_group,
        group=group,
        corners=none,
        box_area=none,
        in_range=none > 0,
    )


def kept(ranking: Ranking, mask: NDArray[np.bool_]) -> Ranking:
    """Return the ranking of only the detections where `mask` is True."""
    if mask.all():
        return ranking
    moved, in_group = np.cumsum(mask) - 1, mask[ranking.by_group]
    category = ranking.category[mask]
    return Ranking(
        rows=ranking.rows[mask],
        scores=ranking.scores[mask],
        category=category,
        image=ranking.image[mask],
        place=ranking.place[mask],
        splits=np.searchsorted(category, np.arange(len(ranking.splits))),
        by_group=moved[ranking.by_group[in_group]],
        group=ranking.group[in_group],
        corners=ranking.corners[:, mask],
        box_area=ranking.box_area[mask],
        in_range=ranking.in_range[:, mask],
        masks=None if ranking.masks is None else ranking.masks[mask],
    )


def _by(values: Ints, n_values: int) -> Ints:
    """Return the order that sorts integers from 0 to `n_values` - 1, stable."""
    return np.argsort(values.astype(np.uint16) if n_values <= 2**16 else values, kind="stable")


def _break_ties(
    order: Ints, sorted_: Ranking, aligned: Detections, masks: NDArray[np.object_] | None
) -> Ints:
    """Reorder detections of one image, category and score by their coordinates, and then by their masks."""
    tied = sorted_.scores[1:] == sorted_.scores[:-1]
    for values in (sorted_.image, sorted_.category):
        at = np.flatnonzero(tied)
        tied[at] = values[at + 1] == values[at]
    if not tied.any():
        return order
    run = np.concatenate([[0], np.cumsum(~tied)])
    in_run = np.concatenate([tied, [False]]) | np.concatenate([[False], tied])
    at = np.flatnonzero(in_run)
    boxes = aligned.boxes[order[at]]
    order = order.copy()
    last = [] if masks is None else [order_of(masks[order[at]])]
    order[at] = order[at[np.lexsort([*last, *boxes.T[::-1], run[at]])]]
    return order
