"""DIoU and CIoU of boxes: IoU less a penalty for the distance of centres and the difference in shape.

Boxes are rows of ``x_min, y_min, x_max, y_max`` in continuous pixels (no ``+ 1``). Functions whose names end in
``_of`` skip the checks: they are for rows that have been checked already.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ._formats import Boxes, check_aligned, check_xyxy
from ._overlap import capped_ratio, iou_of

__all__ = ["aligned_ciou", "aligned_diou", "pairwise_ciou", "pairwise_diou"]


def _distance(a: Boxes, b: Boxes) -> Boxes:
    """Return the squared distance of centres over the squared diagonal of the hull; 0 where the hull is a point."""
    centres = (a[..., :2] + a[..., 2:]) / 2 - (b[..., :2] + b[..., 2:]) / 2
    hull = np.maximum(a[..., 2:], b[..., 2:]) - np.minimum(a[..., :2], b[..., :2])
    # The ratio is squared, not its parts: squares of very small boxes would vanish.
    ratio = capped_ratio(np.hypot(centres[..., 0], centres[..., 1]), np.hypot(hull[..., 0], hull[..., 1]))
    return np.square(ratio, out=ratio)


def _shape_difference(a: Boxes, b: Boxes) -> Boxes:
    """Return the difference of both diagonals' angles, squared and scaled to [0, 1]; 0 where a box is a point."""
    sizes = [boxes[..., 2:] - boxes[..., :2] for boxes in (a, b)]
    angle_a, angle_b = (np.arctan2(size[..., 0], size[..., 1]) for size in sizes)
    shaped_a, shaped_b = ((size > 0).any(axis=-1) for size in sizes)
    difference: Boxes = np.where(shaped_a & shaped_b, (angle_b - angle_a) * (2 / np.pi), 0.0) ** 2
    return difference


def diou_of(a: Boxes, b: Boxes) -> Boxes:
    """Return the DIoU of checked boxes whose leading axes broadcast."""
    return iou_of(a, b) - _distance(a, b)


def ciou_of(a: Boxes, b: Boxes) -> Boxes:
    """Return the CIoU of checked boxes whose leading axes broadcast."""
    iou, v = iou_of(a, b), _shape_difference(a, b)
    alpha = capped_ratio(v, 1 - iou + v)
    return iou - _distance(a, b) - alpha * v


def pairwise_diou(boxes_a: ArrayLike, boxes_b: ArrayLike) -> Boxes:
    """Return the distance IoU of every box in one set with every box in another.

    DIoU = IoU - (d / c)², where d is the distance of the centres and c the diagonal of the smallest
    axis-aligned box that encloses the pair.

    Parameters
    ----------
    boxes_a : array-like, shape (N, 4)
        Rows of ``x_min, y_min, x_max, y_max`` in continuous pixels.
    boxes_b : array-like, shape (M, 4)
        Same layout, unit and image frame as `boxes_a`.

    Returns
    -------
    ndarray of float64, shape (N, M)
        Dimensionless, in [-1, 1]; equal to IoU where the centres coincide. N or M may be 0.

    Raises
    ------
    BoxError
        If an input is not (n, 4), is not finite, or has a negative extent.

    Notes
    -----
    Never NaN. IoU is 0 where the union has no area, and d / c is 0 where the hull is a point: two identical
    points have DIoU 0, two different points -1, and two boxes on one line minus (d / c)².

    References
    ----------
    Zheng et al., AAAI 2020, arXiv:1911.08287, equation 7.

    Examples
    --------
    >>> pairwise_diou([[0, 0, 2, 2]], [[1, 1, 3, 3], [0, 0, 2, 2], [4, 0, 6, 2]]).round(4)
    array([[ 0.0317,  1.    , -0.4   ]])
    """
    a, b = check_xyxy(boxes_a, "boxes_a"), check_xyxy(boxes_b, "boxes_b")
    return diou_of(a[:, None], b[None])


def aligned_diou(boxes_a: ArrayLike, boxes_b: ArrayLike) -> Boxes:
    """Return the distance IoU of row i of one set with row i of another.

    Parameters
    ----------
    boxes_a, boxes_b : array-like, shape (N, 4)
        Rows of ``x_min, y_min, x_max, y_max`` in continuous pixels.

    Returns
    -------
    ndarray of float64, shape (N,)
        Dimensionless, in [-1, 1]; see `pairwise_diou` for boxes without area.

    Raises
    ------
    BoxError
        As `pairwise_diou`, and if the numbers of rows differ.

    References
    ----------
    Zheng et al., AAAI 2020, arXiv:1911.08287, equation 7.

    Examples
    --------
    >>> aligned_diou([[0, 0, 2, 2], [3, 3, 3, 3]], [[4, 0, 6, 2], [3, 3, 3, 3]])
    array([-0.4,  0. ])
    """
    return diou_of(*check_aligned(boxes_a, boxes_b))


def pairwise_ciou(boxes_a: ArrayLike, boxes_b: ArrayLike) -> Boxes:
    """Return the complete IoU of every box in one set with every box in another.

    CIoU = DIoU - α v, where v = 4/π² (arctan(w_b / h_b) - arctan(w_a / h_a))² compares the aspect ratios and
    α = v / (1 - IoU + v).

    Parameters
    ----------
    boxes_a : array-like, shape (N, 4)
        Rows of ``x_min, y_min, x_max, y_max`` in continuous pixels.
    boxes_b : array-like, shape (M, 4)
        Same layout, unit and image frame as `boxes_a`.

    Returns
    -------
    ndarray of float64, shape (N, M)
        Dimensionless, in [-1.5, 1]; equal to DIoU where the aspect ratios are equal. N or M may be 0.

    Raises
    ------
    BoxError
        If an input is not (n, 4), is not finite, or has a negative extent.

    Notes
    -----
    Never NaN. A box without height has the angle π/2, one without width 0, as in the limit; a point has no
    aspect ratio, so v is 0 for it. α is 0 where v is 0, also at IoU 1. For the rest see `pairwise_diou`.

    The later variant (Zheng et al., IEEE Trans. Cybernetics 2021) sets α to 0 under an IoU of .5; this is
    the first one, as in torchvision and Ultralytics; MMDetection has the later one.

    References
    ----------
    Zheng et al., AAAI 2020, arXiv:1911.08287, equations 8 to 11.

    Examples
    --------
    >>> pairwise_ciou([[0, 0, 2, 2]], [[0, 0, 2, 2], [0, 0, 4, 2]]).round(4)
    array([[1.    , 0.4468]])
    """
    a, b = check_xyxy(boxes_a, "boxes_a"), check_xyxy(boxes_b, "boxes_b")
    return ciou_of(a[:, None], b[None])


def aligned_ciou(boxes_a: ArrayLike, boxes_b: ArrayLike) -> Boxes:
    """Return the complete IoU of row i of one set with row i of another.

    Parameters
    ----------
    boxes_a, boxes_b : array-like, shape (N, 4)
        Rows of ``x_min, y_min, x_max, y_max`` in continuous pixels.

    Returns
    -------
    ndarray of float64, shape (N,)
        Dimensionless, in [-1.5, 1]; see `pairwise_ciou` for boxes without area.

    Raises
    ------
    BoxError
        As `pairwise_ciou`, and if the numbers of rows differ.

    References
    ----------
    Zheng et al., AAAI 2020, arXiv:1911.08287, equations 8 to 11.

    Examples
    --------
    >>> aligned_ciou([[0, 0, 2, 2], [3, 3, 3, 3]], [[0, 0, 4, 2], [3, 3, 3, 3]]).round(4)
    array([0.4468, 0.    ])
    """
    return ciou_of(*check_aligned(boxes_a, boxes_b))
