"""RoIAlign as weighted sums of feature cells.

Average pooling of bilinear samples is linear and separates into a vertical and a horizontal part. Per bin and axis,
the samples of the adaptive grid touch at most one cell more than there are samples, so that their weights are added
up beforehand: a bin with 4 × 4 samples reads 5 × 5 cells instead of 64.
"""

from __future__ import annotations

from itertools import product
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from ._rows import weighted_rows, working_dtype

# Cells (of all bins) summed in one call: bounds memory at about 12 bytes each.
_MAX_TAPS = 1 << 23
_MAX_VALUES = 1 << 19  # values compared together by max pooling: small enough for the caches
_EMPTY_MAX = -10000.0  # what the reference's max pooling starts from, and gives for a bin without samples


class _Axis(NamedTuple):
    """Regions along one axis, in cells of the feature map."""

    start: Tensor
    bin_size: Tensor
    grid: Tensor  # samples per bin
    bins: int
    cells: int  # size of the map


class _Taps(NamedTuple):
    """Samples on one axis: where they are, and the two cells that each one mixes."""

    position: Tensor  # (R, bins, grid)
    cells: Tensor  # (R, bins, grid, 2)
    weights: Tensor  # (R, bins, grid, 2)


class Samples(NamedTuple):
    """Where max pooling found its values, in cells; -1 where a bin had none."""

    y: Tensor
    x: Tensor


def roi_align(
    features: Tensor,
    rois: Tensor,
    output_size: tuple[int, int],
    spatial_scale: float = 1.0,
    sampling_ratio: int = 0,
    mode: Literal["avg", "max"] = "avg",
    aligned: bool = True,
) -> Tensor:
    """Pool each region of a feature map to a fixed size, from bilinear samples.

    Parameters
    ----------
    features : Tensor, shape (N, C, H, W)
        Feature maps; half precision is computed in float32.
    rois : Tensor, shape (R, 5)
        Rows of ``image index, x_min, y_min, x_max, y_max`` in image pixels. R may be 0.
    output_size : (int, int)
        Bins per region, vertically and horizontally.
    spatial_scale : float
        Cells per image pixel.
    sampling_ratio : int
        Samples per bin and axis; 0 adapts it to the region: one per started cell of a bin.
    mode : {"avg", "max"}
        How the samples of a bin are combined.
    aligned : bool
        Shift by half a cell, so that cell centres are at ``i + 0.5``; False is the legacy convention, which also
        gives every region a size of at least one cell.

    Returns
    -------
    Tensor, shape (R, C, output height, output width)
        In the dtype of `features`, differentiable with respect to them (``"avg"`` and ``"max"``).

    Notes
    -----
    A region of negative size or with coordinates that are not finite has no samples and gives 0 (``"max"``: -10000,
    as the reference's CUDA operator does); the reference's CPU operator stops on a negative size.

    References
    ----------
    He et al., ICCV 2017, arXiv:1703.06870; mmcv 2.1.0, ``mmcv/ops/csrc/pytorch/cpu/roi_align.cpp``.

    Examples
    --------
    >>> ramp = torch.arange(4.0).expand(1, 1, 4, 4)
    >>> roi_align(ramp, torch.tensor([[0.0, 0, 0, 4, 4]]), (1, 2)).flatten()
    tensor([0.5000, 2.5000])
    """
    if mode == "max":
        return roi_align_max(features, rois, output_size, spatial_scale, sampling_ratio, aligned)[0]
    regions, channels = rois.shape[0], features.shape[1]
    table = _table(features)
    vertical, horizontal, image = _axes(features, rois, output_size, spatial_scale, sampling_ratio, aligned)
    out = table.new_zeros(regions, channels, output_size[0] * output_size[1])
    for members, rows, weights, starts in _batches(vertical, horizontal, image):
        pooled = weighted_rows(table, rows, weights, starts).view(members.numel(), -1, channels)
        if members.numel() == regions:
            # The usual case, one batch: transpose once, in order.
            out = pooled.transpose(1, 2)[members.argsort()]
        else:
            out[members] = pooled.transpose(1, 2)
    return out.reshape(regions, channels, *output_size).to(features.dtype)


def roi_align_max(
    features: Tensor,
    rois: Tensor,
    output_size: tuple[int, int],
    spatial_scale: float = 1.0,
    sampling_ratio: int = 0,
    aligned: bool = True,
) -> tuple[Tensor, Samples]:
    """RoIAlign with maximum pooling, and where the maxima are.

    Parameters are those of `roi_align`.

    Returns
    -------
    pooled : Tensor, shape (R, C, output height, output width)
        Maximum of each bin's samples.
    samples : Samples
        Two tensors of the same shape and dtype: row and column of each maximum in cells, not clamped to the map.

    Examples
    --------
    >>> ramp = torch.arange(4.0).expand(1, 1, 4, 4)
    >>> pooled, samples = roi_align_max(ramp, torch.tensor([[0.0, 0, 0, 4, 4]]), (1, 1))
    >>> pooled.item(), samples.x.item()
    (3.0, 3.0)
    """
    regions, channels = rois.shape[0], features.shape[1]
    table = _table(features)
    vertical, horizontal, image = _axes(features, rois, output_size, spatial_scale, sampling_ratio, aligned)
    bins = output_size[0] * output_size[1]
    pooled = table.new_full((regions, channels, bins), _EMPTY_MAX)
    rows, columns = torch.full_like(pooled, -1), torch.full_like(pooled, -1)
    for members in _groups(vertical.grid, horizontal.grid, bins, _MAX_VALUES // (bins * channels)):
        y, x = _samples(vertical, members), _samples(horizontal, members)
        best, sample = _best_samples(table, y, x, image[members] , horizontal.cells)
        pooled[members] = best.transpose(1, 2)
        for found, position in (
            (rows, y.position[:, :, None, :, None]),
            (columns, x.position[:, None, :, None, :]),
        ):
            shape = (members.numel(), *output_size, y.position.shape[2], x.position.shape[2])
            place = position.expand(shape).reshape(members.numel(), bins, -1).gather(2, sample.clamp(min=0))
            found[members] = torch.where(sample < 0, -1, place).transpose(1, 2)
    shape = (regions, channels, *output_size)
    found_y, found_x = (found.view(shape).to(features.dtype) for found in (rows, columns))
    return pooled.view(shape).to(features.dtype), Samples(found_y, found_x)


def _best_samples(table: Tensor, y: _Taps, x: _Taps, image: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Maximum of each bin and channel, and the number of its sample: shape (R, bins, C)."""
    regions, channels = image.numel(), table.shape[1]
    bins = y.cells.shape[1] * x.cells.shape[1]
    best = table.new_full((regions * bins, channels), _EMPTY_MAX)
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


def _table(features: Tensor) -> Tensor:
    """Feature maps as rows: one per image and cell."""
    return features.to(working_dtype(features)).permute(0, 2, 3, 1).reshape(-1, features.shape[1])


def _axes(
    features: Tensor,
    rois: Tensor,
    output_size: tuple[int, int],
    spatial_scale: float,
    sampling_ratio: int,
    aligned: bool,
) -> tuple[_Axis, _Axis, Tensor]:
    """Geometry of all regions on each axis, and where each region's image begins in the table."""
    _, _, height, width = features.shape
    # The order of operations is the reference's: a sample's cell must not depend on rounding.
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
        axes.append(_Axis(boxes[:, axis], bin_size, grid, bins, cells))
    image = torch.where(usable, rois[:, 0], 0).to(torch.int32) * (height * width)
    return axes[0], axes[1], image


def _batches(
    vertical: _Axis, horizontal: _Axis, image: Tensor
) -> list[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Regions, cells, weights and bag starts of a few large calls that together pool everything."""
    batches: list[list[tuple[Tensor, Tensor, Tensor]]] = [[]]
    taps = 0
    # Regions whose bins exceed the sample spacing need another layout of taps, so they form groups of their own.
    keys = [2 * axis.grid + (axis.bin_size > axis.grid) * (axis.grid > 0) for axis in (vertical, horizontal)]
    for members in _groups(*keys, vertical.bins * horizontal.bins):
        y_cells, y_weights = _taps(vertical, members)
        x_cells, x_weights = _taps(horizontal, members)
        # (region, bin y, bin x, tap y, tap x)
        cells = y_cells[:, :, None, :, None] * horizontal.cells + x_cells[:, None, :, None, :]
        cells = cells + image[members].view(-1, 1, 1, 1, 1)
        weights = y_weights[:, :, None, :, None] * x_weights[:, None, :, None, :]
        if taps and taps + cells.numel() > _MAX_TAPS:
            batches.append([])
            taps = 0
        batches[-1].append((members, cells.flatten(0, 2).flatten(1), weights.flatten(0, 2).flatten(1)))
        taps += cells.numel()
    return [_joined(parts) for parts in batches if parts]


def _joined(parts: list[tuple[Tensor, Tensor, Tensor]]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """One batch of bags of different lengths from parts of equal lengths."""
    members = torch.cat([part[0] for part in parts])
    rows = torch.cat([part[1].flatten() for part in parts])
    weights = torch.cat([part[2].flatten() for part in parts])
    lengths = torch.cat([part[1].new_full(part[1].shape[:1], part[1].shape[1]) for part in parts])
    starts = lengths.cumsum(0, dtype=torch.int32) - lengths
    return members, rows, weights, starts


def _groups(vertical: Tensor, horizontal: Tensor, bins: int, most: int | None = None) -> list[Tensor]:
    """Regions that share their grids, in pieces of bounded work; regions without samples are left out."""
    present = ((vertical > 0) & (horizontal > 0)).nonzero().flatten()
    if not present.numel():
        return []
    keys = torch.stack([vertical[present], horizontal[present]], 1)
    kinds, kind, counts = torch.unique(keys, dim=0, return_inverse=True, return_counts=True)
    ordered = present[torch.sort(kind, stable=True)[1]]
    pieces = []
    for group, (high, wide) in zip(ordered.split(counts.tolist()), kinds.tolist(), strict=True):
        size = _MAX_TAPS // (bins * (high + 1) * (wide + 1)) if most is None else most
        pieces.extend(group.split(max(1, size)))
    return pieces


def _positions(axis: _Axis, members: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Sample positions of regions that share their grid: as given, clamped to the map, and whether they count."""
    start, bin_size = axis.start[members, None, None], axis.bin_size[members, None, None]
    grid = int(axis.grid[members[0]])
    steps = torch.arange(axis.bins, device=start.device, dtype=start.dtype)[:, None]
    samples = torch.arange(grid, device=start.device, dtype=start.dtype) + 0.5
    position = start + steps * bin_size + samples * bin_size / grid
    inside = (position >= -1) & (position <= axis.cells)
    return position, position.clamp(0, axis.cells - 1), inside


def _samples(axis: _Axis, members: Tensor) -> _Taps:
    """Samples of regions that share their grid."""
    position, clamped, inside = _positions(axis, members)
    low = clamped.floor()
    fraction = clamped - low
    cells = torch.stack([low, (low + 1).clamp(max=axis.cells - 1)], -1)
    weights = torch.stack([1 - fraction, fraction], -1) * inside[..., None]
    return _Taps(position, cells.to(torch.int32), weights)


def _taps(axis: _Axis, members: Tensor) -> tuple[Tensor, Tensor]:
    """Cells that a bin reads on one axis, and their weights: shape (R, bins, taps)."""
    first = members[:1]
    grid = int(axis.grid[first])
    if bool(axis.bin_size[first] > grid):
        taps = _samples(axis, members)
        return taps.cells.flatten(2), taps.weights.flatten(2) / grid
    # Samples are at most one cell apart: they share a window of grid + 1 cells.
    _, clamped, inside = _positions(axis, members)
    base = clamped[..., :1].floor()
    slot = (clamped - base).floor().clamp(max=grid - 1)  # rounding may put the last sample on the window's edge
    fraction = clamped - base - slot
    share = inside / grid
    weights = clamped.new_zeros(*clamped.shape[:2], grid + 1)
    weights.scatter_add_(2, slot.long(), (1 - fraction) * share)
    weights.scatter_add_(2, slot.long() + 1, fraction * share)
    cells = base.to(torch.int32) + torch.arange(grid + 1, dtype=torch.int32, device=base.device)
    return cells.clamp_(max=axis.cells - 1), weights
