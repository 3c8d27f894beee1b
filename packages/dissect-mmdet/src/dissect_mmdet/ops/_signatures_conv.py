"""Deformable convolution under the names and signatures by which mmcv calls it (see ``_signatures``)."""
# ruff: noqa: A002, N803  # the names are mmcv's

from __future__ import annotations

import torch
from torch import Tensor

from ._deform_conv import deform_conv2d
from ._rows import accumulate_gradients


def deform_conv_forward(
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    output: Tensor,
    columns: Tensor,
    ones: Tensor,
    kW: int,
    kH: int,
    dW: int,
    dH: int,
    padW: int,
    padH: int,
    dilationW: int,
    dilationH: int,
    group: int,
    deformable_group: int,
    im2col_step: int,
) -> None:
    """Run deformable convolution."""
    if offset.shape[2:] != output.shape[2:]:
        raise RuntimeError(
            f"deform_conv: `offset` must be given for each of {_size(output)} output cells, got {_size(offset)}. "
            "Predict it with the kernel size, stride, padding and dilation of this convolution."
        )
    geometry = ((dH, dW), (padH, padW), (dilationH, dilationW), group, deformable_group)
    output.copy_(deform_conv2d(input, offset, weight, None, None, *geometry).view_as(output))


def deform_conv_backward_input(
    input: Tensor,
    offset: Tensor,
    gradOutput: Tensor,
    gradInput: Tensor,
    gradOffset: Tensor,
    weight: Tensor,
    columns: Tensor,
    kW: int,
    kH: int,
    dW: int,
    dH: int,
    padW: int,
    padH: int,
    dilationW: int,
    dilationH: int,
    group: int,
    deformable_group: int,
    im2col_step: int,
) -> None:
    """Add the gradients of deformable convolution to `gradInput` and `gradOffset`."""
    geometry = ((dH, dW), (padH, padW), (dilationH, dilationW), group, deformable_group)

    def convolve(features: Tensor, moved: Tensor) -> Tensor:
        return deform_conv2d(features, moved, weight, None, None, *geometry)

    accumulate_gradients(convolve, [input, offset], gradOutput, [gradInput, gradOffset])


def deform_conv_backward_parameters(
    input: Tensor,
    offset: Tensor,
    gradOutput: Tensor,
    gradWeight: Tensor,
    columns: Tensor,
    ones: Tensor,
    kW: int,
    kH: int,
    dW: int,
    dH: int,
    padW: int,
    padH: int,
    dilationW: int,
    dilationH: int,
    group: int,
    deformable_group: int,
    scale: float,
    im2col_step: int,
) -> None:
    """Add the gradient of deformable convolution to `gradWeight`."""
    geometry = ((dH, dW), (padH, padW), (dilationH, dilationW), group, deformable_group)

    def convolve(kernel: Tensor) -> Tensor:
        return deform_conv2d(input, offset, kernel, None, None, *geometry)

    accumulate_gradients(convolve, [torch.zeros_like(gradWeight)], gradOutput * scale, [gradWeight])


def modulated_deform_conv_forward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    output: Tensor,
    columns: Tensor,
    kernel_h: int,
    kernel_w: int,
    stride_h: int,
    stride_w: int,
    pad_h: int,
    pad_w: int,
    dilation_h: int,
    dilation_w: int,
    group: int,
    deformable_group: int,
    with_bias: bool,
) -> None:
    """Run modulated deformable convolution."""
    geometry = ((stride_h, stride_w), (pad_h, pad_w), (dilation_h, dilation_w), group, deformable_group)
    shift = bias if with_bias else None
    moved, factor = _as_read(offset, output), _as_read(mask, output)
    output.copy_(deform_conv2d(input, moved, weight, shift, factor, *geometry).view_as(output))


def modulated_deform_conv_backward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    columns: Tensor,
    grad_input: Tensor,
    grad_weight: Tensor,
    grad_bias: Tensor,
    grad_offset: Tensor,
    grad_mask: Tensor,
    grad_output: Tensor,
    kernel_h: int,
    kernel_w: int,
    stride_h: int,
    stride_w: int,
    pad_h: int,
    pad_w: int,
    dilation_h: int,
    dilation_w: int,
    group: int,
    deformable_group: int,
    with_bias: bool,
) -> None:
    """Add the gradients of modulated deformable convolution to the ``grad_`` tensors."""
    geometry = ((stride_h, stride_w), (pad_h, pad_w), (dilation_h, dilation_w), group, deformable_group)

    def convolve(features: Tensor, moved: Tensor, factor: Tensor, kernel: Tensor) -> Tensor:
        moved, factor = _as_read(moved, grad_output), _as_read(factor, grad_output)
        return deform_conv2d(features, moved, kernel, None, factor, *geometry)

    gradients = [grad_input, grad_offset, grad_mask, grad_weight]
    accumulate_gradients(convolve, [input, offset, mask, weight], grad_output, gradients)
    if with_bias:
        grad_bias.add_(grad_output.sum((0, 2, 3)))


def _as_read(given: Tensor, output: Tensor) -> Tensor:
    """Return the offsets or masks that mmcv's modulated convolution uses where they have another size than its output.

    mmcv checks the size of its input only: of each image it reads as many values as it needs, from the first on, as if
    they were laid out for the output. DyHead relies on that where it gives a coarse level the offsets of a finer one.

    Raises
    ------
    RuntimeError
        If there are fewer values than the output needs: mmcv would read the memory behind them.
    """
    size = output.shape[2:]
    if given.shape[2:] == size:
        return given
    images, channels = given.shape[:2]
    needed = channels * size.numel()
    if given[0].numel() < needed:
        raise RuntimeError(
            f"modulated_deform_conv: `offset` and `mask` must be given for each of {_size(output)} output cells, got "
            f"{_size(given)}. Predict them with the kernel size, stride, padding and dilation of this convolution."
        )
    return given.reshape(images, -1)[:, :needed].reshape(images, channels, *size)


def _size(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape[2:]))
