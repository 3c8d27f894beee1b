"""DEIMv2-Atto, a real detection transformer: the model of Transformers as it was trained, and its image processor.

Transformers' port differs from the original (github.com/Intellindust-AI-Lab/DEIMv2) in three places, and with any of
them AP collapses. All are undone here, and none keeps anything between passes:

- the original has nothing between the encoder's output and the heads that choose queries; the port has a projection;
- its heads use SiLU, the port's ReLU;
- it computes the position embedding of queries once a pass, from the first reference boxes, the port in each layer.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Deimv2Config, Deimv2ForObjectDetection, HGNetV2Config, RTDetrImageProcessorPil
from transformers.models.deimv2.modeling_deimv2 import Deimv2Decoder, Deimv2DecoderLayer, Deimv2MLP

SIZE = 320
N_QUERIES = 100
N_DETECTIONS = 300
"""Pairs of query and class that count for an image; Transformers takes as many as there are queries."""


class AttoDecoderLayer(Deimv2DecoderLayer):
    """A decoder layer that takes the position embedding of the pass instead of its own."""

    def forward(
        self, hidden_states: Tensor, *, position_embeddings: Tensor, of_the_pass: Tensor, **rest: Any
    ) -> Tensor:
        return super().forward(hidden_states, position_embeddings=of_the_pass, **rest)


class AttoDecoder(Deimv2Decoder):
    """A decoder that computes the position embedding of queries from the first reference boxes, for all layers."""

    def forward(self, *, reference_points: Tensor, **rest: Any) -> Any:
        embedding = self.query_pos_head(reference_points.sigmoid()).clamp(min=-10, max=10)
        return super().forward(reference_points=reference_points, of_the_pass=embedding, **rest)


class AttoProcessor(RTDetrImageProcessorPil):
    """The image processor, which counts the 300 best pairs of query and class of an image."""

    def post_process_object_detection(
        self, outputs: Any, threshold: float = 0.5, target_sizes: Any = None, use_focal_loss: bool = True
    ) -> list[dict[str, Tensor]]:
        scores, index = outputs.logits.sigmoid().flatten(1).topk(N_DETECTIONS)
        n_classes = outputs.logits.shape[-1]
        x, y, w, h = outputs.pred_boxes.unbind(-1)
        boxes = torch.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], dim=-1)
        if target_sizes is not None:
            height, width = torch.as_tensor(target_sizes).to(boxes).T[:, :, None]
            boxes = boxes * torch.stack([width, height, width, height], dim=-1)
        found = []
        for score, pair, box in zip(scores, index, boxes, strict=True):
            score, pair = score[score > threshold], pair[score > threshold]
            found.append({"scores": score, "labels": pair % n_classes, "boxes": box[pair // n_classes]})
        return found


def config(class_names: tuple[str, ...]) -> Deimv2Config:
    """Return the configuration of the Atto size."""
    backbone = HGNetV2Config(
        stem_channels=[3, 16, 16],
        stage_in_channels=[16, 64, 256],
        stage_mid_channels=[16, 32, 64],
        stage_out_channels=[64, 256, 256],
        stage_num_blocks=[1, 1, 1],
        stage_downsample=[False, True, True],
        stage_downsample_strides=[2, 2, 2],
        stage_light_block=[False, False, True],
        stage_kernel_size=[3, 3, 3],
        stage_numb_of_layers=[3, 3, 3],
        depths=[1, 1, 1],
        hidden_sizes=[64, 256, 256],
        use_learnable_affine_block=True,
        out_indices=[3],
    )
    return Deimv2Config(
        backbone_config=backbone,
        encoder_type="lite",
        encoder_hidden_dim=64,
        encoder_in_channels=[256],
        feat_strides=[16, 32],
        hidden_expansion=0.34,
        depth_mult=0.5,
        d_model=64,
        num_queries=N_QUERIES,
        decoder_in_channels=[64, 64],
        decoder_ffn_dim=160,
        num_feature_levels=2,
        decoder_n_points=[4, 2],
        decoder_layers=3,
        decoder_attention_heads=8,
        use_gateway=False,
        share_bbox_head=True,
        anchor_image_size=[SIZE, SIZE],
        eval_size=[SIZE, SIZE],
        id2label=dict(enumerate(class_names)),
        label2id={name: number for number, name in enumerate(class_names)},
    )


def build(weights: Path, class_names: tuple[str, ...]) -> Deimv2ForObjectDetection:
    """Return the trained model, ready to detect, as the original computes it."""
    model = Deimv2ForObjectDetection(config(class_names))
    model.model.enc_output = nn.Identity()
    for module in model.modules():
        if isinstance(module, Deimv2MLP):
            module.act = nn.SiLU()
    model.model.decoder.__class__ = AttoDecoder
    for layer in model.model.decoder.layers:
        layer.__class__ = AttoDecoderLayer
    model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True), strict=True)
    return model.eval()


def processor() -> AttoProcessor:
    """Return the image processor: 320 × 320 without keeping the aspect, in [0, 1], neither mean nor deviation."""
    return AttoProcessor(
        do_resize=True,
        size={"height": SIZE, "width": SIZE},
        resample=2,  # bilinear
        do_rescale=True,
        do_normalize=False,
        do_pad=False,
    )
