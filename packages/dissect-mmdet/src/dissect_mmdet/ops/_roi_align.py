"""RoIAlign as weighted sums of feature cells.

Average pooling of bilinear samples is linear and separates into a vertical and a horizontal part. Per bin and
axis, the samples of the adaptive grid touch at most one cell more than there are samples. So their weights are
added up first: a bin with 4 × 4 samples reads 5 × 5 cells instead of 64.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from ._roi_align_max import roi_align_max
from ._roi_grid import Axis, bilinear_samples, cell_rows, same_grid, sample_positions, sampling_axes
from ._rows import weighted_rows

# Cells (of all bins) summed in one call: bounds memory at about 12 bytes each.
_MAX_TAPS = 1 << 23


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
        Samples per bin and axis; 0 adapts them to the region: one per started cell of a bin.
    mode : {"avg", "max"}
        How the samples of a bin are combined.
    aligned : bool
        Shift by half a cell, so that cell centres are at ``i + 0.5``; False is the legacy convention, which
        also gives every region a size of at least one cell.

    Returns
    -------
    Tensor, shape (R, C, output height, output width)
        In the dtype of `features`, differentiable with respect to them (``"avg"`` and ``"max"``).

    Notes
    -----
    A region of negative size or with coordinates that are not finite has no samples and gives 0 (``"max"``:
    -10000, as the reference's CUDA operator does); the reference's CPU operator stops on a negative size.

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
    table = cell_rows(features)
    vertical, horizontal, image = sampling_axes(
        features, rois, output_size, spatial_scale, sampling_ratio, aligned
    )
    out = table.new_zeros(regions, channels, output_size[0] * output_size[1])
    for members, rows, weights, starts in _batches(vertical, horizontal, image):
        pooled = weighted_rows(table, rows, weights, starts).view(members.numel(), -1, channels)
        if members.numel() == regions:
            # The usual case, one batch: transpose once, in order.
            out = pooled.transpose(1, 2)[members.argsort()]
        else:
            out[members] = pooled.transpose(1, 2)
    return out.reshape(regions, channels, *output_size).to(features.dtype)


def _batches(vertical: Axis, horizontal: Axis, image: Tensor) -> list[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Return the regions, cells, weights and bag starts of a few large calls that together pool everything."""
    batches: list[list[tuple[Tensor, Tensor, Tensor]]] = [[]]
    taps = 0
    bins = vertical.bins * horizontal.bins

    def size(high: int, wide: int) -> int:
        return _MAX_TAPS // (bins * (high // 2 + 1) * (wide // 2 + 1))

    for members in same_grid(_layout(vertical), _layout(horizontal), size):
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


def _layout(axis: Axis) -> Tensor:
    """Return a key for each region, equal where layouts of taps are: twice the grid, plus 1 where a bin exceeds it."""
    return 2 * axis.grid + ((axis.bin_size > axis.grid) & (axis.grid > 0))


def _joined(parts: list[tuple[Tensor, Tensor, Tensor]]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Join parts, in each of which all bags have one length, into one batch of bags of different lengths."""
    members = torch.cat([part[0] for part in parts])
    rows = torch.cat([part[1].flatten() for part in parts])
    weights = torch.cat([part[2].flatten() for part in parts])
    lengths = torch.cat([part[1].new_full(part[1].shape[:1], part[1].shape[1]) for part in parts])
    starts = lengths.cumsum(0, dtype=torch.int32) - lengths
    return members, rows, weights, starts


def _taps(axis: Axis, members: Tensor) -> tuple[Tensor, Tensor]:
    """Return the cells that a bin reads on one axis, and their weights: shape (R, bins, taps)."""
    first = members[:1]
    grid = int(axis.grid[first])
    if bool(axis.bin_size[first] > grid):
        taps = bilinear_samples(axis, members)
        return taps.cells.flatten(2), taps.weights.flatten(2) / grid
    # Samples are at most one cell apart: they share a window of grid + 1 cells.
    _, clamped, inside = sample_positions(axis, members)
    base = clamped[..., :1].floor()
    # Rounding may put the last sample on the window's edge.
    slot = (clamped - base).floor().clamp(max=grid - 1)
    fraction = clamped - base - slot
    share = inside.to(clamped.dtype) / grid
    weights = clamped.new_zeros(*clamped.shape[:2], grid + 1)
    weights.scatter_add_(2, slot.long(), (1 - fraction) * share)
    weights.scatter_add_(2, slot.long() + 1, fraction * share)
    cells = base.to(torch.int32) + torch.arange(grid + 1, dtype=torch.int32, device=base.device)
    return cells.clamp_(max=axis.cells - 1), weights
