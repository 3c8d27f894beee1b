"""Weighted sums of table rows, from which RoIAlign, deformable convolution and deformable attention are made.

Each output of these is a short weighted sum of rows of a (cells, channels) table.
``torch.nn.functional.embedding_bag`` computes it without storing the gathered rows, on CPU and CUDA, and with
gradients for both the table and the weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional


def working_dtype(tensor: Tensor) -> torch.dtype:
    """Return the precision of sampling positions and sums: float64 for float64, float32 for all others."""
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32


def weighted_rows(table: Tensor, rows: Tensor, weights: Tensor, starts: Tensor | None = None) -> Tensor:
    """Sum rows of a table with weights, one sum per bag.

    Parameters
    ----------
    table : Tensor, shape (T, C)
        Float rows to sum.
    rows : int Tensor, shape (B, K), or (S,) together with `starts`
        Which rows each bag sums, in [0, T).
    weights : Tensor, same shape as `rows`
        Dtype of `table`.
    starts : Tensor, shape (B,), optional
        For bags of different lengths: where each bag begins in the flat `rows`.

    Returns
    -------
    Tensor, shape (B, C)
        Differentiable with respect to `table` and `weights`.

    Examples
    --------
    >>> table = torch.tensor([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]])
    >>> weighted_rows(table, torch.tensor([[0, 2]]), torch.tensor([[0.5, 0.5]]))
    tensor([[ 2., 20.]])
    """
    bags = rows.shape[0] if starts is None else starts.shape[0]
    if bags == 0 or rows.numel() == 0:
        return table.new_zeros(bags, table.shape[1]) + table[:0].sum()  # the sum connects the graph
    return functional.embedding_bag(rows, table, starts, mode="sum", per_sample_weights=weights)


def corners(y: Tensor, x: Tensor, height: Tensor | int, width: Tensor | int) -> tuple[Tensor, Tensor]:
    """Return the cells and weights of bilinear sampling with zeros outside the map.

    Parameters
    ----------
    y, x : Tensor, any one shape
        Sampling positions in cells; the centre of the first cell is 0. Positions that are not finite sample
        nothing.
    height, width : int or Tensor
        Size of the map in cells; a tensor is broadcast against the positions.

    Returns
    -------
    cells : int32 Tensor, shape (..., 4)
        Row-major cell numbers ``y * width + x`` of the four neighbours; an arbitrary cell of the map for a
        neighbour outside.
    weights : Tensor, shape (..., 4)
        Their weights; 0 for a neighbour outside the map.

    Examples
    --------
    >>> cells, weights = corners(torch.tensor([0.5]), torch.tensor([-0.25]), 2, 3)
    >>> cells.tolist(), weights.tolist()
    ([[0, 0, 3, 3]], [[0.0, 0.375, 0.0, 0.375]])
    """
    y_cells, y_weights = _neighbours(y, height)
    x_cells, x_weights = _neighbours(x, width)
    if isinstance(width, Tensor):
        width = width.to(torch.int32)
    cells = torch.stack([yc * width + xc for yc in y_cells for xc in x_cells], dim=-1)
    weights = torch.stack([yw * xw for yw in y_weights for xw in x_weights], dim=-1)
    return cells, weights


def _neighbours(position: Tensor, size: Tensor | int) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Return the lower and upper neighbour of each position on one axis: cell numbers and weights."""
    low = position.detach().floor()
    fraction = position - low
    # Comparisons with NaN are false, so a position that is not finite gets weight 0 and a valid cell number.
    low_inside = (low >= 0) & (low < size)
    high_inside = (low >= -1) & (low < size - 1)
    cells = (
        torch.where(low_inside, low, 0).to(torch.int32),
        torch.where(high_inside, low + 1, 0).to(torch.int32),
    )
    weights = (torch.where(low_inside, 1 - fraction, 0), torch.where(high_inside, fraction, 0))
    return cells, weights


def accumulate_gradients(
    function: Callable[..., Tensor],
    inputs: Sequence[Tensor],
    grad_output: Tensor,
    gradients: Sequence[Tensor],
) -> None:
    """Add a function's gradients with respect to its inputs to buffers."""
    # mmcv calls this inside an autograd function, where recording is off.
    with torch.enable_grad():
        leaves = [tensor.detach().requires_grad_() for tensor in inputs]
        output = function(*leaves)
        if not output.requires_grad:  # nothing was pooled: no gradient flows
            return
        computed = torch.autograd.grad(output, leaves, grad_output.view_as(output))
    for buffer, gradient in zip(gradients, computed, strict=True):
        buffer.add_(gradient)
