"""Removing neurons, channels, levels and points of MMCV's blocks is the same as removing them by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import nn

from dissect_core import Zero
from dissect_core.anatomy import UnitGroup
from dissect_core.edits import group_edits
from dissect_core.torch import anatomy_of, edited
from dissect_mmdet.ops import enable_mmcv_ops

pytest.importorskip("mmcv")
enable_mmcv_ops()

CLOSE = {"rtol": 1e-12, "atol": 1e-12}  # everything here is in double precision


def shaken(model: Any) -> Any:
    """In double precision, every value random: fresh blocks have zeros where it matters."""
    model = model.double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.5)
    return model


def group_of(model: nn.Module, unit: str) -> UnitGroup:
    (group,) = (g for g in anatomy_of(model).groups if g.unit == unit)
    return group


@settings(max_examples=20, deadline=None)
@given(st.booleans(), st.sampled_from(["ReLU", "Sigmoid", "PReLU"]), st.sampled_from([0.0, 0.5]), st.data())
def test_neurons_of_a_feed_forward_block(identity: bool, act: str, scale: float, data: st.DataObject) -> None:
    from mmcv.cnn.bricks.transformer import FFN

    torch.manual_seed(0)
    act_cfg = {"type": act}
    ffn = FFN(4, 6, act_cfg=act_cfg, add_identity=identity, layer_scale_init_value=scale)
    model = shaken(nn.ModuleDict({"ffn": ffn}))
    image = torch.randn(2, 3, 4).double()
    group = group_of(model, "neuron")
    # The scale of a residual branch is no part of the two layers.
    assert (group.path, group.n_units) == ("ffn.layers" if scale else "ffn", 6)
    units = data.draw(st.lists(st.integers(0, 5), unique=True))
    with torch.no_grad():
        hidden = ffn.layers[0](image)
        hidden[..., units] = 0
        expected = ffn.gamma2(ffn.layers[1](hidden)) + (image if identity else 0)
        with edited(model, group_edits(group, units, Zero())):
            torch.testing.assert_close(ffn(image), expected, **CLOSE)


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([None, "BN", "GN"]), st.booleans(), st.data())
def test_channels_of_a_conv_module(norm: str | None, act: bool, data: st.DataObject) -> None:
    from mmcv.cnn import ConvModule

    torch.manual_seed(0)
    norm_cfg = {None: None, "BN": {"type": "BN"}, "GN": {"type": "GN", "num_groups": 2}}[norm]
    act_cfg = {"type": "ReLU", "inplace": False} if act else None
    block = shaken(ConvModule(3, 6, 3, norm_cfg=norm_cfg, act_cfg=act_cfg))
    image = torch.randn(2, 3, 5, 5).double()
    group = group_of(block, "channel")
    assert (group.path, group.n_units) == ("conv", 6)
    units = data.draw(st.lists(st.integers(0, 5), unique=True))
    with torch.no_grad():
        expected = block(image).index_fill(1, torch.tensor(units, dtype=torch.long), 0)
        with edited(block, group_edits(group, units, Zero())):
            torch.testing.assert_close(block(image), expected, **CLOSE)


def sampled(value: torch.Tensor, height: int, width: int, x: float, y: float) -> torch.Tensor:
    """Bilinear value of one head's map (height · width, d) at a place in [0, 1]²; 0 outside."""
    x, y = x * width - 0.5, y * height - 0.5
    total = torch.zeros_like(value[0])
    for row in (int(y // 1), int(y // 1) + 1):
        for column in (int(x // 1), int(x // 1) + 1):
            if 0 <= row < height and 0 <= column < width:
                total += (1 - abs(y - row)) * (1 - abs(x - column)) * value[row * width + column]
    return total


def by_hand(
    block: Any, query: Any, memory: Any, points: Any, sizes: list[tuple[int, int]], gone: Any
) -> torch.Tensor:
    """Deformable attention in loops; samples for which `gone(level, point)` holds are not in the softmax."""
    heads, n_levels, n_points = block.num_heads, block.num_levels, block.num_points
    offsets = block.sampling_offsets(query).view(*query.shape[:2], heads, n_levels, n_points, 2)
    logits = block.attention_weights(query).view(*query.shape[:2], heads, n_levels, n_points)
    values = block.value_proj(memory).view(*memory.shape[:2], heads, -1)
    output = torch.zeros(*query.shape[:2], heads, values.shape[-1]).double()
    kept = [(lv, p) for lv in range(n_levels) for p in range(n_points) if not gone(lv, p)]
    for b, q, h in torch.cartesian_prod(*map(torch.arange, (*query.shape[:2], heads))).tolist():
        total = sum(logits[b, q, h, level, point].exp() for level, point in kept)
        for level, point in kept:
            height, width = sizes[level]
            start = sum(rows * columns for rows, columns in sizes[:level])
            dx, dy = offsets[b, q, h, level, point].tolist()
            x, y = points[b, q, level].tolist()
            seen = values[b, start : start + height * width, h]
            weight = logits[b, q, h, level, point].exp() / total
            output[b, q, h] += weight * sampled(seen, height, width, x + dx / width, y + dy / height)
    return block.output_proj(output.flatten(2)) + query


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.sampled_from(["level", "point"]), st.data()
)
def test_levels_and_points_leave_the_softmax(
    heads: int, n_levels: int, n_points: int, unit: str, data: st.DataObject
) -> None:
    from mmcv.ops import MultiScaleDeformableAttention

    torch.manual_seed(0)
    dims = 2 * heads
    block = shaken(
        MultiScaleDeformableAttention(dims, heads, n_levels, n_points, dropout=0.0, batch_first=True)
    )
    sizes = [(4, 5), (2, 3), (1, 2)][:n_levels]
    query, points = torch.randn(2, 3, dims).double(), torch.rand(2, 3, n_levels, 2).double()
    memory = torch.randn(2, sum(h * w for h, w in sizes), dims).double()
    starts = torch.tensor([sum(h * w for h, w in sizes[:i]) for i in range(n_levels)])

    def run() -> Any:
        return block(
            query,
            value=memory,
            reference_points=points,
            spatial_shapes=torch.tensor(sizes),
            level_start_index=starts,
        )

    group = group_of(block, unit)
    assert group.n_units == {"level": n_levels, "point": n_points}[unit]
    # All of them, too: nothing is left to weigh then, and the block gives its residual and bias.
    units = data.draw(st.lists(st.integers(0, group.n_units - 1), unique=True))
    with torch.no_grad():
        torch.testing.assert_close(
            run(), by_hand(block, query, memory, points, sizes, lambda *_: False), **CLOSE
        )
        expected = by_hand(
            block,
            query,
            memory,
            points,
            sizes,
            lambda level, point: (level if unit == "level" else point) in units,
        )
        with edited(block, group_edits(group, units, Zero())):
            torch.testing.assert_close(run(), expected, **CLOSE)
