"""Multi-scale deformable attention: each query reads a few weighted points of several feature maps."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Tensor

from ._rows import corners, weighted_rows, working_dtype

# Sampling points per step: so few on a CPU that their temporaries stay in the caches of a core.
_CHUNK = {"cpu": 1 << 15}
_CHUNK_ACCELERATOR = 1 << 24


def ms_deform_attn(
    value: Tensor,
    spatial_shapes: Tensor,
    level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
) -> Tensor:
    """Sample feature maps of several scales at given points and sum the samples with given weights.

    Parameters
    ----------
    value : Tensor, shape (N, K, M, D)
        All cells of all levels, row by row and level after level, for M heads of D channels.
    spatial_shapes : int Tensor, shape (L, 2)
        Height and width of each level in cells.
    level_start_index : int Tensor, shape (L,)
        Where each level begins in K.
    sampling_locations : Tensor, shape (N, Q, M, L, P, 2)
        x and y of P points per query, head and level; 0 and 1 are the outer edges of the map.
    attention_weights : Tensor, shape (N, Q, M, L, P)
        Weight of each point.

    Returns
    -------
    Tensor, shape (N, Q, M * D)
        Differentiable with respect to `value`, `sampling_locations` and `attention_weights`. Points outside a
        map read zeros.

    References
    ----------
    Zhu et al., ICLR 2021, arXiv:2010.04159.

    Examples
    --------
    >>> value = torch.tensor([1.0, 3.0]).view(1, 2, 1, 1)  # one level of 1 × 2 cells
    >>> shapes, start = torch.tensor([[1, 2]]), torch.tensor([0])
    >>> middle = torch.tensor([0.5, 0.5]).view(1, 1, 1, 1, 1, 2)
    >>> ms_deform_attn(value, shapes, start, middle, torch.ones(1, 1, 1, 1, 1))
    tensor([[[2.]]])
    """
    images, keys, heads, channels = value.shape
    queries, levels, points = sampling_locations.shape[1], *sampling_locations.shape[3:5]
    dtype = working_dtype(value)
    table = value.to(dtype).reshape(-1, channels)
    height, width = (spatial_shapes[:, axis].to(dtype)[:, None] for axis in (0, 1))
    image, head = torch.meshgrid(
        torch.arange(images, device=value.device), torch.arange(heads, device=value.device), indexing="ij"
    )
    # Table row of the first cell, per image, head and level.
    first = (image[..., None] * keys + level_start_index) * heads + head[..., None]
    first = first.to(torch.int32)[:, None, :, :, None, None]
    chunk = _CHUNK.get(value.device.type, _CHUNK_ACCELERATOR)
    step = max(1, chunk // max(1, images * heads * levels * points))
    outputs = []
    for begin in range(0, queries, step):
        x, y = sampling_locations[:, begin : begin + step].to(dtype).unbind(-1)
        cells, weights = corners(y * height - 0.5, x * width - 0.5, height, width)
        rows = cells.mul_(heads).add_(first)
        weights = weights * attention_weights[:, begin : begin + step, ..., None].to(dtype)
        bag = levels * points * 4
        sums = weighted_rows(table, rows.view(-1, bag), weights.view(-1, bag))
        outputs.append(sums.view(images, -1, heads * channels))
    if not outputs:
        return value.new_zeros(images, 0, heads * channels)
    return torch.cat(outputs, 1).to(value.dtype)


def inference_attention(original: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Wrap mmcv's torch function for this operator, to call `ms_deform_attn` unless gradients are recorded.

    Parameters
    ----------
    original : callable
        ``multi_scale_deformable_attn_pytorch`` of ``mmcv.ops.multi_scale_deform_attn``.

    Returns
    -------
    callable
        With the same parameters and result.
    """

    @functools.wraps(original)
    def attend(
        value: Tensor, value_spatial_shapes: Tensor, sampling_locations: Tensor, attention_weights: Tensor
    ) -> Tensor:
        inputs = (value, sampling_locations, attention_weights)
        if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs):
            return original(value, value_spatial_shapes, sampling_locations, attention_weights)
        shapes = torch.as_tensor(value_spatial_shapes, device=value.device)
        cells = shapes.prod(1)
        return ms_deform_attn(value, shapes, cells.cumsum(0) - cells, sampling_locations, attention_weights)

    return attend
