from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from dissect_core import AttentionLayout, LayoutError, UnitError, head_masks
from dissect_core.anatomy import HeadSlice, deformable_layout, head_width, multihead_layout, separate_layout

sizes = st.tuples(st.integers(1, 6), st.integers(1, 5))  # heads, width of a head
layouts = st.one_of(
    st.builds(
        lambda s, bias, kv: multihead_layout(s[0] * s[1], s[0], bias=bias, bias_kv=kv),
        sizes,
        st.booleans(),
        st.booleans(),
    ),
    st.builds(
        lambda s, k, v: multihead_layout(s[0] * s[1], s[0], key_dims=k, value_dims=v),
        sizes,
        *[st.integers(1, 9)] * 2,
    ),
    st.builds(lambda s: separate_layout(s[0] * s[1], s[0], query=("a", "b")), sizes),
    st.builds(
        lambda s, levels, points: deformable_layout(s[0] * s[1], s[0], levels, points),
        sizes,
        st.integers(1, 4),
        st.integers(1, 4),
    ),
)


def rows(mask: Any) -> list[int]:
    """Rows that are wholly masked, after checking that no other is touched."""
    flat = mask.reshape(mask.shape[0], -1)
    assert np.array_equal(flat.any(axis=1), flat.all(axis=1))
    return np.flatnonzero(flat.all(axis=1)).tolist()


def test_head_of_a_fused_block() -> None:
    layout = multihead_layout(256, 8, prefix="encoder.layers.0.self_attn.attn.")
    masks = head_masks(layout, 3, part="all")
    assert list(masks) == [
        f"encoder.layers.0.self_attn.attn.{n}" for n in ("in_proj_weight", "in_proj_bias", "out_proj.weight")
    ]
    weight, bias, out = masks.values()
    expected = [*range(96, 128), *range(352, 384), *range(608, 640)]
    assert rows(weight) == rows(bias) == expected
    assert rows(out.T) == list(range(96, 128))


@pytest.mark.parametrize(("part", "start"), [("query", 0), ("key", 256), ("value", 512)])
def test_parts_of_a_fused_block(part: Any, start: int) -> None:
    masks = head_masks(multihead_layout(256, 8), 1, part=part)
    assert list(masks) == ["in_proj_weight", "in_proj_bias"]
    assert rows(masks["in_proj_weight"]) == rows(masks["in_proj_bias"]) == list(range(start + 32, start + 64))


def test_output_is_the_default_part() -> None:
    assert list(head_masks(multihead_layout(8, 2), 0)) == ["out_proj.weight"]


def test_block_with_learnt_key_and_value() -> None:
    masks = head_masks(multihead_layout(8, 2, bias=False, bias_kv=True), 1, part="value")
    assert masks["bias_v"].shape == (1, 1, 8)
    assert np.flatnonzero(masks["bias_v"]).tolist() == [4, 5, 6, 7]
    assert "bias_k" in head_masks(multihead_layout(8, 2, bias_kv=True), 1, part="key")


def test_block_with_three_weights_keeps_stacked_biases() -> None:
    layout = multihead_layout(8, 2, key_dims=3, value_dims=5)
    masks = head_masks(layout, 1, part="value")
    assert layout.kind == "separate"
    assert masks["v_proj_weight"].shape == (8, 5)
    assert rows(masks["v_proj_weight"]) == [4, 5, 6, 7]
    assert rows(masks["in_proj_bias"]) == [20, 21, 22, 23]


def test_block_with_several_query_projections() -> None:
    query = ("qcontent_proj", "qpos_proj", "qpos_sine_proj")
    layout = separate_layout(16, 4, query=query, key=("kcontent_proj", "kpos_proj"))
    masks = head_masks(layout, 2, part="query")
    assert {name.partition(".")[0] for name in masks} == set(query)
    assert all(rows(mask) == [8, 9, 10, 11] for mask in masks.values())


def test_head_of_a_deformable_block() -> None:
    layout = deformable_layout(256, 8, n_levels=4, n_points=4)
    query = head_masks(layout, 2, part="query")
    assert query["sampling_offsets.weight"].shape == (256, 256)
    assert (
        rows(query["sampling_offsets.weight"]) == rows(query["sampling_offsets.bias"]) == list(range(64, 96))
    )
    assert query["attention_weights.weight"].shape == (128, 256)
    assert rows(query["attention_weights.weight"]) == list(range(32, 48))
    assert rows(head_masks(layout, 2, part="value")["value_proj.weight"]) == list(range(64, 96))
    assert rows(head_masks(layout, 2)["output_proj.weight"].T) == list(range(64, 96))
    assert set(head_masks(layout, 2, part="all")) == set(layout.parameters)


def test_deformable_block_with_values_of_another_width() -> None:
    masks = head_masks(deformable_layout(8, 2, 1, 1, value_dims=4), 1)
    assert masks["output_proj.weight"].shape == (8, 4)
    assert rows(masks["output_proj.weight"].T) == [2, 3]


def test_deformable_attention_has_no_keys() -> None:
    layout = deformable_layout(8, 2, 1, 1)
    assert layout.parts == ("output", "value", "query")
    with pytest.raises(
        UnitError, match=r"deformable attention has \(output, value, query\) or 'all', got 'key'"
    ):
        head_masks(layout, 0, part="key")


@given(layouts, st.data())
def test_heads_share_a_block_out_without_overlap(layout: AttentionLayout, data: st.DataObject) -> None:
    part = data.draw(st.sampled_from([*layout.parts, "all"]))
    each = [head_masks(layout, head, part=part) for head in range(layout.n_heads)]
    together = head_masks(layout, range(layout.n_heads), part=part)
    for name, mask in together.items():
        assert np.array_equal(sum(masks[name].astype(int) for masks in each), mask.astype(int))
    if part == "all":
        assert all(mask.all() for mask in together.values())


@given(layouts, st.data())
def test_masks_of_several_heads_are_the_union(layout: AttentionLayout, data: st.DataObject) -> None:
    heads = data.draw(st.lists(st.integers(0, layout.n_heads - 1), unique=True))
    masks = head_masks(layout, heads, part="all")
    for name, mask in masks.items():
        union = np.zeros_like(mask)
        for head in heads:
            union |= head_masks(layout, head, part="all")[name]
        assert np.array_equal(mask, union)


@pytest.mark.parametrize("heads", [8, -1, [0, 8], 1.0, [True], ["0"]])
def test_heads_that_a_block_does_not_have(heads: Any) -> None:
    with pytest.raises((UnitError, TypeError), match=r"from 0 to 7, as the block has 8|not iterable"):
        head_masks(multihead_layout(256, 8), heads)


def test_heads_are_distinct() -> None:
    with pytest.raises(UnitError, match="must be distinct"):
        head_masks(multihead_layout(256, 8), [1, 1])


@pytest.mark.parametrize(("dims", "n_heads"), [(10, 3), (10, 0), (0, 1), (4, 8)])
def test_heads_divide_the_width(dims: int, n_heads: int) -> None:
    with pytest.raises(LayoutError, match=f"must divide the width {dims}, got {n_heads}"):
        head_width(dims, n_heads)


def test_a_layout_checks_its_slices() -> None:
    inside = HeadSlice("w", (8, 8), "value", 0, 0, 4)
    assert AttentionLayout("fused", 8, 2, (inside,)).parameters == ("w",)
    for axis, start, width in [(0, 4, 4), (0, -1, 2), (2, 0, 4), (0, 0, 0)]:
        with pytest.raises(LayoutError, match="'w'"):
            AttentionLayout("fused", 8, 2, (HeadSlice("w", (8, 8), "value", axis, start, width),))
    with pytest.raises(LayoutError, match="`n_levels` must be 1 or more, got 0"):
        AttentionLayout("deformable", 8, 2, (inside,), n_levels=0)
