"""What cannot be removed from a model, and says why."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
nn = torch.nn

from dissect_core import InterventionError, UnitError, UnknownComponentError  # noqa: E402
from dissect_core.torch import ablated, simplify  # noqa: E402
from simplified import Layer, Stack, run, shaken, variant_of  # noqa: E402

X = torch.randn(2, 5, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_shared_parameters_are_not_cut() -> None:
    tied = shaken(nn.ModuleDict({"a": nn.MultiheadAttention(8, 4), "b": nn.MultiheadAttention(8, 4)}))
    tied["b"].in_proj_weight = tied["a"].in_proj_weight
    with pytest.raises(
        UnitError, match=r"'a\.in_proj_weight' must belong to 'a' alone .* 'b\.in_proj_weight' is the"
    ):
        simplify(tied, variant_of(tied, "head", {1}))
    blocks = {n: nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 4)) for n in ("ffn", "other")}
    model = shaken(nn.ModuleDict(blocks))
    model["other"][0] = model["ffn"][0]
    with pytest.raises(
        UnitError, match=r"'ffn\.0' must belong to 'ffn' alone to be cut, but another block calls it"
    ):
        simplify(model, variant_of(model, "neuron", {1}, "ffn"))


class Odd(nn.Linear):
    """A linear layer that may be more than one, so that zeros cannot stand in for its rows."""


def test_a_forward_that_computes_with_its_whole_width_goes_on_over_zeros() -> None:
    model = shaken(Stack(Layer(copes=False), Layer()))
    small = simplify(model, variant_of(model, "head", {0, 2}), run=run, batch=X)
    assert small.largest_difference is not None
    assert small.largest_difference < 1e-12
    assert small.flops_after is not None
    assert small.flops_before is not None
    assert small.flops_after < small.flops_before
    assert [cut.padded for cut in small.reduction.cuts] == [True]
    attention = small.model.layers[0].self_attn
    width = model.layers[0].self_attn.q_proj.weight.shape[0] // 4
    assert {tuple(one.weight.shape) for one in attention.children() if isinstance(one, nn.Linear)} == {
        (2 * width, 4 * width),
        (4 * width, 2 * width),
    }


def test_what_cannot_be_removed() -> None:
    model = shaken(nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 4, 6, batch_first=True), 2))

    def refused(error: Any, match: str, *what: Any, on: Any = model, **more: Any) -> None:
        variant = variant_of(on, *what, **{k: v for k, v in more.items() if k not in ("run", "batch")})
        with pytest.raises(error, match=match):
            simplify(on, variant, **{k: v for k, v in more.items() if k in ("run", "batch")})

    refused(
        UnitError, "can be removed, head, neuron, layer, sublayer, got 'row'", "row", {0}, "*linear1.weight"
    )
    refused(InterventionError, "got the intervention 'mean'", "neuron", {0}, interventions={"kind": "mean"})
    refused(UnitError, "got zeros in its query or key", "head", {0}, part="query")
    refused(UnitError, r"left in 'layers.1.self_attn', got all 4 .* `unit: sublayer`", "head", {4, 5, 6, 7})
    refused(InterventionError, "must be given together", "head", {0}, run=run)
    refused(
        InterventionError,
        "to leave out 'layers.0', a Layer: what it returns",
        "layer",
        {0},
        on=shaken(Stack(Layer())),
    )
    refused(
        InterventionError,
        "computes with its number of heads in a forward of its own.*Give `run`",
        "head",
        {0},
        on=shaken(Stack(Layer())),
    )
    odd = shaken(Stack(Layer(copes=False)))
    for linear in (one for one in odd.modules() if type(one) is nn.Linear):
        linear.__class__ = Odd
    refused(
        InterventionError,
        "does not run without what .*: RuntimeError: .* with `ablated`",
        "head",
        {0},
        on=odd,
        run=run,
        batch=X,
    )
    for option in ("add_bias_kv", "add_zero_attn"):
        refused(
            InterventionError,
            f"only without {option}",
            "head",
            {0},
            on=nn.MultiheadAttention(8, 4, **{option: True}),
        )

    class Own(nn.MultiheadAttention):
        def forward(self, *args: Any, **kwargs: Any) -> Any:
            return super().forward(*args, **kwargs)

    refused(InterventionError, "got Own, whose forward is its own", "head", {0}, on=Own(8, 4))
    prelu = nn.ModuleDict({"ffn": nn.Sequential(nn.Linear(4, 6), nn.PReLU(6), nn.Linear(6, 4))})
    refused(
        InterventionError, "without a parameter for each neuron, got PReLU with 6", "neuron", {0}, on=prelu
    )
    refused(
        InterventionError, "not empty", "neuron", {0}, run=lambda model, x: (model(x)[:0], "text"), batch=X
    )
    refused(InterventionError, "'layers.0' never ran inside", "layer", {0}, run=lambda model, x: x, batch=X)
    other = variant_of(Stack(Layer(), Layer(), Layer()), "sublayer", {5})
    with pytest.raises(UnknownComponentError, match=r"layers\.2"):
        simplify(model, other)
    with pytest.raises(UnitError, match="'self_attn' must be an attention block of 4 heads"):
        simplify(nn.TransformerEncoderLayer(8, 2), variant_of(nn.TransformerEncoderLayer(8, 4), "head", {0}))
    with ablated(model, variant_of(model, "layer", {0})):
        model(X)
        refused(InterventionError, "'layers.0' must have no hooks, nor an ablation in force", "layer", {0})


class Reader(Layer):
    """A layer that looks at its hidden features a second time, so that zeros are not nothing."""

    def __init__(self, constant: bool) -> None:
        super().__init__()
        self.constant = constant

    def forward(self, src: Any) -> Any:
        hidden = self.linear1(src + self.self_attn(src)).relu()
        if self.constant:
            hidden = hidden + torch.arange(12, dtype=hidden.dtype)
        return src + self.linear2(hidden) + hidden.mean(-1, keepdim=True)


def test_what_is_read_elsewhere_shows_in_the_outputs() -> None:
    for constant, message in (
        (False, "output 0 differs by .* where the largest is"),
        (True, "does not run without"),
    ):
        model = shaken(Stack(Reader(constant)))
        variant = variant_of(model, "neuron", {0, 1})
        with pytest.raises(InterventionError, match=message):
            simplify(model, variant, run=run, batch=X)
    with pytest.raises(
        InterventionError, match=r"the shapes .*\[\(2, 5, 12\)\], got \[\(2, 5, 10\)\]. .*raw outputs"
    ):
        simplify(model, variant, run=lambda model, x: model.layers[0].linear1(x), batch=X)


def test_masks_that_do_not_fit() -> None:
    model = shaken(nn.MultiheadAttention(8, 4, batch_first=True))
    small = simplify(model, variant_of(model, "head", {0})).model
    with pytest.raises(UnitError, match=r"`attn_mask` must be \(5, 5\) or \(8, 5, 5\).* got \(4, 5, 5\)"):
        small(X, X, X, attn_mask=torch.zeros(4, 5, 5, dtype=torch.bool))
    with pytest.raises(UnitError, match=r"`key_padding_mask` must be \(2, 5\).* got \(2, 4\)"):
        small(X, X, X, key_padding_mask=torch.zeros(2, 4, dtype=torch.bool))
    with pytest.raises(UnitError, match=r"`attn_mask` must be bool, .* got torch.int64"):
        small(X, X, X, attn_mask=torch.zeros(5, 5, dtype=torch.int64))
    with pytest.raises(InterventionError, match="`attn_mask` must be given with `is_causal`"):
        small(X, X, X, is_causal=True)
