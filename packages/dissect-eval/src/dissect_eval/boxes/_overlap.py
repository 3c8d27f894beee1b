"""IoU, GIoU and intersection over area of boxes, in float64 NumPy.

Boxes are rows of ``x_min, y_min, x_max, y_max`` in continuous pixels (no ``+ 1``). Functions whose names end in
``_of`` skip the checks: they are for rows that have been checked already.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ._formats import Boxes, check_aligned, check_xyxy

__all__ = ["aligned_giou", "aligned_ioa", "aligned_iou", "pairwise_giou", "pairwise_ioa", "pairwise_iou"]


def area_of(boxes: Boxes) -> Boxes:
    """Return the area of each box."""
    area: Boxes = (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
    return area


def intersection_of(a: Boxes, b: Boxes) -> Boxes:
    """Return the area that boxes share, whose leading axes broadcast."""
    width = np.minimum(a[..., 2], b[..., 2]) - np.maximum(a[..., 0], b[..., 0])
    height = np.minimum(a[..., 3], b[..., 3]) - np.maximum(a[..., 1], b[..., 1])
    area: Boxes = np.maximum(width, 0) * np.maximum(height, 0)
    return area


def capped_ratio(part: Boxes, whole: Boxes) -> Boxes:
    """Return part / whole, at most 1, and 0 where `whole` is 0."""
    out = np.zeros(np.broadcast_shapes(part.shape, whole.shape))
    np.divide(part, whole, out=out, where=whole > 0)
    return np.minimum(out, 1.0, out=out)


def iou_of(a: Boxes, b: Boxes) -> Boxes:
    """Return the IoU of checked boxes whose leading axes broadcast."""
    inter = intersection_of(a, b)
    return capped_ratio(inter, area_of(a) + area_of(b) - inter)


def ioa_of(a: Boxes, b: Boxes) -> Boxes:
    """Return the intersection over the area of `b`, for checked boxes whose leading axes broadcast."""
    return capped_ratio(
        intersection_of(a, b), np.broadcast_to(area_of(b), np.broadcast_shapes(a.shape, b.shape)[:-1])
    )


def giou_of(a: Boxes, b: Boxes) -> Boxes:
    """Return the GIoU of checked boxes whose leading axes broadcast."""
    inter = intersection_of(a, b)
    union = area_of(a) + area_of(b) - inter
    hull = (np.maximum(a[..., 2], b[..., 2]) - np.minimum(a[..., 0], b[..., 0])) * (
        np.maximum(a[..., 3], b[..., 3]) - np.minimum(a[..., 1], b[..., 1])
    )
    giou = capped_ratio(inter, union) - capped_ratio(np.maximum(hull - union, 0), hull)
    return np.clip(giou, -1.0, 1.0, out=giou)


def pairwise_iou(boxes_a: ArrayLike, boxes_b: ArrayLike) -> Boxes:
    """Return the intersection over union of every box in one set with every box in another.

    Parameters
    ----------
    boxes_a : array-like, shape (N, 4)
        Rows of ``x_min, y_min, x_max, y_max`` in continuous pixels.
    boxes_b : array-like, shape (M, 4)
        Same layout, unit and image frame as `boxes_a`.

    Returns
    -------
    ndarray of float64, shape (N, M)
        Dimensionless, in [0, 1]; 0 where the union has no area. N or M may be 0.

    Raises
    ------
    BoxError
        If an input is not (n, 4), is not finite, or has a negative extent.

    References
    ----------
    Jaccard index; ``bbIou`` of the COCO API (without crowd).

    Examples
    --------
    >>> pairwise_iou([[0, 0, 2, 2]], [[1, 1, 3, 3], [0, 0, 2, 2], [1, 1, 1, 1]]).round(4)
    array([[0.1429, 1.    , 0.    ]])
    """
    a, b = check_xyxy(boxes_a, "boxes_a"), check_xyxy(boxes_b, "boxes_b")
    return iou_of(a[:, None], b[None])


def aligned_iou(boxes_a: ArrayLike, boxes_b: ArrayLike) -> Boxes:
    """Return the intersection over union of row i of one set with row i of another.

    Parameters
    ----------
    boxes_a, boxes_b : array-like, shape (N, 4)
        Rows of ``x_min, y_min, x_max, y_max`` in continuous pixels.

    Returns
    -------
    ndarray of float64, shape (N,)
        Dimensionless, in [0, 1]; 0 where the union has no area.

    Raises
    ------
    BoxError
        As `pairwise_iou`, and if the numbers of rows differ.

    Examples
    --------
    >>> aligned_iou([[0, 0, 2, 2], [0, 0, 2, 2]], [[0, 0, 1, 2], [5, 5, 6, 6]])
    array([0.5, 0. ])
    """
    return iou_of(*check_aligned(boxes_a, boxes_b))


def pairwise_ioa(boxes_a: ArrayLike, boxes_b: ArrayLike) -> Boxes:
    """Return the intersection of every pair over the area of the box in `boxes_b`.

    This is COCO's overlap of a crowd region (`boxes_a`) with a detection (`boxes_b`): 1 for a detection
    that lies inside the region, however small it is.

    Parameters
    ----------
    boxes_a : array-like, shape (N, 4)
        Regions: rows of ``x_min, y_min, x_max, y_max`` in continuous pixels.
    boxes_b : array-like, shape (M, 4)
        Detections, in the same layout; their areas are the denominators.

    Returns
    -------
    ndarray of float64, shape (N, M)
        Dimensionless, in [0, 1]; 0 for a detection without area.

    Raises
    ------
    BoxError
        If an input is not (n, 4), is not finite, or has a negative extent.

    References
    ----------
    ``bbIou`` of the COCO API, crowd case.

    Examples
    --------
    >>> pairwise_ioa([[0, 0, 10, 10]], [[1, 1, 2, 2], [9, 0, 11, 1], [3, 3, 3, 3]])
    array([[1. , 0.5, 0. ]])
    """
    a, b = check_xyxy(boxes_a, "boxes_a"), check_xyxy(boxes_b, "boxes_b")
    return ioa_of(a[:, None], b[None])


def aligned_ioa(boxes_a: ArrayLike, boxes_b: ArrayLike) -> Boxes:
    """Return the intersection of row i of both sets over the area of the box in `boxes_b`.

    Parameters
    ----------
    boxes_a, boxes_b : array-like, shape (N, 4)
        Regions and detections: rows of ``x_min, y_min, x_max, y_max`` in continuous pixels.

    Returns
    -------
    ndarray of float64, shape (N,)
        Dimensionless, in [0, 1]; 0 for a detection without area.

    Raises
    ------
    BoxError
        As `pairwise_ioa`, and if the numbers of rows differ.

    Examples
    --------
    >>> aligned_ioa([[0, 0, 10, 10], [0, 0, 10, 10]], [[1, 1, 2, 2], [9, 0, 11, 1]])
    array([1. , 0.5])
    """
    return ioa_of(*check_aligned(boxes_a, boxes_b))


def pairwise_giou(boxes_a: ArrayLike, boxes_b: ArrayLike) -> Boxes:
    """Return the generalised IoU of every box in one set with every box in another.

    GIoU = IoU - (hull - union) / hull, where hull is the area of the
    smallest axis-aligned box that encloses the pair.

    Parameters
    ----------
    boxes_a : array-like, shape (N, 4)
        Rows of ``x_min, y_min, x_max, y_max`` in pixels. Coordinates are
        continuous: width is ``x_max - x_min``, with no ``+ 1``.
    boxes_b : array-like, shape (M, 4)
        Same layout, unit and image frame as `boxes_a`.

    Returns
    -------
    ndarray of float64, shape (N, M)
        Dimensionless, in [-1, 1]; 1 for identical boxes of positive area.
        N or M may be 0.

    Raises
    ------
    BoxError
        If an input is not (n, 4), is not finite, or has a negative extent.

    Notes
    -----
    Zero-extent boxes are legal, because an ablated detector emits them:
    IoU is 0 where the union is 0, and the hull term is 0 where the hull has
    no area, so two identical points have GIoU 0. The result is never NaN.

    References
    ----------
    Rezatofighi et al., CVPR 2019, arXiv:1902.09630, Algorithm 1.

    Examples
    --------
    >>> pairwise_giou([[0, 0, 2, 2]], [[1, 1, 3, 3], [0, 0, 2, 2]]).round(4)
    array([[-0.0794,  1.    ]])
    """
    a, b = check_xyxy(boxes_a, "boxes_a"), check_xyxy(boxes_b, "boxes_b")
    return giou_of(a[:, None], b[None])


def aligned_giou(boxes_a: ArrayLike, boxes_b: ArrayLike) -> Boxes:
    """Return the generalised IoU of row i of one set with row i of another.

    Parameters
    ----------
    boxes_a, boxes_b : array-like, shape (N, 4)
        Rows of ``x_min, y_min, x_max, y_max`` in continuous pixels.

    Returns
    -------
    ndarray of float64, shape (N,)
        Dimensionless, in [-1, 1]; see `pairwise_giou` for boxes without area.

    Raises
    ------
    BoxError
        As `pairwise_giou`, and if the numbers of rows differ.

    References
    ----------
    Rezatofighi et al., CVPR 2019, arXiv:1902.09630, Algorithm 1.

    Examples
    --------
    >>> aligned_giou([[0, 0, 1, 1], [3, 3, 3, 3]], [[2, 0, 3, 1], [3, 3, 3, 3]]).round(4)
    array([-0.3333,  0.    ])
    """
    return giou_of(*check_aligned(boxes_a, boxes_b))
