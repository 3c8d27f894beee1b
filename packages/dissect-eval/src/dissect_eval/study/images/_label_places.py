"""Find places for the labels of boxes: beside the box where they cover no object, else in the margin."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["LabelPlace", "label_places"]

Floats = NDArray[np.float64]

GAP = 1.5
"""Points between a box and its label, and between labels."""


class LabelPlace(NamedTuple):
    """Upper left corner of a label, in points from that of the panel, y downwards."""

    x: float
    y: float
    in_margin: bool


def label_places(
    boxes: Floats, sizes: Floats, objects: Floats, panel: tuple[float, float]
) -> list[LabelPlace | None]:
    """Find a place for the label of each box that covers no object, no box and no other label.

    Parameters
    ----------
    boxes : ndarray of float64, shape (N, 4)
        Corners of the boxes that are labelled, in points, the most important first.
    sizes : ndarray of float64, shape (N, 2)
        Width and height of each label in points.
    objects : ndarray of float64, shape (M, 4)
        Boxes that no label may cover; where there is room, labels do not cover `boxes` either.
    panel : tuple of float
        Width and height in points.

    Returns
    -------
    list of LabelPlace or None
        In the margin to the right of the panel where there is no place within; None where the margin is full, too.

    Examples
    --------
    >>> boxes = np.array([[10.0, 20, 40, 50]])
    >>> label_places(boxes, np.array([[25.0, 9]]), boxes, (100, 80))
    [LabelPlace(x=10.0, y=9.5, in_margin=False)]
    >>> label_places(np.array([[0.0, 0, 100, 80]]), np.array([[25.0, 9]]), boxes, (100, 80))
    [LabelPlace(x=103.0, y=35.5, in_margin=True)]
    """
    width, height = panel
    placed: list[Floats] = []
    slots: list[tuple[float, float]] = []
    found: list[LabelPlace | None] = []
    for box, (w, h) in zip(boxes, sizes, strict=True):
        near = [
            np.array([x, y, x + w, y + h])
            for x, y in _beside(box, w, h)
            if x >= 0 and y >= 0 and x + w <= width and y + h <= height
        ]
        # If some box must be covered, it is another detection and not an object.
        for kept in (np.concatenate([objects, boxes]), np.concatenate([objects, box[None]])):
            free = [
                one
                for one in near
                if not _covers(one, kept) and not _covers(one, np.array(placed).reshape(-1, 4))
            ]
            if free:
                break
        if free:
            placed.append(free[0])
            found.append(LabelPlace(float(free[0][0]), float(free[0][1]), in_margin=False))
            continue
        y = _free_slot(slots, float(box[1] + box[3]) / 2 - h / 2, h, height)
        if y is not None:
            slots.append((y, y + h))
        found.append(None if y is None else LabelPlace(width + 2 * GAP, float(y), in_margin=True))
    return found


def _beside(box: Floats, w: float, h: float) -> Iterator[tuple[float, float]]:
    """Yield places of a label around a box, the usual ones first."""
    left, top, right, bottom = box.tolist()
    across = left, right - w, (left + right - w) / 2
    for y in (top - h - GAP, bottom + GAP):
        for x in across:
            yield x, y
    for x in (right + GAP, left - w - GAP):
        for y in (top, bottom - h, (top + bottom - h) / 2):
            yield x, y


def _covers(label: Floats, others: Floats) -> bool:
    """Return whether a label lies on any of some rectangles."""
    low = np.maximum(label[:2], others[:, :2])
    high = np.minimum(label[2:], others[:, 2:])
    return bool((low < high).all(axis=1).any())


def _free_slot(taken: Sequence[tuple[float, float]], wanted: float, h: float, height: float) -> float | None:
    """Return the nearest free place in the margin, counted from its top; None if there is none."""
    ends = [0.0, height - h, *(end + GAP for _, end in taken), *(start - h - GAP for start, _ in taken)]
    tried = sorted([min(max(0.0, wanted), height - h), *ends], key=lambda y: (abs(y - wanted), y))
    for y in tried:
        if 0 <= y <= height - h and all(y + h <= start or y >= end for start, end in taken):
            return y
    return None
