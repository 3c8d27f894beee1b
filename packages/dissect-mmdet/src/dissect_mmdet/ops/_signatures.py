"""The operators under the names and signatures by which mmcv calls them.

mmcv's Python code allocates outputs and passes them as buffers to be filled, and its autograd functions call separate
``_backward`` operators. Gradients come from torch's autograd on the functional form, computed again in the backward.
Argument names are part of the interface (mmcv passes many by keyword), which is why some are in camel case.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ._deform_attn import ms_deform_attn
from ._deform_conv import deform_conv2d
from ._focal import sigmoid_focal_loss, sigmoid_focal_loss_gradient
from ._nms import nms
from ._roi_align import roi_align, roi_align_max, scatter_samples
from ._roi_pool import roi_pool
from ._soft_nms import soft_nms


def softnms(
    boxes: Tensor,
    scores: Tensor,
    dets: Tensor,
    iou_threshold: float,
    sigma: float,
    min_score: float,
    method: int,
    offset: int,
) -> Tensor:
    """Soft-NMS; fills the first rows of `dets`."""
    kept, indices = soft_nms(boxes, scores, iou_threshold, sigma, min_score, method, offset)
    dets[: len(kept)] = kept.to(dets)
    return indices.to(boxes.device)


def roi_align_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """RoIAlign; pool mode 0 is max, 1 is avg."""
    size = (aligned_height, aligned_width)
    if pool_mode == 0:
        pooled, samples = roi_align_max(input, rois, size, spatial_scale, sampling_ratio, aligned)
        argmax_y.copy_(samples.y)
        argmax_x.copy_(samples.x)
    else:
        pooled = roi_align(input, rois, size, spatial_scale, sampling_ratio, "avg", aligned)
    output.copy_(pooled)


def roi_align_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Gradient of RoIAlign, added to `grad_input`."""
    if pool_mode == 0:
        scatter_samples(grad_output, rois, argmax_y, argmax_x, grad_input)
        return
    size = (aligned_height, aligned_width)

    def pool(features: Tensor) -> Tensor:
        return roi_align(features, rois, size, spatial_scale, sampling_ratio, "avg", aligned)

    # Pooling is linear, so any point of evaluation gives the gradient.
    _accumulate(pool, [torch.zeros_like(grad_input)], grad_output, [grad_input])


def roi_pool_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
) -> None:
    """RoIPool."""
    pooled, where = roi_pool(input, rois, (pooled_height, pooled_width), spatial_scale)
    output.copy_(pooled)
    argmax.copy_(where)


def roi_pool_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax: Tensor,
    grad_input: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
) -> None:
    """Gradient of RoIPool, added to `grad_input`."""
    images, channels, height, width = grad_input.shape
    plane = rois[:, 0].long()[:, None] * channels + torch.arange(channels, device=rois.device)
    cell = plane[:, :, None, None] * (height * width) + argmax
    found = argmax >= 0
    grad_input.view(-1).index_add_(0, cell[found], grad_output[found])


def ms_deform_attn_forward(
    value: Tensor,
    value_spatial_shapes: Tensor,
    value_level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    im2col_step: int,
) -> Tensor:
    """Multi-scale deformable attention; the step that CUDA works in has no meaning here."""
    return ms_deform_attn(
        value, value_spatial_shapes, value_level_start_index, sampling_locations, attention_weights
    )


def ms_deform_attn_backward(
    value: Tensor,
    value_spatial_shapes: Tensor,
    value_level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    grad_output: Tensor,
    grad_value: Tensor,
    grad_sampling_loc: Tensor,
    grad_attn_weight: Tensor,
    im2col_step: int,
) -> None:
    """Gradients of multi-scale deformable attention, added to the last tensors."""

    def attend(value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        return ms_deform_attn(value, value_spatial_shapes, value_level_start_index, locations, weights)

    inputs = [value, sampling_locations, attention_weights]
    _accumulate(attend, inputs, grad_output, [grad_value, grad_sampling_loc, grad_attn_weight])


def deform_conv_forward(
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    output: Tensor,
    columns: Tensor,
    ones: Tensor,
    kW: int,  # noqa: N803
    kH: int,  # noqa: N803
    dW: int,  # noqa: N803
    dH: int,  # noqa: N803
    padW: int,  # noqa: N803
    padH: int,  # noqa: N803
    dilationW: int,  # noqa: N803
    dilationH: int,  # noqa: N803
    group: int,
    deformable_group: int,
    im2col_step: int,
) -> None:
    """Deformable convolution."""
    geometry = ((dH, dW), (padH, padW), (dilationH, dilationW), group, deformable_group)
    output.copy_(deform_conv2d(input, offset, weight, None, None, *geometry).view_as(output))


def deform_conv_backward_input(
    input: Tensor,
    offset: Tensor,
    gradOutput: Tensor,  # noqa: N803
    gradInput: Tensor,  # noqa: N803
    gradOffset: Tensor,  # noqa: N803
    weight: Tensor,
    columns: Tensor,
    kW: int,  # noqa: N803
    kH: int,  # noqa: N803
    dW: int,  # noqa: N803
    dH: int,  # noqa: N803
    padW: int,  # noqa: N803
    padH: int,  # noqa: N803
    dilationW: int,  # noqa: N803
    dilationH: int,  # noqa: N803
    group: int,
    deformable_group: int,
    im2col_step: int,
) -> None:
    """Gradients of deformable convolution for input and offsets."""
    geometry = ((dH, dW), (padH, padW), (dilationH, dilationW), group, deformable_group)

    def convolve(features: Tensor, moved: Tensor) -> Tensor:
        return deform_conv2d(features, moved, weight, None, None, *geometry)

    _accumulate(convolve, [input, offset], gradOutput, [gradInput, gradOffset])


def deform_conv_backward_parameters(
    input: Tensor,
    offset: Tensor,
    gradOutput: Tensor,  # noqa: N803
    gradWeight: Tensor,  # noqa: N803
    columns: Tensor,
    ones: Tensor,
    kW: int,  # noqa: N803
    kH: int,  # noqa: N803
    dW: int,  # noqa: N803
    dH: int,  # noqa: N803
    padW: int,  # noqa: N803
    padH: int,  # noqa: N803
    dilationW: int,  # noqa: N803
    dilationH: int,  # noqa: N803
    group: int,
    deformable_group: int,
    scale: float,
    im2col_step: int,
) -> None:
    """Gradient of deformable convolution for the kernel."""
    geometry = ((dH, dW), (padH, padW), (dilationH, dilationW), group, deformable_group)

    def convolve(kernel: Tensor) -> Tensor:
        return deform_conv2d(input, offset, kernel, None, None, *geometry)

    _accumulate(convolve, [torch.zeros_like(gradWeight)], gradOutput * scale, [gradWeight])


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
    """Modulated deformable convolution."""
    geometry = ((stride_h, stride_w), (pad_h, pad_w), (dilation_h, dilation_w), group, deformable_group)
    shift = bias if with_bias else None
    output.copy_(deform_conv2d(input, offset, weight, shift, mask, *geometry).view_as(output))


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
    """Gradients of modulated deformable convolution, added to the ``grad_`` tensors."""
    geometry = ((stride_h, stride_w), (pad_h, pad_w), (dilation_h, dilation_w), group, deformable_group)

    def convolve(features: Tensor, moved: Tensor, factor: Tensor, kernel: Tensor) -> Tensor:
        return deform_conv2d(features, moved, kernel, None, factor, *geometry)

    gradients = [grad_input, grad_offset, grad_mask, grad_weight]
    _accumulate(convolve, [input, offset, mask, weight], grad_output, gradients)
    if with_bias:
        grad_bias.add_(grad_output.sum((0, 2, 3)))


def sigmoid_focal_loss_forward(
    input: Tensor, target: Tensor, weight: Tensor, output: Tensor, gamma: float, alpha: float
) -> None:
    """Sigmoid focal loss."""
    output.copy_(sigmoid_focal_loss(input, target, weight, gamma, alpha))


def sigmoid_focal_loss_backward(
    input: Tensor, target: Tensor, weight: Tensor, grad_input: Tensor, gamma: float, alpha: float
) -> None:
    """Gradient of the sigmoid focal loss."""
    grad_input.copy_(sigmoid_focal_loss_gradient(input, target, weight, gamma, alpha))


def _accumulate(
    function: Callable[..., Tensor], inputs: Sequence[Tensor], grad_output: Tensor, gradients: Sequence[Tensor]
) -> None:
    """Add the gradients of a function to buffers."""
    # mmcv calls this inside an autograd function, where recording is off.
    with torch.enable_grad():
        leaves = [tensor.detach().requires_grad_() for tensor in inputs]
        output = function(*leaves)
        found = torch.autograd.grad(output, leaves, grad_output.view_as(output))
    for buffer, gradient in zip(gradients, found, strict=True):
        buffer.add_(gradient)
