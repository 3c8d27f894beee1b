"""Smaller models whose layers and blocks are of unknown make, or shared."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
nn = torch.nn

from dissect_core import InterventionError  # noqa: E402
from dissect_core.torch import (  # noqa: E402
    ablated,
    anatomy_of,
    bypassed,
    simplify,
)
from simplified import Layer, Stack, run, shaken, size, variant_of  # noqa: E402

CLOSE = {"rtol": 1e-9, "atol": 1e-9}
X = torch.randn(2, 5, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_layers_of_ones_own() -> None:
    model = shaken(Stack(Layer(), Layer()))
    attention, first, second = 4 * 8 * 9, 9 * 12, 13 * 8
    gone = {"layer": ({0}, attention + first + second), "sublayer": ({0, 3}, attention + first + second)}
    gone |= {"head": ({1, 6, 7}, 3 * (3 * 2 * 9 + 2 * 8)), "neuron": ({0, 5, 13}, 3 * (9 + 8))}
    for unit, (units, removed) in gone.items():
        variant = variant_of(model, unit, units)
        small = simplify(model, variant, run=run, batch=X)
        with ablated(model, variant):
            expected = run(model, X)["features"]
        torch.testing.assert_close(run(small.model, X)["features"], expected, **CLOSE)
        assert small.n_parameters_before - small.n_parameters_after == removed
        assert small.flops_after < small.flops_before
    heads = simplify(model, variant_of(model, "head", {1, 6, 7}), run=run, batch=X).model
    attention_ = [layer.self_attn for layer in heads.layers]
    assert [(a.num_heads, a.embed_dim) for a in attention_] == [(3, 6), (2, 4)]


class Stacked(nn.Module):
    """Attention with one linear layer for queries, keys and values, as in ViT."""

    def __init__(self) -> None:
        super().__init__()
        self.num_heads, self.qkv, self.proj = 4, nn.Linear(8, 24), nn.Linear(8, 8)

    def forward(self, x: Any) -> Any:
        split = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = nn.functional.scaled_dot_product_attention(*split)
        return x + self.proj(mixed.transpose(1, 2).flatten(2))


@pytest.mark.parametrize("kind", [torch.float64, torch.float32, torch.bfloat16])
def test_stacked_projections_in_any_precision(kind: Any) -> None:
    model, x = shaken(Stack(Stacked(), Stacked())).to(kind), X.to(kind)
    variant = variant_of(model, "head", {0, 3, 5})
    small = simplify(model, variant, run=run, batch=x)
    assert [layer.qkv.out_features for layer in small.model.layers] == [12, 18]
    assert small.n_parameters_before - small.n_parameters_after == 3 * (3 * 2 * 9 + 2 * 8)
    with ablated(model, variant):
        expected = run(model, x)["features"]
    close = 8 * torch.finfo(kind).eps
    torch.testing.assert_close(run(small.model, x)["features"], expected, rtol=close, atol=4 * close)
    assert small.largest_difference <= 4 * close * expected.abs().max()


def test_a_first_linear_layer_stays_where_it_is_read() -> None:
    model = shaken(Stack(Layer(reads=True)))
    variant = variant_of(model, "sublayer", {1})
    small = simplify(model, variant, run=run, batch=X)
    assert small.n_parameters_before - small.n_parameters_after == 13 * 8
    with ablated(model, variant):
        torch.testing.assert_close(run(small.model, X)["features"], run(model, X)["features"], **CLOSE)


class Residual(nn.Module):
    """Adds the residual itself, with a further argument, and starts from zeros as DETR's decoder does."""

    def __init__(self, more: Any = None) -> None:
        super().__init__()
        self.attn, self.more = nn.MultiheadAttention(8, 4, batch_first=True), more

    def forward(self, query: Any, memory: Any, identity: Any = None) -> Any:
        x = (query if identity is None else identity) + self.attn(query, memory, memory)[0]
        return x if self.more is None else (x, self.more)


class Decoder(nn.Module):
    def __init__(self, *blocks: Any, identity: bool = False) -> None:
        super().__init__()
        self.blocks, self.identity = nn.ModuleList(blocks), identity

    def forward(self, memory: Any) -> Any:
        x = torch.zeros_like(memory)
        for block in self.blocks:
            x = block(x, memory, identity=memory if self.identity else None)
            x = (x[0] if isinstance(x, tuple) else x) + 1
        return x


@pytest.mark.parametrize("identity", [False, True])
def test_what_a_block_returns_is_seen(identity: bool) -> None:
    model = shaken(Decoder(Residual(), Residual(), identity=identity))
    variant = variant_of(model, "sublayer", {0, 1})
    small = simplify(model, variant, run=run, batch=X)
    assert small.largest_difference == 0
    assert size(small.model) == 0
    # Of these blocks the first sees a stream of zeros; what it returns is told by its make, on another input too.
    block = small.model.blocks[0]
    assert block(X, X + 1).equal(X)
    assert block(X, X + 1, identity=X + 2).equal(X + 2)
    assert "instead of Residual: returns identity or query" in repr(small.model)
    with pytest.raises(
        InterventionError,
        match=r"`run` and `batch` must be given to leave out 'blocks.\d', a Residual: .* Give both",
    ):
        simplify(model, variant)


def test_layers_that_hand_on_more() -> None:
    class Tupled(Layer):
        def forward(self, src: Any) -> Any:
            return (super().forward(src), None if self.copes else src.sum())

    class Tuples(Stack):
        def forward(self, x: Any) -> Any:
            for layer in self.layers:
                x, _ = layer(x)
            return x

    model = shaken(Tuples(Tupled(), Tupled()))
    for layer in model.layers:
        layer.copes = True
    variant = variant_of(model, "layer", {1})
    small = simplify(model, variant, run=run, batch=X)
    assert small.model.layers[1](X) == (X, None)
    assert small.largest_difference == 0
    model.layers[1].copes = False
    with pytest.raises(InterventionError, match=r"'layers\.1', a Tupled, returns more than its features"):
        simplify(model, variant, run=run, batch=X)


def test_a_block_used_twice_is_cut_in_both_places() -> None:
    attention = nn.MultiheadAttention(8, 4, batch_first=True)
    model = shaken(nn.ModuleDict({"first": attention, "second": attention}))
    small = simplify(model, variant_of(model, "head", {1, 2})).model
    assert small["first"] is small["second"]
    gone = simplify(model, variant_of(model, "sublayer", {0})).model
    with bypassed(model, "first", "sublayer"):
        torch.testing.assert_close(gone["second"](X, X, X)[0], model["second"](X, X, X)[0], rtol=0, atol=0)
    assert gone["second"](X, X, X)[1] is None
    assert size(gone) == 0
    assert not anatomy_of(gone).attention
