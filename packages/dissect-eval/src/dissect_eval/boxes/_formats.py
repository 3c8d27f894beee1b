"""Formats of boxes: which rows are boxes, and conversion between xyxy, xywh and cxcywh.

Invalid and degenerate boxes are treated by the same rules in a run, in metrics and in panels:

- Not finite (a box beyond `MAX_COORDINATE` or with NaN, or a score that is not finite): no detection. In a study such
  rows are left out and counted; in arrays and files they are refused, since the count would be lost. In truth: refused.
- Inverted (``max < min``, a negative width or height): a detection without area, kept as the point of its first corner,
  which matches nothing: it is a false positive, and is counted. In truth: refused.
- Without area (``max == min`` in x or y): kept, in detections and in truth, and counted. Nothing matches such a box: it
  is a false positive, or a miss.
- Functions of box geometry take only finite boxes with ``max >= min``, and refuse all others.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._numbers import plain_values
from ..errors import BoxError

__all__ = [
    "Boxes",
    "check_aligned",
    "check_xyxy",
    "cxcywh_to_xyxy",
    "degenerate_rows",
    "finite_rows",
    "upright",
    "xywh_to_xyxy",
    "xyxy_to_cxcywh",
    "xyxy_to_xywh",
]

Boxes = NDArray[np.float64]

MAX_COORDINATE = 1e150
"""Largest magnitude accepted: beyond it an area no longer fits a float64 and IoU would become NaN."""


def _rows(boxes: ArrayLike, name: str, columns: str) -> Boxes:
    try:
        array = np.asarray(plain_values(boxes), dtype=np.float64)
    except (TypeError, ValueError, RuntimeError) as exc:
        raise BoxError(f"`{name}` must be numbers of shape (n, 4), rows of {columns}; {exc}.") from exc
    if array.shape == (0,):
        return array.reshape(0, 4)
    if array.ndim != 2 or array.shape[1] != 4:
        raise BoxError(
            f"`{name}` must have shape (n, 4), rows of {columns}, got {array.shape}. "
            "A single box is one row: [[...]]."
        )
    return array


def check_xyxy(boxes: ArrayLike, name: str) -> Boxes:
    """Return `boxes` as float64 of shape (n, 4), or raise `BoxError` naming the first bad row."""
    array = _rows(boxes, name, "x_min, y_min, x_max, y_max")
    good = (np.abs(array) <= MAX_COORDINATE).all(axis=1) & (array[:, 2:] >= array[:, :2]).all(axis=1)
    if not good.all():
        row = int(np.argmin(good))
        raise BoxError(
            f"`{name}` row {row} must be finite with max >= min, got {array[row].tolist()}. "
            "For COCO x, y, w, h rows call `xywh_to_xyxy` first."
        )
    return array


def finite_rows(boxes: Boxes, scores: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return True for detections whose box and score are finite: all others do not count as detections."""
    return np.asarray((np.abs(boxes) <= MAX_COORDINATE).all(axis=1) & np.isfinite(scores))


def upright(boxes: Boxes) -> tuple[Boxes, int]:
    """Return finite boxes with inverted ones as the point of their first corner, and how many were inverted."""
    inverted = (boxes[:, 2:] < boxes[:, :2]).any(axis=1)
    if inverted.any():
        boxes = boxes.copy()
        boxes[inverted, 2:] = boxes[inverted, :2]
    return boxes, int(inverted.sum())


def degenerate_rows(boxes: Boxes) -> NDArray[np.bool_]:
    """Return True for boxes without area."""
    return np.asarray((boxes[:, 2:] <= boxes[:, :2]).any(axis=1))


def check_aligned(boxes_a: ArrayLike, boxes_b: ArrayLike) -> tuple[Boxes, Boxes]:
    """Return both sets as `check_xyxy` does; raise `BoxError` also if their numbers of rows differ."""
    a, b = check_xyxy(boxes_a, "boxes_a"), check_xyxy(boxes_b, "boxes_b")
    if len(a) != len(b):
        raise BoxError(
            f"`boxes_a` and `boxes_b` must have as many rows as each other, got {len(a)} and {len(b)}. "
            "For every box with every other call the `pairwise_` function."
        )
    return a, b


def _check_sized(boxes: ArrayLike, name: str, columns: str) -> Boxes:
    array = _rows(boxes, name, columns)
    good = (np.abs(array) <= MAX_COORDINATE).all(axis=1) & (array[:, 2:] >= 0).all(axis=1)
    if not good.all():
        row = int(np.argmin(good))
        raise BoxError(
            f"`{name}` row {row} must be finite with width and height >= 0, got {array[row].tolist()}. "
            f"Rows are {columns}."
        )
    return array


def xywh_to_xyxy(boxes: ArrayLike) -> Boxes:
    """Convert COCO rows ``x, y, width, height`` to ``x_min, y_min, x_max, y_max``.

    Parameters
    ----------
    boxes : array-like, shape (N, 4)
        Upper left corner and size in pixels.

    Returns
    -------
    ndarray of float64, shape (N, 4)

    Raises
    ------
    BoxError
        If the shape is not (n, 4), a value is not finite, or a width or height is negative.

    Examples
    --------
    >>> xywh_to_xyxy([[10, 20, 30, 40]])
    array([[10., 20., 40., 60.]])
    """
    array = _check_sized(boxes, "boxes", "x, y, width, height")
    return np.concatenate([array[:, :2], array[:, :2] + array[:, 2:]], axis=1)


def xyxy_to_xywh(boxes: ArrayLike) -> Boxes:
    """Convert rows ``x_min, y_min, x_max, y_max`` to COCO's ``x, y, width, height``.

    Parameters
    ----------
    boxes : array-like, shape (N, 4)
        Corners in pixels.

    Returns
    -------
    ndarray of float64, shape (N, 4)

    Raises
    ------
    BoxError
        If the shape is not (n, 4), a value is not finite, or an extent is negative.

    Examples
    --------
    >>> xyxy_to_xywh([[10, 20, 40, 60]])
    array([[10., 20., 30., 40.]])
    """
    array = check_xyxy(boxes, "boxes")
    return np.concatenate([array[:, :2], array[:, 2:] - array[:, :2]], axis=1)


def cxcywh_to_xyxy(boxes: ArrayLike) -> Boxes:
    """Convert rows ``x_centre, y_centre, width, height`` (DETR's format) to corners, in the same unit.

    Parameters
    ----------
    boxes : array-like, shape (N, 4)
        Centre and size, in pixels or normalised to the image.

    Returns
    -------
    ndarray of float64, shape (N, 4)

    Raises
    ------
    BoxError
        If the shape is not (n, 4), a value is not finite, or a width or height is negative.

    Examples
    --------
    >>> cxcywh_to_xyxy([[25, 40, 30, 40]])
    array([[10., 20., 40., 60.]])
    """
    array = _check_sized(boxes, "boxes", "x_centre, y_centre, width, height")
    half = array[:, 2:] / 2
    return np.concatenate([array[:, :2] - half, array[:, :2] + half], axis=1)


def xyxy_to_cxcywh(boxes: ArrayLike) -> Boxes:
    """Convert corners to rows ``x_centre, y_centre, width, height`` (DETR's format), in the same unit.

    Parameters
    ----------
    boxes : array-like, shape (N, 4)
        Corners, in pixels or normalised to the image.

    Returns
    -------
    ndarray of float64, shape (N, 4)

    Raises
    ------
    BoxError
        If the shape is not (n, 4), a value is not finite, or an extent is negative.

    Examples
    --------
    >>> xyxy_to_cxcywh([[10, 20, 40, 60]])
    array([[25., 40., 30., 40.]])
    """
    array = check_xyxy(boxes, "boxes")
    return np.concatenate([(array[:, :2] + array[:, 2:]) / 2, array[:, 2:] - array[:, :2]], axis=1)
