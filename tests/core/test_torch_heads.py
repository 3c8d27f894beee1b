"""Removing a head from the weights is the same as removing its output from the activations."""

from typing import Any

import pytest
from hypothesis import given, strategies as st

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional

from dissect_core import head_masks  # noqa: E402
from dissect_core.torch import ablated, attention_layouts  # noqa: E402

CLOSE = {"rtol": 1e-12, "atol": 1e-12}  # everything here is in double precision


def by_hand(
    block: Any, query: Any, key: Any, value: Any, removed: list[int], flat: tuple[int, ...] = ()
) -> Any:
    """Attention head by head, batch first; `removed` heads give zeros, `flat` ones attend alike."""
    if block.in_proj_weight is not None:
        w_q, w_k, w_v = block.in_proj_weight.chunk(3)
    else:
        w_q, w_k, w_v = block.q_proj_weight, block.k_proj_weight, block.v_proj_weight
    b_q, b_k, b_v = block.in_proj_bias.chunk(3) if block.in_proj_bias is not None else (None, None, None)
    q, k, v = F.linear(query, w_q, b_q), F.linear(key, w_k, b_k), F.linear(value, w_v, b_v)
    if block.bias_k is not None:
        k = torch.cat([k, block.bias_k.expand(len(k), -1, -1)], dim=1)
        v = torch.cat([v, block.bias_v.expand(len(v), -1, -1)], dim=1)
    width = block.embed_dim // block.num_heads
    heads = []
    for h in range(block.num_heads):
        own = slice(h * width, (h + 1) * width)
        if h in flat:
            out = v[..., own].mean(dim=1, keepdim=True).expand(-1, q.shape[1], -1)
        else:
            out = F.scaled_dot_product_attention(q[..., own], k[..., own], v[..., own])
        heads.append(torch.zeros_like(out) if h in removed else out)
    return F.linear(torch.cat(heads, dim=-1), block.out_proj.weight, block.out_proj.bias)


@st.composite
def blocks(draw: Any) -> Any:
    heads, width = draw(st.integers(1, 5)), draw(st.integers(1, 6))
    kdim, vdim = draw(st.sampled_from([(None, None), (3, None), (3, 5)]))
    torch.manual_seed(draw(st.integers(0, 1000)))
    block = nn.MultiheadAttention(
        heads * width,
        heads,
        bias=draw(st.booleans()),
        add_bias_kv=draw(st.booleans()),
        kdim=kdim,
        vdim=vdim,
        batch_first=True,
        dtype=torch.float64,
    )
    with torch.no_grad():
        for parameter in block.parameters():  # torch starts biases at zero, where removing them shows nothing
            parameter.normal_()
    block.eval()
    chosen = draw(st.lists(st.integers(0, heads - 1), unique=True))
    return block, chosen


def inputs(block: Any) -> tuple[Any, Any, Any]:
    kinds = {"dtype": torch.float64}
    return (
        torch.randn(2, 3, block.embed_dim, **kinds),
        torch.randn(2, 4, block.kdim, **kinds),
        torch.randn(2, 4, block.vdim, **kinds),
    )


@given(blocks(), st.sampled_from(["output", "value", "all"]))
def test_multihead_attention_heads_are_removed_exactly(drawn: Any, part: Any) -> None:
    block, chosen = drawn
    query, key, value = inputs(block)
    with torch.no_grad():
        intact = block(query, key, value, need_weights=False)[0]
        torch.testing.assert_close(intact, by_hand(block, query, key, value, []), **CLOSE)
        expected = by_hand(block, query, key, value, chosen)
        with ablated(block, head_masks(attention_layouts(block)[""], chosen, part=part)):
            removed = block(query, key, value, need_weights=False)[0]
            with_weights = block(query, key, value, need_weights=True)[0]
        torch.testing.assert_close(removed, expected, **CLOSE)
        torch.testing.assert_close(with_weights, expected, **CLOSE)
        assert block(query, key, value, need_weights=False)[0].equal(intact)


@given(blocks(), st.sampled_from(["query", "key"]))
def test_heads_without_query_or_key_attend_everywhere_alike(drawn: Any, part: Any) -> None:
    block, chosen = drawn
    query, key, value = inputs(block)
    with torch.no_grad():
        expected = by_hand(block, query, key, value, [], flat=tuple(chosen))
        with ablated(block, head_masks(attention_layouts(block)[""], chosen, part=part)):
            torch.testing.assert_close(block(query, key, value)[0], expected, **CLOSE)


def test_the_fast_path_of_an_encoder_layer_sees_the_ablation() -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, dtype=torch.float64).eval()
    image = torch.randn(2, 5, 16, dtype=torch.float64)
    masks = head_masks(attention_layouts(layer)["self_attn"], [1, 2])
    with ablated(layer, masks):
        with torch.inference_mode():
            fast = layer(image)
        slow = layer(image.requires_grad_())
    torch.testing.assert_close(fast, slow.detach(), rtol=1e-10, atol=1e-10)
    assert not torch.allclose(fast, layer(image).detach())


def test_the_heads_of_a_block_add_up_to_its_output() -> None:
    torch.manual_seed(0)
    block = nn.MultiheadAttention(16, 4, batch_first=True, dtype=torch.float64).eval()
    image = torch.randn(1, 5, 16, dtype=torch.float64)
    with torch.no_grad():
        outputs = []
        for head in range(4):
            with ablated(block, head_masks(attention_layouts(block)[""], [h for h in range(4) if h != head])):
                outputs.append(block(image, image, image)[0] - block.out_proj.bias)
        torch.testing.assert_close(sum(outputs) + block.out_proj.bias, block(image, image, image)[0], **CLOSE)
