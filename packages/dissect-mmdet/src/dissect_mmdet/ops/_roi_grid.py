"""The sampling grids of RoIAlign: where each region's samples are and which cells they mix."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ._rows import working_dtype


class Axis(NamedTuple):
    """Regions along one axis, in cells of the feature map."""

    start: Tensor
    bin_size: Tensor
    grid: Tensor  # samples per bin
    bins: int
    cells: int  # size of the map


class Taps(NamedTuple):
    """Samples on one axis: where they are, and the two cells that each one mixes."""

    position: Tensor  # (R, bins, grid)
    cells: Tensor  # (R, bins, grid, 2)
    weights: Tensor  # (R, bins, grid, 2)


def cell_rows(features: Tensor) -> Tensor:
    """Turn feature maps into rows: one per image and cell."""
    return features.to(working_dtype(features)).permute(0, 2, 3, 1).reshape(-1, features.shape[1])


def sampling_axes(
    features: Tensor,
    rois: Tensor,
    output_size: tuple[int, int],
    spatial_scale: float,
    sampling_ratio: int,
    aligned: bool,
) -> tuple[Axis, Axis, Tensor]:
    """Return the geometry of all regions on each axis, and where each region's image begins in the table."""
    _, _, height, width = features.shape
    # The operations are in mmcv's order, so that rounding puts each sample into the same cell as there.
    boxes = rois.detach()[:, 1:].to(working_dtype(features)) * spatial_scale - (0.5 if aligned else 0.0)
    size = boxes[:, 2:] - boxes[:, :2]
    usable = boxes.isfinite().all(1)
    if aligned:
        usable &= (size >= 0).all(1)
    else:
        size = size.clamp(min=1)
    axes = []
    for axis, bins, cells in ((1, output_size[0], height), (0, output_size[1], width)):
        bin_size = size[:, axis] / bins
        grid = bin_size.ceil() if sampling_ratio <= 0 else torch.full_like(bin_size, sampling_ratio)
        grid = torch.where(usable, grid, 0).long()
        axes.append(Axis(boxes[:, axis], bin_size, grid, bins, cells))
    image = torch.where(usable, rois[:, 0], 0).to(torch.int32) * (height * width)
    return axes[0], axes[1], image


def same_grid(vertical: Tensor, horizontal: Tensor, size: Callable[[int, int], int]) -> list[Tensor]:
    """Group regions that share both keys, in pieces of at most `size`; regions with a key of 0 are left out."""
    present = ((vertical > 0) & (horizontal > 0)).nonzero().flatten()
    if not present.numel():
        return []
    keys = torch.stack([vertical[present], horizontal[present]], 1)
    kinds, kind, counts = torch.unique(keys, dim=0, return_inverse=True, return_counts=True)
    groups = present[torch.sort(kind, stable=True)[1]].split_with_sizes(counts.tolist())
    return [
        piece
        for group, (high, wide) in zip(groups, kinds.tolist(), strict=True)
        for piece in torch.split(group, max(1, size(high, wide)))
    ]


def sample_positions(axis: Axis, members: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return positions of samples, of regions that share a grid: as computed, clamped, and whether they are inside."""
    start, bin_size = axis.start[members, None, None], axis.bin_size[members, None, None]
    grid = int(axis.grid[members[0]])
    steps = torch.arange(axis.bins, device=start.device, dtype=start.dtype)[:, None]
    samples = torch.arange(grid, device=start.device, dtype=start.dtype) + 0.5
    position = start + steps * bin_size + samples * bin_size / grid
    inside = (position >= -1) & (position <= axis.cells)
    return position, position.clamp(0, axis.cells - 1), inside


def bilinear_samples(axis: Axis, members: Tensor) -> Taps:
    """Return the samples of regions that share a grid, on one axis."""
    position, clamped, inside = sample_positions(axis, members)
    low = clamped.floor()
    fraction = clamped - low
    cells = torch.stack([low, (low + 1).clamp(max=axis.cells - 1)], -1)
    weights = torch.stack([1 - fraction, fraction], -1) * inside[..., None]
    return Taps(position, cells.to(torch.int32), weights)
