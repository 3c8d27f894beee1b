"""Soft-NMS: overlapping boxes lose score instead of being dropped."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_NAIVE, _LINEAR, _GAUSSIAN = 0, 1, 2


def soft_nms(
    boxes: Tensor,
    scores: Tensor,
    iou_threshold: float = 0.3,
    sigma: float = 0.5,
    min_score: float = 1e-3,
    method: int = _LINEAR,
    offset: int = 0,
) -> tuple[Tensor, Tensor]:
    """Run soft non-maximum suppression, on the CPU.

    Parameters
    ----------
    boxes : Tensor, shape (N, 4)
        ``x_min, y_min, x_max, y_max`` in pixels; computed in float32. N may be 0.
    scores : Tensor, shape (N,)
        Higher is better.
    iou_threshold : float
        For methods 0 and 1: boxes at or above this IoU with a selected box lose score.
    sigma : float
        For method 2: width of the Gaussian.
    min_score : float
        Boxes whose score falls below this are dropped.
    method : {0, 1, 2}
        Factor on the score: 0 (naive), 1 - IoU (linear), exp(-IoU² / sigma) (Gaussian).
    offset : {0, 1}
        Added to widths and heights.

    Returns
    -------
    dets : float32 Tensor, shape (K, 5)
        Boxes with their decayed scores, in the order in which they were selected.
    indices : int64 Tensor, shape (K,)
        Their indices in the input.

    Notes
    -----
    Each step selects the best remaining score, so steps depend on each other; the work inside a step is
    vectorised. The order of the remaining boxes matters for ties, so the reference's swaps are reproduced.

    References
    ----------
    Bodla et al., ICCV 2017, arXiv:1704.04503; mmcv 2.1.0, ``softnms_cpu`` in
    ``mmcv/ops/csrc/pytorch/cpu/nms.cpp``.

    Examples
    --------
    >>> boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 5], [20, 0, 30, 10]])
    >>> dets, indices = soft_nms(boxes, torch.tensor([0.8, 0.6, 0.7]))
    >>> indices.tolist(), dets[:, 4].tolist()
    ([0, 2, 1], [0.800000..., 0.699999..., 0.300000...])
    """
    columns = boxes.detach().cpu().numpy().astype(np.float32).T
    left, top, right, bottom = columns
    step = np.float32(offset)
    # Rows: x1, y1, x2, y2, area; so that one index moves a whole box.
    geometry = np.stack([left, top, right, bottom, (right - left + step) * (bottom - top + step)])
    score = scores.detach().cpu().numpy().astype(np.float32)
    index = np.arange(score.size)
    limit, width, floor = np.float32(iou_threshold), np.float32(sigma), np.float32(min_score)

    count, current = score.size, 0
    # Empty boxes give 0 / 0; the comparison with NaN is then false, as in the reference.
    with np.errstate(all="ignore"):
        while current < count:
            best = _best(score[current:count]) + current
            _swap(current, best, geometry, score, index)
            rest = slice(current + 1, count)
            iou = _iou(geometry[:, current], geometry[:, rest], step)
            if method == _GAUSSIAN:
                score[rest] *= np.exp(-(iou * iou) / width)
            else:
                factor = 1 - iou if method == _LINEAR else np.zeros_like(iou)
                score[rest] *= np.where(iou >= limit, factor, np.float32(1))
            count = _drop(score[rest] < floor, current + 1, count, geometry, score, index)
            current += 1
    dets = np.concatenate([geometry[:4, :count], score[None, :count]]).T
    return torch.from_numpy(np.ascontiguousarray(dets)), torch.from_numpy(index[:count])


def _best(score: NDArray[np.float32]) -> int:
    """Return the first position of the highest score; a NaN counts as the highest only at position 0."""
    if np.isnan(score[0]):
        return 0
    return int(np.argmax(score == np.fmax.reduce(score)))


def _swap(i: int, j: int, geometry: NDArray[np.float32], *rows: NDArray[np.generic]) -> None:
    geometry[:, [i, j]] = geometry[:, [j, i]]
    for row in rows:
        row[[i, j]] = row[[j, i]]


def _drop(
    dead: NDArray[np.bool_], start: int, count: int, geometry: NDArray[np.float32], *rows: NDArray[np.generic]
) -> int:
    """Remove boxes by moving the last survivor into each hole, from the front; return the new count."""
    if not dead.any():
        return count
    kept = int((~dead).sum())
    holes = start + np.flatnonzero(dead[:kept])
    movers = (start + kept + np.flatnonzero(~dead[kept:]))[::-1]
    geometry[:, holes] = geometry[:, movers]
    for row in rows:
        row[holes] = row[movers]
    return start + kept


def _iou(box: NDArray[np.float32], others: NDArray[np.float32], offset: np.float32) -> NDArray[np.float32]:
    wide = np.minimum(box[2], others[2]) - np.maximum(box[0], others[0]) + offset
    high = np.minimum(box[3], others[3]) - np.maximum(box[1], others[1]) + offset
    inter = np.maximum(wide, np.float32(0)) * np.maximum(high, np.float32(0))
    iou: NDArray[np.float32] = inter / (box[4] + others[4] - inter)
    return iou
