"""The operators under the names and signatures by which mmcv calls them.

mmcv's Python code allocates outputs and passes them as buffers to be filled, and its autograd functions call
separate ``_backward`` operators. Where no formula is written out here, a backward operator computes the function
again and takes its gradients from torch's autograd. Argument names are part of the interface, because mmcv passes
many by keyword.
"""
# ruff: noqa: A002  # the names are mmcv's

from __future__ import annotations

import torch
from torch import Tensor

from ._deform_attn import ms_deform_attn
from ._focal import sigmoid_focal_loss, sigmoid_focal_loss_gradient
from ._roi_align import roi_align
from ._roi_align_max import roi_align_max, scatter_samples
from ._roi_pool import roi_pool
from ._rows import accumulate_gradients
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
    """Run soft-NMS and fill the first rows of `dets`."""
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
    """Run RoIAlign; pool mode 0 is max, 1 is avg."""
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
    """Add the gradient of RoIAlign to `grad_input`."""
    if pool_mode == 0:
        scatter_samples(grad_output, rois, argmax_y, argmax_x, grad_input)
        return
    size = (aligned_height, aligned_width)

    def pool(features: Tensor) -> Tensor:
        return roi_align(features, rois, size, spatial_scale, sampling_ratio, "avg", aligned)

    # Pooling is linear, so its gradient is the same at any features: zeros will do.
    accumulate_gradients(pool, [torch.zeros_like(grad_input)], grad_output, [grad_input])


def roi_pool_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
) -> None:
    """Run RoIPool."""
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
    """Add the gradient of RoIPool to `grad_input`."""
    _, channels, height, width = grad_input.shape
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
    """Run multi-scale deformable attention; `im2col_step`, a batch size of mmcv's kernel, is ignored."""
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
    """Add the gradients of multi-scale deformable attention to the last three tensors."""

    def attend(value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        return ms_deform_attn(value, value_spatial_shapes, value_level_start_index, locations, weights)

    inputs = [value, sampling_locations, attention_weights]
    accumulate_gradients(attend, inputs, grad_output, [grad_value, grad_sampling_loc, grad_attn_weight])


def sigmoid_focal_loss_forward(
    input: Tensor, target: Tensor, weight: Tensor, output: Tensor, gamma: float, alpha: float
) -> None:
    """Compute the sigmoid focal loss into `output`."""
    output.copy_(sigmoid_focal_loss(input, target, weight, gamma, alpha))


def sigmoid_focal_loss_backward(
    input: Tensor, target: Tensor, weight: Tensor, grad_input: Tensor, gamma: float, alpha: float
) -> None:
    """Compute the gradient of the sigmoid focal loss into `grad_input`."""
    grad_input.copy_(sigmoid_focal_loss_gradient(input, target, weight, gamma, alpha))
