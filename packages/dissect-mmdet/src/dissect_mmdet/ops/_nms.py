"""Greedy non-maximum suppression: of all boxes, per class, and with the boxes that each kept one suppressed."""

from __future__ import annotations

import torch
from torch import Tensor

from ._suppression import owners


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int = 0) -> Tensor:
    """Suppress boxes that overlap a better one, greedily.

    A box is dropped if its IoU with a better box that was kept is above `iou_threshold`.

    Parameters
    ----------
    boxes : Tensor, shape (N, 4)
        ``x_min, y_min, x_max, y_max`` in pixels; half precision is computed in float32. N may be 0. A box
        with a coordinate that is not a number neither suppresses nor is suppressed.
    scores : Tensor, shape (N,)
        Higher is better. Ties are ordered as ``scores.sort(0, descending=True)`` orders them, as in mmcv.
    iou_threshold : float
        In [0, 1]; a box is dropped for an IoU strictly above it.
    offset : {0, 1}
        Added to widths and heights; 1 for the legacy convention of inclusive pixel coordinates.

    Returns
    -------
    int64 Tensor, shape (K,)
        Indices of the kept boxes, by descending score, on the device of `boxes`.

    Notes
    -----
    The arithmetic is that of mmcv's CPU operator, step by step in the same precision, so that both keep
    the same boxes. mmcv's CUDA operator compares ``intersection > threshold * union`` instead, which can
    differ in the last bit; here all devices agree with the CPU.

    References
    ----------
    mmcv 2.1.0, ``mmcv/ops/csrc/pytorch/cpu/nms.cpp``.

    Examples
    --------
    >>> boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [20, 0, 30, 10]])
    >>> nms(boxes, torch.tensor([0.9, 0.8, 0.95]), 0.5)
    tensor([2, 0])
    """
    order = scores.detach().sort(0, descending=True)[1]
    owner = owners(boxes.detach()[order], iou_threshold, offset, inclusive=False)
    return order[owner == torch.arange(len(owner), device=owner.device)]


def batched_nms(
    boxes: Tensor, scores: Tensor, labels: Tensor, iou_threshold: float, offset: int = 0
) -> Tensor:
    """Suppress boxes greedily inside each class (or image, or level), all in one call.

    Unlike the customary trick of shifting each class by a large offset, no coordinate is changed, so nothing
    is lost to rounding.

    Parameters
    ----------
    boxes, scores, iou_threshold, offset
        As for `nms`.
    labels : int Tensor, shape (N,)
        Boxes with different labels never suppress each other.

    Returns
    -------
    int64 Tensor, shape (K,)
        Indices of the kept boxes, by descending score.

    Examples
    --------
    >>> boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 10]])
    >>> batched_nms(boxes, torch.tensor([0.9, 0.8, 0.7]), torch.tensor([0, 1, 0]), 0.5)
    tensor([0, 1])
    """
    order = scores.detach().sort(0, descending=True)[1]
    owner = owners(boxes.detach()[order], iou_threshold, offset, inclusive=False, labels=labels[order])
    return order[owner == torch.arange(len(owner), device=owner.device)]


def nms_match(dets: Tensor, iou_threshold: float) -> list[list[int]]:
    """Suppress boxes greedily, and return which boxes each kept box suppressed.

    Parameters
    ----------
    dets : Tensor, shape (N, 5)
        ``x_min, y_min, x_max, y_max, score``.
    iou_threshold : float
        A box joins a group if its IoU with the group's best box is at least this (not strictly above, unlike
        `nms`).

    Returns
    -------
    list of list of int
        One list per kept box, by descending score: its index, then the indices it suppressed, by descending
        score.

    References
    ----------
    mmcv 2.1.0, ``nms_match_cpu`` in ``mmcv/ops/csrc/pytorch/cpu/nms.cpp``.

    Examples
    --------
    >>> nms_match(torch.tensor([[0.0, 0, 10, 10, 0.8], [0, 0, 10, 9, 0.9], [20, 0, 30, 10, 0.1]]), 0.5)
    [[1, 0], [2]]
    """
    order = dets[:, 4].detach().sort(0, descending=True)[1]
    owner = owners(dets.detach()[order, :4], iou_threshold, 0, inclusive=True)
    members = torch.sort(owner, stable=True)[1]
    sizes = torch.bincount(owner, minlength=1)
    groups = torch.split(order[members], sizes[sizes > 0].tolist()) if len(owner) else ()
    return [group.tolist() for group in groups]
