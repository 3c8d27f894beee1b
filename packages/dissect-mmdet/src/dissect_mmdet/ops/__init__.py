"""mmcv's compiled operators (``mmcv._ext``) in torch, for CPU and CUDA, so that MMDetection runs without a compiler.

`enable_mmcv_ops` puts them where ``mmcv.ops`` looks for compiled ones, unless those are installed. They can
also be called directly; this package needs neither mmcv nor mmdet.

==============================  ======================================  =========
mmcv operator                   function here                           backward
==============================  ======================================  =========
``nms``                         `nms`, `batched_nms`
``softnms``                     `soft_nms`
``nms_match``                   `nms_match`
``roi_align_*``                 `roi_align`, `roi_align_max`            yes
``roi_pool_*``                  `roi_pool`                              yes
``ms_deform_attn_*``            `ms_deform_attn`                        yes
``deform_conv_*``               `deform_conv2d`                         yes
``modulated_deform_conv_*``     `deform_conv2d` with a mask             yes
``sigmoid_focal_loss_*``        `sigmoid_focal_loss`                    yes
==============================  ======================================  =========

Any other operator raises `MissingOperatorError` when it is called.
"""

from __future__ import annotations

from ._deform_attn import ms_deform_attn
from ._deform_conv import deform_conv2d
from ._focal import sigmoid_focal_loss, sigmoid_focal_loss_gradient
from ._nms import batched_nms, nms, nms_match
from ._roi_align import roi_align
from ._roi_align_max import roi_align_max
from ._roi_pool import roi_pool
from ._soft_nms import soft_nms
from ._stand_in import TorchOperators, accelerate_attention, enable_mmcv_ops

__all__ = [
    "TorchOperators",
    "accelerate_attention",
    "batched_nms",
    "deform_conv2d",
    "enable_mmcv_ops",
    "ms_deform_attn",
    "nms",
    "nms_match",
    "roi_align",
    "roi_align_max",
    "roi_pool",
    "sigmoid_focal_loss",
    "sigmoid_focal_loss_gradient",
    "soft_nms",
]
