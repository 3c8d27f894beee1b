"""Boxes of object queries, and which boxes of two variants lie at the same place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...boxes import aligned_iou

__all__ = ["MOST_OF_AN_IMAGE", "SAME_PLACE", "QueryBoxes", "corners_of", "pairs_by_place"]

SAME_PLACE = 0.5
"""Least IoU of boxes at the same place."""
MOST_OF_AN_IMAGE = 300
"""Boxes of an image that are paired, the best by score; detectors seldom give more."""
_AT_ONCE = 2_000_000
"""Pairs that are looked at together."""


class QueryBoxes(NamedTuple):
    """Boxes of object queries: for each query and image, the one with the highest score.

    Attributes
    ----------
    images : ndarray of int64, shape (N,)
        Number of the image in the study.
    queries : ndarray of int64, shape (N,)
        Number of the query, from 0.
    boxes : ndarray of float64, shape (N, 4)
        Centre x, centre y, width and height, as shares of the image's width and height.
    scores : ndarray of float64, shape (N,)
    sizes : ndarray of float64, shape (N, 2)
        Width and height in pixels: they tell whether a box is wide, which shares of the image do not.
    """

    images: NDArray[np.int64]
    queries: NDArray[np.int64]
    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]
    sizes: NDArray[np.float64]

    def of(self, query: int) -> QueryBoxes:
        """Return the boxes of one query."""
        return self.where(self.queries == query)

    def where(self, kept: NDArray[np.bool_]) -> QueryBoxes:
        """Return some of the boxes."""
        return QueryBoxes(
            self.images[kept], self.queries[kept], self.boxes[kept], self.scores[kept], self.sizes[kept]
        )

    @property
    def numbers(self) -> list[int]:
        """Numbers of the queries that gave a box, ascending."""
        return np.unique(self.queries).tolist()  # type: ignore[no-any-return]  # int64


def pairs_by_place(before: QueryBoxes, after: QueryBoxes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows of boxes of two variants that lie at the same place of the same image, one to one.

    Parameters
    ----------
    before, after : QueryBoxes
        Sorted by image. Of each image the best `MOST_OF_AN_IMAGE` by score count.

    Returns
    -------
    first, second : ndarray of int64, shape (P,)
        Rows of both. Pairs have an IoU of `SAME_PLACE` at least; the largest is taken first, and a box that has a
        partner is in no other pair.

    Examples
    --------
    >>> boxes = np.array([[0.2, 0.2, 0.2, 0.2], [0.7, 0.7, 0.2, 0.2]])
    >>> def of(rows):
    ...     images, queries = np.zeros(len(rows), dtype=np.int64), np.arange(len(rows))
    ...     return QueryBoxes(images, queries, boxes[rows], np.ones(len(rows)), boxes[rows, 2:])
    >>> pairs_by_place(of([0, 1]), of([1, 0]))
    (array([0, 1]), array([1, 0]))
    """
    firsts, seconds = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    for rows, others in _candidates(before, after):
        overlap = aligned_iou(corners_of(before.boxes[rows]), corners_of(after.boxes[others]))
        near = overlap >= SAME_PLACE
        first, second = _one_to_one(rows[near], others[near], overlap[near])
        firsts.append(first)
        seconds.append(second)
    first, second = np.concatenate(firsts), np.concatenate(seconds)
    order = np.argsort(first, kind="stable")
    return first[order], second[order]


def corners_of(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return boxes given by centre and size as corners, as `aligned_iou` takes them."""
    return np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], axis=1)


def _candidates(
    before: QueryBoxes, after: QueryBoxes
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield all pairs of rows of the same image, of some images at a time."""
    ours, theirs = _best(before), _best(after)
    images, of_theirs = before.images[ours], after.images[theirs]
    first, last = (np.searchsorted(of_theirs, images, side) for side in ("left", "right"))
    counts = last - first
    # Images stay whole: pairs of one image compete with each other.
    part = np.cumsum(counts) // _AT_ONCE
    part = part[np.searchsorted(images, images)]
    for start, end in zip(
        *(np.searchsorted(part, np.unique(part), side) for side in ("left", "right")), strict=True
    ):
        n = counts[start:end]
        place = np.arange(n.sum()) - np.repeat(np.cumsum(n) - n, n)
        yield np.repeat(ours[start:end], n), theirs[np.repeat(first[start:end], n) + place]


def _best(boxes: QueryBoxes) -> NDArray[np.int64]:
    """Return the rows of the best boxes of each image, in the order of the images."""
    order = np.lexsort((-boxes.scores, boxes.images))
    images = boxes.images[order]
    rank = np.arange(len(order)) - np.searchsorted(images, images)
    return np.sort(order[rank < MOST_OF_AN_IMAGE])


def _one_to_one(
    rows: NDArray[np.int64], others: NDArray[np.int64], overlap: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the pairs that are left when the best comes first and takes both its boxes away, ties in order.

    All pairs that are the best of both their boxes are taken at once, until none is left: the same pairs, in few steps.
    """
    first, second = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    order = np.lexsort((others, rows, -overlap))
    rows, others = rows[order], others[order]
    while len(rows):
        _, of_row = np.unique(rows, return_index=True)  # the first of each: its best
        _, of_other = np.unique(others, return_index=True)
        taken = np.intersect1d(of_row, of_other, assume_unique=True)
        first.append(rows[taken])
        second.append(others[taken])
        left = ~np.isin(rows, rows[taken]) & ~np.isin(others, others[taken])
        rows, others = rows[left], others[left]
    return np.concatenate(first), np.concatenate(second)
