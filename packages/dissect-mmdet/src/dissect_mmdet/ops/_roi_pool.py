"""RoIPool: the maximum over the whole cells that each bin of a region touches."""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor

from ._roi_grid import same_grid
from ._rows import working_dtype

_MAX_VALUES = 1 << 20  # values compared at once


def roi_pool(
    features: Tensor, rois: Tensor, output_size: tuple[int, int], spatial_scale: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Pool each region of a feature map to a fixed size by maximum.

    Parameters
    ----------
    features : Tensor, shape (N, C, H, W)
        Feature maps.
    rois : Tensor, shape (R, 5)
        Rows of ``image index, x_min, y_min, x_max, y_max`` in image pixels, inclusive (a width is
        ``x_max - x_min + 1``). R may be 0.
    output_size : (int, int)
        Bins per region, vertically and horizontally.
    spatial_scale : float
        Cells per image pixel.

    Returns
    -------
    pooled : Tensor, shape (R, C, output height, output width)
        Maxima in the dtype of `features`, differentiable with respect to them; 0 for a bin without cells.
        NaN is ignored.
    argmax : int32 Tensor, same shape
        Cell ``y * W + x`` of each maximum, the first in row-major order; -1 for a bin without one.

    References
    ----------
    Girshick, ICCV 2015, arXiv:1504.08083; mmcv 2.1.0, ``mmcv/ops/csrc/common/cuda/roi_pool_cuda_kernel.cuh``.

    Examples
    --------
    >>> ramp = torch.arange(16.0).view(1, 1, 4, 4)
    >>> pooled, argmax = roi_pool(ramp, torch.tensor([[0.0, 0, 0, 3, 3]]), (1, 2))
    >>> pooled.flatten().tolist(), argmax.flatten().tolist()
    ([13.0, 15.0], [13, 15])
    """
    _, channels, height, width = features.shape
    regions, bins = rois.shape[0], output_size[0] * output_size[1]
    table = features.permute(0, 2, 3, 1).reshape(-1, channels)
    lowest = torch.finfo(features.dtype).min
    boxes = rois.detach().to(working_dtype(features))
    corners = torch.cat([boxes[:, 1:3], boxes[:, 3:] + 1], 1) * spatial_scale
    size = corners[:, 2:] - corners[:, :2]
    usable = corners.isfinite().all(1) & (size > 0).all(1)
    vertical = _spans(corners[:, 1], size[:, 1], output_size[0], height, usable)
    horizontal = _spans(corners[:, 0], size[:, 0], output_size[1], width, usable)
    image = torch.where(usable, boxes[:, 0], 0).long() * height * width
    pooled = features.new_zeros(regions, channels, bins)
    argmax = torch.full(pooled.shape, -1, dtype=torch.int32, device=features.device)
    for members, high, wide in _groups(vertical[1], horizontal[1], _MAX_VALUES // (bins * channels)):
        top, rows = vertical[0][members], vertical[1][members]
        left, columns = horizontal[0][members], horizontal[1][members]
        best = features.new_full((members.numel() * bins, channels), lowest)
        where = torch.full_like(best, -1, dtype=torch.int32)
        for dy, dx in product(range(high), range(wide)):
            inside = ((dy < rows)[:, :, None] & (dx < columns)[:, None, :]).flatten()
            row, column = (top + dy).clamp(max=height - 1), (left + dx).clamp(max=width - 1)
            cell = (row * width)[:, :, None] + column[:, None, :]
            values = table[(cell + image[members, None, None]).flatten()]
            # Strictly greater, so the first of equal cells counts and NaN never does.
            better = (values.detach() > best.detach()) & inside[:, None]
            best = torch.where(better, values, best)
            where = torch.where(better, cell.flatten()[:, None].to(torch.int32), where)
        filled = ((rows > 0)[:, :, None] & (columns > 0)[:, None, :]).flatten(1)[:, :, None]
        best = torch.where(filled, best.view(-1, bins, channels), 0)
        pooled[members] = best.transpose(1, 2)
        argmax[members] = where.view(-1, bins, channels).transpose(1, 2)
    return pooled.view(regions, channels, *output_size), argmax.view(regions, channels, *output_size)


def _spans(start: Tensor, size: Tensor, bins: int, cells: int, usable: Tensor) -> tuple[Tensor, Tensor]:
    """Return the first cell and the number of cells of each bin on one axis: int64, shape (R, bins)."""
    step = (size / bins)[:, None]
    number = torch.arange(bins + 1, device=start.device, dtype=start.dtype)
    edges = number * step + start[:, None]
    first = torch.where(usable[:, None], edges[:, :-1], 0).floor().clamp(0, cells).long()
    last = torch.where(usable[:, None], edges[:, 1:], 0).ceil().clamp(0, cells).long()
    return first, (last - first).clamp(min=0)


def _groups(rows: Tensor, columns: Tensor, limit: int) -> list[tuple[Tensor, int, int]]:
    """Split regions by the size of their largest bin; return pieces with that size, without regions of no cells."""
    high, wide = rows.amax(1), columns.amax(1)
    return [
        (members, int(high[members[0]]), int(wide[members[0]]))
        for members in same_grid(high, wide, lambda high, wide: limit)
    ]
