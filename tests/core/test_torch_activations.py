"""Removing units from activations is the same as removing them from the weights."""

from typing import Any

import pytest
from hypothesis import given, strategies as st

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional

from dissect_core import ActivationSite, Zero, ZeroActivation, head_masks  # noqa: E402
from dissect_core.anatomy import channel_group, feed_forward_group  # noqa: E402
from dissect_core.edits import group_edits  # noqa: E402
from dissect_core.torch import (  # noqa: E402
    ablated,
    attention_layouts,
    edited,
    gather_reference,
    intervened,
)

CLOSE = {"rtol": 1e-12, "atol": 1e-12}
DOUBLE = {"dtype": torch.float64}


def run(model: Any, batch: Any) -> Any:
    return model(batch)


def shaken(model: Any) -> Any:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.5)
    return model.double().eval()


@given(
    st.integers(1, 4),
    st.integers(1, 4),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.sampled_from("nfb"),
    st.data(),
)
def test_zeroed_heads_are_removed_columns(
    n_heads: int, width: int, bias: bool, batch_first: bool, batched: bool, masked: str, data: Any
) -> None:
    torch.manual_seed(0)
    block = shaken(nn.MultiheadAttention(n_heads * width, n_heads, bias=bias, batch_first=batch_first))
    heads = tuple(data.draw(st.lists(st.integers(0, n_heads - 1), unique=True)))
    query, key = torch.randn(3, 2, n_heads * width, **DOUBLE), torch.randn(4, 2, n_heads * width, **DOUBLE)
    if not batched:
        query, key = query[:, 0], key[:, 0]
    elif batch_first:
        query, key = query.transpose(0, 1), key.transpose(0, 1)
    masks: dict[str, Any] = {}
    if masked == "b":
        masks = {"attn_mask": torch.tensor([[False] * 3 + [True]] * 3)}
    elif masked == "f":
        masks = {
            "key_padding_mask": torch.tensor([[0, -1.0, 0, 0]] * 2, **DOUBLE)[slice(None) if batched else 0]
        }
    with torch.no_grad():
        intact = block(query, key, key, **masks)
        with ablated(block, head_masks(attention_layouts(block)[""], heads)):
            expected = block(query, key, key, **masks)
        with intervened(block, ActivationSite("", "head", heads), ZeroActivation()) as report:
            removed = block(query, key, key, **masks)
        torch.testing.assert_close(removed[0], expected[0], **CLOSE)
        assert removed[1].equal(expected[1])
        assert report.masked == query.numel() // n_heads * len(heads)
        assert report.sites[0].fired == 1
        assert report.is_no_op == (not heads)
        assert block(query, key, key, **masks)[0].equal(intact[0])


def encoder(batch_first: bool = True, norm_first: bool = False) -> Any:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=batch_first, norm_first=norm_first)
    return shaken(nn.TransformerEncoder(layer, 2, enable_nested_tensor=False))


def ffn_group(path: str) -> Any:
    return feed_forward_group(
        path, (f"{path}.linear1.weight", (16, 8)), f"{path}.linear1.bias", (f"{path}.linear2.weight", (8, 16))
    )


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad, torch.enable_grad])
def test_inside_torchs_layers_fast_path_or_not(batch_first: bool, mode: Any) -> None:
    model, image = encoder(batch_first), torch.randn(2, 5, 8, **DOUBLE)
    heads = head_masks(attention_layouts(model)["layers.1.self_attn"], [1])
    with mode():
        intact = model(image)
        with ablated(model, heads):
            expected = model(image)
        with intervened(model, ActivationSite("layers.1.self_attn", "head", (1,)), ZeroActivation()):
            torch.testing.assert_close(model(image), expected, rtol=1e-9, atol=1e-9)
        with edited(model, group_edits(ffn_group("layers.0"), [3, 5], Zero())):
            expected = model(image)
        for path in ("layers.0", "layers.0.linear2"):
            with intervened(model, ActivationSite(path, "neuron", (3, 5)), ZeroActivation()) as report:
                torch.testing.assert_close(model(image), expected, rtol=1e-9, atol=1e-9)
            assert report.masked == 2 * 2 * 5
        assert model(image).equal(intact)
    assert torch.backends.mha.get_fastpath_enabled()


class Convolutions(nn.Module):
    def __init__(self, norm: Any) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, bias=norm is None)
        if norm is not None:
            self.bn1 = norm(4)
        self.conv2 = nn.Conv2d(4, 2, 1)

    def forward(self, x: Any) -> Any:
        x = self.conv1(x)
        return self.conv2((self.bn1(x) if hasattr(self, "bn1") else x).relu_())


@pytest.mark.parametrize("norm", [None, nn.BatchNorm2d, lambda n: nn.GroupNorm(2, n)])
def test_channels(norm: Any) -> None:
    model, image = shaken(Convolutions(norm)), torch.randn(2, 3, 6, 5, **DOUBLE)
    own = "conv1" if norm is None else "bn1"
    names = [
        (f"{own}.{kind}", tuple(model.get_parameter(f"{own}.{kind}").shape)) for kind in ("weight", "bias")
    ]
    with edited(model, group_edits(channel_group("conv1", names), [1, 2], Zero())):
        expected = model(image)
    for path in {"conv1", own}:
        with intervened(model, ActivationSite(path, "channel", (1, 2)), ZeroActivation()):
            torch.testing.assert_close(model(image), expected, **CLOSE)
    reference = gather_reference(model, [image], run, [ActivationSite("conv1", "channel")])
    feature = model.conv1(image) if norm is None else model.bn1(model.conv1(image))
    slot = reference.at(ActivationSite("conv1", "channel"))[0]
    torch.testing.assert_close(slot.mean, feature.mean((0, 2, 3)), **CLOSE)
    torch.testing.assert_close(slot.std, feature.std((0, 2, 3), correction=0), **CLOSE)


def test_nested_blocks_on_one_attention() -> None:
    block, image = shaken(nn.MultiheadAttention(8, 4)), torch.randn(3, 1, 8, **DOUBLE)
    first, second = (ActivationSite("", "head", (h,)) for h in (0, 2))
    with intervened(block, (first, second), ZeroActivation()):
        expected = block(image, image, image)[0]
    with intervened(block, first, ZeroActivation()), intervened(block, second, ZeroActivation()):
        assert block(image, image, image)[0].equal(expected)
    with ablated(block, head_masks(attention_layouts(block)[""], [0, 2])):
        torch.testing.assert_close(block(image, image, image)[0], expected, **CLOSE)
