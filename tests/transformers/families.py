"""Tiny detectors of every family that Transformers has, with random weights: `build` makes them, nothing is downloaded.

The weights are no initial ones, in which many matrices are zero or repeat each other: every number is drawn, at a size
that lets each part of the model show in its detections.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from transformers import (
    ConditionalDetrConfig,
    ConditionalDetrForObjectDetection,
    ConditionalDetrImageProcessorPil,
    DabDetrConfig,
    DabDetrForObjectDetection,
    DeformableDetrConfig,
    DeformableDetrForObjectDetection,
    DeformableDetrImageProcessorPil,
    Deimv2Config,
    Deimv2ForObjectDetection,
    DetrConfig,
    DetrForObjectDetection,
    DetrImageProcessorPil,
    DFineConfig,
    DFineForObjectDetection,
    HGNetV2Config,
    LwDetrConfig,
    LwDetrForObjectDetection,
    LwDetrViTConfig,
    ResNetConfig,
    RfDetrConfig,
    RfDetrDinov2Config,
    RfDetrForObjectDetection,
    RTDetrConfig,
    RTDetrForObjectDetection,
    RTDetrImageProcessorPil,
    RTDetrResNetConfig,
    RTDetrV2Config,
    RTDetrV2ForObjectDetection,
    YolosConfig,
    YolosForObjectDetection,
    YolosImageProcessorPil,
)

from dissect_transformers.models._rf_detr import RfDetrImageProcessorPil

CLASS_NAMES = ("circle", "square", "triangle")
N_QUERIES = 10
SEED = 0
# Width 32 in 4 heads; two layers of each stack, so that there is a first and a last one.
_WIDTH, _HEADS, _LAYERS, _FFN = 32, 4, 2, 48
_GAIN = 2.5
"""Of convolutions: without it, what tells images apart fades on the way through activations."""
_SMALL_IMAGE = {"height": 96, "width": 96}
_SIDES = {"shortest_edge": 72, "longest_edge": 108}

Build = Callable[[], tuple[Any, Any]]


def _labels() -> dict[str, Any]:
    return {
        "id2label": dict(enumerate(CLASS_NAMES)),
        "label2id": {name: number for number, name in enumerate(CLASS_NAMES)},
    }


def _resnet(**more: Any) -> ResNetConfig:
    return ResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 12, 16, 24],
        depths=[1, 1, 1, 1],
        layer_type="basic",
        **{"out_features": ["stage4"], **more},
    )


def _encoder_decoder() -> dict[str, Any]:
    return {
        "num_queries": N_QUERIES,
        "encoder_layers": _LAYERS,
        "decoder_layers": _LAYERS,
        "encoder_ffn_dim": _FFN,
        "decoder_ffn_dim": _FFN,
        "encoder_attention_heads": _HEADS,
        "decoder_attention_heads": _HEADS,
        "auxiliary_loss": True,
        **_labels(),
    }


def _detr() -> tuple[Any, Any]:
    config = DetrConfig(backbone_config=_resnet(), d_model=_WIDTH, **_encoder_decoder())
    return DetrForObjectDetection(config), DetrImageProcessorPil(size=_SIDES)


def _conditional_detr() -> tuple[Any, Any]:
    config = ConditionalDetrConfig(backbone_config=_resnet(), d_model=_WIDTH, **_encoder_decoder())
    return ConditionalDetrForObjectDetection(config), ConditionalDetrImageProcessorPil(size=_SIDES)


def _dab_detr() -> tuple[Any, Any]:
    config = DabDetrConfig(backbone_config=_resnet(), hidden_size=_WIDTH, **_encoder_decoder())
    return DabDetrForObjectDetection(config), ConditionalDetrImageProcessorPil(size=_SIDES)


def _deformable_detr(**more: Any) -> tuple[Any, Any]:
    config = DeformableDetrConfig(
        backbone_config=_resnet(out_features=["stage2", "stage3", "stage4"]),
        d_model=_WIDTH,
        num_feature_levels=4,
        encoder_n_points=2,
        decoder_n_points=3,
        **_encoder_decoder(),
        **more,
    )
    return DeformableDetrForObjectDetection(config), DeformableDetrImageProcessorPil(size=_SIDES)


def _deformable_detr_two_stage() -> tuple[Any, Any]:
    # Images of one size: with random weights, places of padding are among the best proposals.
    model, _ = _deformable_detr(two_stage=True, with_box_refine=True, two_stage_num_proposals=N_QUERIES)
    return model, DeformableDetrImageProcessorPil(size=_SMALL_IMAGE)


def _real_time() -> dict[str, Any]:
    return {
        **_encoder_decoder(),
        "encoder_layers": 1,
        "encoder_hidden_dim": _WIDTH,
        "encoder_in_channels": [12, 16, 24],
        "decoder_in_channels": [_WIDTH] * 3,
        "d_model": _WIDTH,
        "hidden_expansion": 0.5,
        "num_denoising": 8,
    }


def _rt_detr_resnet() -> RTDetrResNetConfig:
    return RTDetrResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 12, 16, 24],
        depths=[1, 1, 1, 1],
        layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )


def _rt_detr() -> tuple[Any, Any]:
    config = RTDetrConfig(backbone_config=_rt_detr_resnet(), decoder_n_points=2, **_real_time())
    return RTDetrForObjectDetection(config), RTDetrImageProcessorPil(size=_SMALL_IMAGE)


def _rt_detr_v2() -> tuple[Any, Any]:
    config = RTDetrV2Config(backbone_config=_rt_detr_resnet(), decoder_n_points=2, **_real_time())
    return RTDetrV2ForObjectDetection(config), RTDetrImageProcessorPil(size=_SMALL_IMAGE)


def _hgnet() -> HGNetV2Config:
    return HGNetV2Config(
        stem_channels=[3, 8, 8],
        stage_in_channels=[8, 8, 12, 16],
        stage_mid_channels=[8, 8, 8, 8],
        stage_out_channels=[8, 12, 16, 24],
        stage_num_blocks=[1, 1, 1, 1],
        stage_downsample=[False, True, True, True],
        stage_light_block=[False, False, True, True],
        stage_kernel_size=[3, 3, 3, 3],
        stage_numb_of_layers=[1, 1, 1, 1],
        embedding_size=8,
        hidden_sizes=[8, 12, 16, 24],
        depths=[1, 1, 1, 1],
        out_features=["stage2", "stage3", "stage4"],
    )


def _d_fine() -> tuple[Any, Any]:
    config = DFineConfig(
        backbone_config=_hgnet(),
        decoder_n_points=[3, 2, 1],
        lqe_hidden_dim=16,
        depth_mult=0.34,
        **_real_time(),
    )
    return DFineForObjectDetection(config), RTDetrImageProcessorPil(size=_SMALL_IMAGE)


def _deimv2() -> tuple[Any, Any]:
    config = Deimv2Config(
        backbone_config=_hgnet(),
        decoder_n_points=[3, 2, 1],
        lqe_hidden_dim=16,
        depth_mult=0.34,
        **_real_time(),
    )
    return Deimv2ForObjectDetection(config), RTDetrImageProcessorPil(size=_SMALL_IMAGE)


def _yolos() -> tuple[Any, Any]:
    config = YolosConfig(
        hidden_size=_WIDTH,
        num_hidden_layers=3,
        num_attention_heads=_HEADS,
        intermediate_size=_FFN,
        image_size=[96, 96],
        num_detection_tokens=N_QUERIES,  # no auxiliary loss: with one, Transformers 5.24 fails on labels
        **_labels(),
    )
    return YolosForObjectDetection(config), YolosImageProcessorPil(size=_SIDES)


def _vit_decoder() -> dict[str, Any]:
    return {
        "d_model": _WIDTH,
        "num_queries": N_QUERIES,
        "decoder_layers": _LAYERS,
        "decoder_ffn_dim": _FFN,
        "decoder_self_attention_heads": _HEADS,
        "decoder_cross_attention_heads": _HEADS,
        "decoder_n_points": 2,
        "group_detr": 3,
        **_labels(),
    }


def _lw_detr() -> tuple[Any, Any]:
    backbone = LwDetrViTConfig(
        hidden_size=_WIDTH,
        num_hidden_layers=3,
        num_attention_heads=_HEADS,
        mlp_ratio=2,
        image_size=64,
        pretrain_image_size=64,
        num_windows=4,
        window_block_indices=[0, 2],
        out_indices=[2, 3],
    )
    config = LwDetrConfig(backbone_config=backbone, projector_scale_factors=[1.0], **_vit_decoder())
    processor = DeformableDetrImageProcessorPil(size={"height": 64, "width": 64}, do_pad=True)
    return LwDetrForObjectDetection(config), processor


def _rf_detr() -> tuple[Any, Any]:
    backbone = RfDetrDinov2Config(
        hidden_size=_WIDTH,
        num_hidden_layers=4,
        num_attention_heads=_HEADS,
        mlp_ratio=2,
        image_size=112,
        patch_size=14,
        num_windows=2,
        window_block_indexes=[0, 1, 3],
        out_indices=[2, 4],
    )
    config = RfDetrConfig(backbone_config=backbone, **_vit_decoder())
    processor = RfDetrImageProcessorPil(size={"height": 112, "width": 112}, do_pad=True)
    return RfDetrForObjectDetection(config), processor


FAMILIES: dict[str, Build] = {
    "detr": _detr,
    "conditional_detr": _conditional_detr,
    "dab_detr": _dab_detr,
    "deformable_detr": _deformable_detr,
    "deformable_detr_two_stage": _deformable_detr_two_stage,
    "rt_detr": _rt_detr,
    "rt_detr_v2": _rt_detr_v2,
    "d_fine": _d_fine,
    "deimv2": _deimv2,
    "yolos": _yolos,
    "lw_detr": _lw_detr,
    "rf_detr": _rf_detr,
}
"""A function for each family, by its name."""


def build(name: str, seed: int = SEED) -> tuple[Any, Any]:
    """Build the tiny detector of a family and its image processor; the same one each time.

    Parameters
    ----------
    name : str
        One of `FAMILIES`.
    seed : int
        Seed of the weights.

    Returns
    -------
    tuple of (PreTrainedModel, BaseImageProcessor)
        The model in evaluation mode, and the image processor of its family that needs no torchvision.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model, processor = FAMILIES[name]()
        _draw(model)
    return model.eval(), processor


@torch.no_grad()
def _draw(model: torch.nn.Module) -> None:
    """Draw every number: matrices so that they keep the size of what passes, the rest near what it was."""
    for name, values in model.named_parameters():
        if values.ndim > 1 and "norm" not in name:
            fan_in = math.prod(values.shape[1:])
            values.normal_(0, (_GAIN if values.ndim == 4 else 1) / math.sqrt(fan_in))
        else:
            values.add_(torch.randn_like(values), alpha=0.1)
    for name, values in model.named_buffers():
        if name.endswith("running_mean"):
            values.normal_(0, 0.1)
        elif name.endswith("running_var"):
            values.uniform_(0.5, 1.5)
