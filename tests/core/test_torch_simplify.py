"""Smaller models: the same outputs as the ablated ones, and as many parameters and operations as by hand."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

torch = pytest.importorskip("torch")
nn = torch.nn

from dissect_core.torch import (  # noqa: E402
    ablated,
    edited,
    simplify,
)
from simplified import size, variant_of  # noqa: E402

CLOSE = {"rtol": 1e-9, "atol": 1e-9}  # everything here is in double precision
DOUBLE = {"dtype": torch.float64}


def shaken(model: Any) -> Any:
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.5)
    return model.double().eval()


def mask_of(kind: str, shape: tuple[int, ...]) -> Any:
    """A mask that leaves every query its first key."""
    if kind == "none":
        return None
    generator = torch.Generator().manual_seed(1)
    hidden = torch.rand(shape, generator=generator) < 0.4
    hidden[..., 0] = False
    return hidden if kind == "bool" else hidden.double() * -3.0


@given(
    st.sets(st.integers(0, 3), min_size=1, max_size=3),
    st.fixed_dictionaries({"batch_first": st.booleans(), "bias": st.booleans()}),
    st.sampled_from([{}, {"kdim": 6}, {"kdim": 6, "vdim": 10}]),
    st.sampled_from(["output", "value", "all"]),
    st.sampled_from(["none", "bool", "float"]),
    st.sampled_from(["none", "plain", "each head"]),
    st.booleans(),
    st.sampled_from([None, True, False]),
    st.booleans(),
)
@settings(max_examples=80)
def test_heads_of_torchs_attention(
    heads: set[int],
    options: dict[str, bool],
    dims: dict[str, int],
    part: str,
    kind: str,
    mask: str,
    padded: bool,
    average: bool | None,
    batched: bool,
) -> None:
    width, n, (batch, length, source) = 8, 4, (2 if batched else 1, 3, 5)
    model = shaken(nn.MultiheadAttention(width, n, **options, **dims))
    first = options["batch_first"]
    sizes = [(length, width), (source, dims.get("kdim", width)), (source, dims.get("vdim", width))]
    shapes = [((batch, x, d) if first else (x, batch, d)) if batched else (x, d) for x, d in sizes]
    inputs = [torch.randn(shape, **DOUBLE) for shape in shapes]
    shape = (length, source) if mask == "plain" else (batch * n, length, source)
    given: dict[str, Any] = {
        "attn_mask": mask_of(kind if mask != "none" else "none", shape),
        "key_padding_mask": mask_of(kind, (batch, source) if batched else (source,)) if padded else None,
        "need_weights": average is not None,
        "average_attn_weights": bool(average),
    }
    variant = variant_of(model, "head", heads, part=part)
    small = simplify(model, variant)
    with edited(model, variant.edits()):
        expected, weights = model(*inputs, **{**given, "average_attn_weights": False})
    output, seen = small.model(*inputs, **given)
    torch.testing.assert_close(output, expected, **CLOSE)
    kept = sorted({*range(n)} - heads)
    if average is None:
        assert seen is None
    else:
        left = weights[..., kept, :, :]
        torch.testing.assert_close(seen, left.mean(-3) if average else left, **CLOSE)
    if mask == "each head" and kind != "none":
        # Callers that read the number of heads off the block give a mask for each of those that are left.
        cut = given["attn_mask"].view(batch, n, length, source)[:, kept].flatten(0, 1)
        torch.testing.assert_close(small.model(*inputs, **{**given, "attn_mask": cut})[0], expected, **CLOSE)
    inner = 2 * len(kept)
    incoming = width + dims.get("kdim", width) + dims.get("vdim", width)
    biases = 3 * inner + width if options["bias"] else 0
    assert small.n_parameters_after == size(small.model) == inner * incoming + width * inner + biases
    assert small.n_parameters_before == size(model)
    assert (small.flops_before, small.flops_after, small.largest_difference) == (None, None, None)


def layer_of(decoder: bool, **options: Any) -> tuple[Any, Any, Any]:
    made = nn.TransformerDecoderLayer if decoder else nn.TransformerEncoderLayer
    layer = shaken(made(8, 4, 6, 0.0, **options))
    image, memory = torch.randn(2, 5, 8, **DOUBLE), torch.randn(2, 5, 8, **DOUBLE)
    image.requires_grad_()
    length = 5 if options.get("batch_first") else 2
    causal = nn.Transformer.generate_square_subsequent_mask(length, **DOUBLE)
    masks = (
        {"tgt_mask": causal, "tgt_is_causal": True} if decoder else {"src_mask": causal, "is_causal": True}
    )

    def call(model: Any) -> Any:
        return model(image, memory, **masks) if decoder else model(image, **masks)

    return layer, image, call


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("decoder", [False, True])
@given(st.booleans(), st.booleans(), st.booleans(), st.data())
@settings(max_examples=12)
def test_torchs_layers_and_their_gradients(
    training: bool, decoder: bool, norm_first: bool, batch_first: bool, bias: bool, data: Any
) -> None:
    layer, image, call = layer_of(decoder, norm_first=norm_first, batch_first=batch_first, bias=bias)
    layer.train(training).requires_grad_(True)
    layer.norm1.weight.requires_grad_(False)
    for unit, n in (("head", 8 if decoder else 4), ("neuron", 6), ("sublayer", 3 if decoder else 2)):
        units = data.draw(st.sets(st.integers(0, n - 1), min_size=1, max_size=3))
        variant = variant_of(layer, unit, units)
        small = simplify(layer, variant, run=lambda model, call: call(model), batch=call).model
        assert small.training == training
        assert {m.training for m in small.modules()} == {training}
        gradients = []
        with ablated(layer, variant):
            expected = call(layer)
            torch.testing.assert_close(call(small), expected, **CLOSE)
            for model in (layer, small):
                wanted = [image, *model.norm2.parameters()]
                gradients.append(torch.autograd.grad(call(model).square().sum(), wanted, allow_unused=True))
        torch.testing.assert_close(gradients[0], gradients[1], **CLOSE)
        frozen = {name for name, p in small.named_parameters() if not p.requires_grad}
        assert frozen == {"norm1.weight"}
        assert all(type(p) is nn.Parameter and p.is_leaf for p in small.parameters())


@pytest.mark.parametrize(
    "bypass", [("layer", {0}), ("layer", {1, 2}), ("sublayer", {0, 3}), ("sublayer", {1})]
)
@pytest.mark.parametrize("grad", [False, True])
def test_a_padded_stack_without_its_fused_layers(bypass: tuple[str, set[int]], grad: bool) -> None:
    """Torch's encoder reads weights off its first layer, and packs padded input for layers that are fused."""
    layer = nn.TransformerEncoderLayer(8, 4, 6, batch_first=True)
    model = shaken(nn.TransformerEncoder(layer, 3))
    image, padding = torch.randn(2, 5, 8, **DOUBLE), torch.tensor([[False] * 5, [False] * 3 + [True] * 2])
    variant = variant_of(model, *bypass)
    small = simplify(model, variant).model
    with torch.set_grad_enabled(grad):
        with ablated(model, variant):
            expected = model(image, src_key_padding_mask=padding)
        output = small(image, src_key_padding_mask=padding)
        torch.testing.assert_close(output[~padding], expected[~padding], **CLOSE)
    removed = {"layer": len(bypass[1]) * size(model.layers[0])}
    halves = (4 * 8 * 8 + 4 * 8, 2 * 8 * 6 + 8 + 6)  # attention, and both linear layers of the other
    removed["sublayer"] = sum(halves[unit % 2] for unit in bypass[1])
    assert size(model) - size(small) == removed[bypass[0]]


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_fused_layers_stay_fused_where_nothing_was_replaced() -> None:
    model = shaken(nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 4, 6, batch_first=True), 2))
    image, padding = torch.randn(2, 5, 8, **DOUBLE), torch.tensor([[False] * 5, [False] * 3 + [True] * 2])
    variant = variant_of(model, "neuron", {0, 3, 5, 7})
    with torch.inference_mode():
        small = simplify(model, variant).model
        assert small.use_nested_tensor
        with edited(model, variant.edits()):
            expected = model(image, src_key_padding_mask=padding)
        torch.testing.assert_close(small(image, src_key_padding_mask=padding), expected, **CLOSE)
        first = simplify(model, variant_of(model, "neuron", range(6))).model
        assert [layer.activation_relu_or_gelu for layer in first.layers] == [0, 1]


@given(st.sets(st.integers(0, 11), min_size=1, max_size=9), st.sets(st.integers(0, 17)))
@settings(max_examples=15)
def test_several_blocks_at_once(heads: set[int], neurons: set[int]) -> None:
    model = shaken(nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 4, 6, batch_first=True), 3))
    heads -= {0, 4, 8}  # one is left in each
    image = torch.randn(2, 5, 8, **DOUBLE)
    for unit, units, each in (("head", heads, 2 * 4 * 8 + 3 * 2), ("neuron", neurons, 2 * 8 + 1)):
        if units:
            variant = variant_of(model, unit, units)
            small = simplify(model, variant, run=lambda model, image: model(image), batch=image)
            with edited(model, variant.edits()):
                torch.testing.assert_close(small.model(image), model(image), **CLOSE)
            assert small.n_parameters_before - small.n_parameters_after == len(units) * each
            assert small.largest_difference is not None
            assert small.largest_difference < 1e-12


def test_operations_fall_as_reckoned_by_hand() -> None:
    length, width, hidden, heads = 5, 8, 6, 4
    layer, image = (
        shaken(nn.TransformerEncoderLayer(width, heads, hidden)),
        torch.randn(length, 1, width, **DOUBLE),
    )

    def run(model: Any, image: Any) -> Any:
        return model(image)

    def by_hand(n_heads: int, n_neurons: int) -> int:
        inner = n_heads * width // heads
        projections = 2 * length * width * (3 * inner + inner)
        return projections + 2 * 2 * length * length * inner + 2 * 2 * length * width * n_neurons

    for unit, units, left in (
        ("head", {1, 2}, (2, 6)),
        ("neuron", {0, 1, 4}, (4, 3)),
        ("sublayer", {1}, (4, 0)),
    ):
        small = simplify(layer, variant_of(layer, unit, units), run=run, batch=image)
        assert (small.flops_before, small.flops_after) == (by_hand(4, 6), by_hand(*left))
        assert small.share_of_parameters == size(small.model) / size(layer)


def test_all_neurons_leave_the_second_bias() -> None:
    block = nn.Sequential(nn.Linear(4, 6), nn.Sigmoid(), nn.Dropout(), nn.Linear(6, 4))
    model, x = shaken(nn.ModuleDict({"ffn": block})), torch.randn(3, 4, **DOUBLE)
    small = simplify(model, variant_of(model, "neuron", range(6))).model.train()
    assert small["ffn"](x).equal(block[3].bias.expand(3, 4))
    small["ffn"](x).sum().backward()
    assert small["ffn"][3].bias.grad.tolist() == [3.0] * 4
    assert (small["ffn"][0].out_features, small["ffn"][3].in_features, size(small)) == (0, 0, 4)


def test_the_smaller_model_trains_and_is_saved() -> None:
    layer, _, call = layer_of(False, batch_first=True)
    model = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval()
    before = copy.deepcopy(model.state_dict())
    for unit, units in (("head", {0, 1, 6}), ("neuron", {2, 3, 9}), ("sublayer", {0, 3}), ("layer", {0})):
        variant = variant_of(model, unit, units)
        small = simplify(model, variant).model.train()
        optimizer = torch.optim.SGD(small.parameters(), 0.01)
        start = call(small.layers[1]).detach()
        call(small.layers[1]).square().sum().backward()
        optimizer.step()
        assert not call(small.layers[1]).allclose(start)
        again = simplify(model, variant).model.train()
        assert again.load_state_dict(copy.deepcopy(small).state_dict()).missing_keys == []
        assert call(again.layers[1]).equal(call(small.layers[1]))
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(before[name].equal(after[name]) for name in before)
    assert not model.training
    baseline = simplify(model, variant_of(model, "head", None))
    assert baseline.share_of_parameters == 1
    assert baseline.model is not model
