"""MMDetection's transformer layers, small, in double precision and with every value random.

A helper of the tests; needs mmdet.
"""

from typing import Any

import pytest
import torch


def layers() -> Any:
    """MMDetection's layers; on a CPU without a compiled mmcv they need a sibling's stand-in."""
    try:
        from dissect_mmdet.ops import enable_mmcv_ops

        enable_mmcv_ops()
    except ImportError:
        pass
    try:
        from mmdet.models.layers import transformer
    except ImportError as error:
        pytest.skip(f"mmdet's layers cannot be imported: {error}")
    return transformer


def shaken(block: Any) -> Any:
    block = block.double().eval()
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.normal_(std=0.5)
    return block


SIZES = torch.tensor([[2, 3], [1, 2]])
FFN = {"embed_dims": 16, "feedforward_channels": 24}


def layer(name: str) -> tuple[Any, Any]:
    """A layer, and a function that calls it as MMDetection does."""
    torch.manual_seed(0)
    made = layers()
    attention = {"embed_dims": 16, "num_heads": 4, "dropout": 0.0, "batch_first": True}
    deformable = {
        "embed_dims": 16,
        "num_heads": 4,
        "num_levels": 2,
        "num_points": 2,
        "batch_first": True,
        "dropout": 0.0,
    }
    conditional = {"embed_dims": 16, "num_heads": 4}
    query, position, memory = torch.randn(2, 3, 16), torch.randn(2, 3, 16), torch.randn(2, 8, 16)
    query, position, memory = query.double(), position.double(), memory.double()
    levels = {
        "spatial_shapes": SIZES,
        "level_start_index": torch.tensor([0, 6]),
        "valid_ratios": torch.ones(2, 2, 2).double(),
    }
    if name == "detr.encoder":
        block = made.DetrTransformerEncoderLayer(dict(attention), dict(FFN))
        return shaken(block), lambda b, s=0: b(memory + s, query_pos=memory / 2, key_padding_mask=None)
    if name == "detr.decoder":
        block = made.DetrTransformerDecoderLayer(dict(attention), dict(attention), dict(FFN))
        return shaken(block), lambda b, s=0: b(
            query=query + s,
            key=memory,
            value=memory,
            query_pos=position,
            key_pos=memory / 2,
            key_padding_mask=None,
        )
    if name == "deformable.encoder":
        block = made.DeformableDetrTransformerEncoder(
            1, {"self_attn_cfg": dict(deformable), "ffn_cfg": dict(FFN)}
        ).layers[0]
        points = torch.rand(2, 8, 2, 2).double()
        return shaken(block), lambda b, s=0: b(
            query=memory + s, query_pos=memory / 2, key_padding_mask=None, reference_points=points, **levels
        )
    if name == "deformable.decoder":
        block = made.DeformableDetrTransformerDecoder(
            1,
            {"self_attn_cfg": dict(attention), "cross_attn_cfg": dict(deformable), "ffn_cfg": dict(FFN)},
            None,
        ).layers[0]
        points = torch.rand(2, 3, 2, 2).double()
        return shaken(block), lambda b, s=0: b(
            query + s,
            query_pos=position,
            value=memory,
            key_padding_mask=None,
            reference_points=points,
            **levels,
        )
    block = made.ConditionalDetrTransformerDecoder(
        1,
        {
            "self_attn_cfg": dict(conditional),
            "cross_attn_cfg": dict(conditional, cross_attn=True),
            "ffn_cfg": dict(FFN),
        },
    ).layers[0]
    return shaken(block), lambda b, s=0: b(
        query + s,
        key=memory,
        query_pos=position,
        key_pos=memory / 2,
        ref_sine_embed=position / 3,
        is_first=True,
    )


BLOCKS = {
    "detr.encoder": ["self_attn"],
    "detr.decoder": ["self_attn", "cross_attn"],
    "deformable.encoder": ["self_attn"],
    "deformable.decoder": ["self_attn", "cross_attn"],
    "conditional.decoder": ["self_attn", "cross_attn"],
}
