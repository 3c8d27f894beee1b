"""Deformable convolution, plain (v1) and modulated (v2)."""

from __future__ import annotations

import torch
from torch import Tensor

from ._rows import corners, weighted_rows, working_dtype

_MAX_COLUMNS = 1 << 22  # sampled values held in memory at once


def deform_conv2d(
    features: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    mask: Tensor | None = None,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
    deform_groups: int = 1,
) -> Tensor:
    """Convolve with a kernel whose taps are displaced at each output cell.

    Parameters
    ----------
    features : Tensor, shape (N, C, H, W)
        Input; half precision is computed in float32.
    offset : Tensor, shape (N, deform_groups * 2 * kh * kw, Ho, Wo)
        Displacement of each tap of each group, in input cells, y before x.
    weight : Tensor, shape (O, C / groups, kh, kw)
        Kernel.
    bias : Tensor, shape (O,), optional
        Added to the output.
    mask : Tensor, shape (N, deform_groups * kh * kw, Ho, Wo), optional
        Factor on each tap, for the modulated convolution (v2).
    stride, padding, dilation : (int, int)
        Vertical and horizontal, as for an ordinary convolution.
    groups : int
        Groups of channels that are convolved separately.
    deform_groups : int
        Groups of channels with displacements of their own.

    Returns
    -------
    Tensor, shape (N, O, Ho, Wo)
        Differentiable with respect to all tensors. Taps outside the input read zeros.

    References
    ----------
    Dai et al., ICCV 2017, arXiv:1703.06211; Zhu et al., CVPR 2019, arXiv:1811.11168.

    Examples
    --------
    >>> features = torch.arange(4.0).view(1, 1, 2, 2)
    >>> offset = torch.zeros(1, 2, 2, 2)
    >>> offset[:, 1] = 0.5  # half a cell to the right
    >>> deform_conv2d(features, offset, torch.ones(1, 1, 1, 1)).flatten()
    tensor([0.5000, 0.5000, 2.5000, 1.5000])
    """
    images, channels, height, width = features.shape
    out_channels, _, *kernel = weight.shape
    taps = kernel[0] * kernel[1]
    out_height, out_width = offset.shape[2:]
    dtype = working_dtype(features)
    # One row per image, cell and deformation group.
    table = features.to(dtype).permute(0, 2, 3, 1).reshape(-1, channels // deform_groups)
    kernels = weight.to(dtype).view(groups, out_channels // groups, channels // groups, taps)
    kernels = kernels.permute(0, 3, 2, 1)  # (group, tap, channel, output)

    # (output cell, tap, group) is the order in which sampled rows line up as columns of a matrix product.
    moved = offset.to(dtype).view(images, deform_groups, taps, 2, -1).permute(3, 0, 4, 2, 1)
    factor = None
    if mask is not None:
        factor = mask.to(dtype).view(images, deform_groups, taps, -1).permute(0, 3, 2, 1).flatten(0, 1)
    grid_y, grid_x = _grid((out_height, out_width), (kernel[0], kernel[1]), stride, padding, dilation, moved)
    y, x = (moved[0] + grid_y[..., None]).flatten(0, 1), (moved[1] + grid_x[..., None]).flatten(0, 1)
    image = torch.arange(images, device=features.device).repeat_interleave(out_height * out_width)
    group = torch.arange(deform_groups, device=features.device)[:, None]

    outputs = []
    everywhere = torch.arange(y.shape[0], device=y.device)
    for part in torch.split(everywhere, max(1, _MAX_COLUMNS // (taps * channels))):
        cells, weights = corners(y[part], x[part], height, width)  # (part, tap, group, 4)
        if factor is not None:
            weights = weights * factor[part][..., None]
        first = (image[part] * (height * width)).view(-1, 1, 1, 1)
        rows = ((cells + first) * deform_groups + group).to(torch.int32)
        columns = weighted_rows(table, rows.view(-1, 4), weights.reshape(-1, 4))
        columns = columns.view(-1, taps, groups, channels // groups).permute(2, 0, 1, 3).flatten(2)
        outputs.append(torch.bmm(columns, kernels.flatten(1, 2)).permute(1, 0, 2).flatten(1))
    if not outputs:
        return features.new_zeros(images, out_channels, out_height, out_width)
    out = torch.cat(outputs).view(images, -1, out_channels)
    if bias is not None:
        out = out + bias.to(dtype)
    return out.transpose(1, 2).reshape(images, out_channels, out_height, out_width).to(features.dtype)


def _grid(
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    like: Tensor,
) -> tuple[Tensor, Tensor]:
    """Return the positions that an ordinary convolution samples: y and x, each of shape (output cells, taps)."""
    axes = []
    for axis in (0, 1):
        base = torch.arange(size[axis], device=like.device) * stride[axis] - padding[axis]
        tap = torch.arange(kernel[axis], device=like.device) * dilation[axis]
        axes.append((base[:, None] + tap).to(like.dtype))
    y = axes[0][:, None, :, None].expand(size[0], size[1], kernel[0], kernel[1])
    x = axes[1][None, :, None, :].expand(size[0], size[1], kernel[0], kernel[1])
    return y.reshape(size[0] * size[1], -1), x.reshape(size[0] * size[1], -1)
