"""RoIAlign with maximum pooling of the samples in each bin."""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor

from ._roi_grid import Taps, bilinear_samples, cell_rows, same_grid, sampling_axes
from ._rows import weighted_rows

_MAX_VALUES = 1 << 19  # values compared at once: few enough for the caches of a CPU core
_EMPTY = -10000.0  # mmcv starts from it, and returns it for a bin without samples


class Samples(NamedTuple):
    """Positions of the maxima, in cells; -1 for a bin without samples."""

    y: Tensor
    x: Tensor


def roi_align_max(
    features: Tensor,
    rois: Tensor,
    output_size: tuple[int, int],
    spatial_scale: float = 1.0,
    sampling_ratio: int = 0,
    aligned: bool = True,
) -> tuple[Tensor, Samples]:
    """Run RoIAlign with maximum pooling, and return where the maxima are.

    Parameters are those of `roi_align`.

    Returns
    -------
    pooled : Tensor, shape (R, C, output height, output width)
        Maximum of each bin's samples.
    samples : Samples
        Two tensors of the same shape and dtype: row and column of each maximum in cells, not clamped to the
        map.

    Examples
    --------
    >>> ramp = torch.arange(4.0).expand(1, 1, 4, 4)
    >>> pooled, samples = roi_align_max(ramp, torch.tensor([[0.0, 0, 0, 4, 4]]), (1, 1))
    >>> pooled.item(), samples.x.item()
    (3.0, 3.0)
    """
    regions, channels = rois.shape[0], features.shape[1]
    table = cell_rows(features)
    vertical, horizontal, image = sampling_axes(
        features, rois, output_size, spatial_scale, sampling_ratio, aligned
    )
    bins = output_size[0] * output_size[1]
    pooled = table.new_full((regions, channels, bins), _EMPTY)
    rows, columns = torch.full_like(pooled, -1), torch.full_like(pooled, -1)
    piece = _MAX_VALUES // (bins * channels)
    for members in same_grid(vertical.grid, horizontal.grid, lambda high, wide: piece):
        y, x = bilinear_samples(vertical, members), bilinear_samples(horizontal, members)
        best, sample = _best_samples(table, y, x, image[members], horizontal.cells)
        pooled[members] = best.transpose(1, 2)
        for maxima, position in (
            (rows, y.position[:, :, None, :, None]),
            (columns, x.position[:, None, :, None, :]),
        ):
            grid = (members.numel(), *output_size, y.position.shape[2], x.position.shape[2])
            chosen = position.expand(grid).reshape(members.numel(), bins, -1).gather(2, sample.clamp(min=0))
            maxima[members] = torch.where(sample < 0, -1, chosen).transpose(1, 2)
    shape = (regions, channels, *output_size)
    samples = Samples(*(maxima.view(shape).to(features.dtype) for maxima in (rows, columns)))
    return pooled.view(shape).to(features.dtype), samples


def _best_samples(table: Tensor, y: Taps, x: Taps, image: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Return the maximum of each bin and channel, and the number of its sample: shape (R, bins, C)."""
    regions, channels = image.numel(), table.shape[1]
    bins = y.cells.shape[1] * x.cells.shape[1]
    best = table.new_full((regions * bins, channels), _EMPTY)
    sample = torch.full_like(best, -1, dtype=torch.int32)
    for row, column in product(range(y.cells.shape[2]), range(x.cells.shape[2])):
        # (region, bin y, bin x, corner y, corner x)
        cells = y.cells[:, :, None, row, :, None] * width + x.cells[:, None, :, column, None, :]
        cells = cells + image.view(-1, 1, 1, 1, 1)
        weights = y.weights[:, :, None, row, :, None] * x.weights[:, None, :, column, None, :]
        values = weighted_rows(table, cells.reshape(-1, 4), weights.reshape(-1, 4))
        better = values.detach() > best.detach()  # strictly, so the first of equal samples counts
        best = torch.where(better, values, best)
        sample.masked_fill_(better, row * x.cells.shape[2] + column)
    return best.view(regions, bins, channels), sample.view(regions, bins, channels).long()


def scatter_samples(grad_output: Tensor, rois: Tensor, y: Tensor, x: Tensor, grad_input: Tensor) -> None:
    """Add the gradient of max pooling to `grad_input`, given where the maxima were.

    Examples
    --------
    >>> gradient = torch.zeros(1, 1, 1, 2)
    >>> ones = torch.ones(1, 1, 1, 1)
    >>> scatter_samples(ones, torch.zeros(1, 5), 0 * ones, 0.25 * ones, gradient)
    >>> gradient.flatten()
    tensor([0.7500, 0.2500])
    """
    _, channels, height, width = grad_input.shape
    plane = rois[:, 0].long()[:, None] * channels + torch.arange(channels, device=rois.device)
    plane = plane[:, :, None, None].expand(y.shape) * (height * width)
    found = (y != -1) & (y >= -1) & (y <= height) & (x >= -1) & (x <= width)
    plane, gradient = plane[found], grad_output[found]
    sides = []
    for position, size in ((y[found], height), (x[found], width)):
        clamped = position.clamp(0, size - 1)
        low = clamped.floor()
        upper = ((low + 1).clamp(max=size - 1).long(), clamped - low)
        sides.append(((low.long(), 1 - (clamped - low)), upper))
    flat = grad_input.view(-1)
    for (row, row_weight), (column, column_weight) in product(*sides):
        flat.index_add_(0, plane + row * width + column, gradient * row_weight * column_weight)
