"""Removing neurons, channels and queries from the weights is the same as removing them from the activations."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

torch = pytest.importorskip("torch")
nn = torch.nn

from dissect_core import Scale, Zero  # noqa: E402
from dissect_core.anatomy import UnitGroup  # noqa: E402
from dissect_core.edits import group_edits  # noqa: E402
from dissect_core.torch import anatomy_of, edited  # noqa: E402

CLOSE = {"rtol": 1e-12, "atol": 1e-12}  # everything here is in double precision


def shaken(model: Any) -> Any:
    """In double precision, every value random: fresh biases and norms show nothing when they are removed."""
    model = model.double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_()
        for name, buffer in model.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                buffer.uniform_(0.5, 2)
    return model


def group_of(model: Any, unit: str) -> UnitGroup:
    (group,) = (g for g in anatomy_of(model).groups if g.unit == unit)
    return group


def chosen(data: st.DataObject, n: int) -> list[int]:
    return data.draw(st.lists(st.integers(0, n - 1), unique=True))


def without(module: Any, units: list[int], axis: int, call: Any, *, before: bool = False) -> Any:
    """Result of `call` with some units of a module's output, or input, at zero."""

    def zero(x: Any) -> Any:
        return x.index_fill(axis, torch.tensor(units, dtype=torch.long), 0)

    if before:
        handle = module.register_forward_pre_hook(lambda m, args: (zero(args[0]),))
    else:
        handle = module.register_forward_hook(lambda m, args, out: zero(out))
    try:
        return call()
    finally:
        handle.remove()


@pytest.mark.parametrize("fast", [False, True])
@given(st.booleans(), st.booleans(), st.booleans(), st.data())
@settings(max_examples=20)
def test_neurons_of_a_torch_encoder_layer(
    fast: bool, bias: bool, norm_first: bool, gelu: bool, data: st.DataObject
) -> None:
    torch.manual_seed(0)
    act = "gelu" if gelu else "relu"
    layer = nn.TransformerEncoderLayer(8, 2, 6, 0.0, act, norm_first=norm_first, bias=bias, batch_first=True)
    layer = shaken(layer)
    image = torch.randn(2, 5, 8).double()
    units = chosen(data, 6)
    before = torch.backends.mha.get_fastpath_enabled()
    try:
        # The fused layer calls no submodule, so that what is expected can only come from the other path.
        torch.backends.mha.set_fastpath_enabled(False)
        expected = without(layer.linear2, units, -1, lambda: layer(image).detach(), before=True)
        torch.backends.mha.set_fastpath_enabled(fast)
        with edited(layer, group_edits(group_of(layer, "neuron"), units, Zero())), torch.inference_mode():
            torch.testing.assert_close(layer(image), expected, rtol=1e-9, atol=1e-9)
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


@given(st.booleans(), st.sampled_from([nn.Sigmoid, nn.ReLU, nn.PReLU]), st.data())
def test_neurons_of_any_feed_forward_block(bias: bool, act: Any, data: st.DataObject) -> None:
    torch.manual_seed(0)
    # The sigmoid of 0 is not 0: rows of the first layer alone would not remove a neuron.
    block = nn.Sequential(nn.Linear(4, 6, bias=bias), act(), nn.Dropout(), nn.Linear(6, 4, bias=bias))
    model = shaken(nn.ModuleDict({"ffn": block}))
    image = torch.randn(3, 4).double()
    units = chosen(data, 6)
    expected = without(block[1], units, -1, lambda: block(image))
    with edited(model, group_edits(group_of(model, "neuron"), units, Zero())) as report:
        torch.testing.assert_close(block(image), expected, **CLOSE)
    assert report.changed == len(units) * (4 + 4 + bias)


@pytest.mark.parametrize("norm", ["none", "batch", "group"])
@pytest.mark.parametrize("training", [False, True])
@given(st.booleans(), st.data())
@settings(max_examples=15)
def test_channels_behind_the_norm(norm: str, training: bool, bias: bool, data: st.DataObject) -> None:
    torch.manual_seed(0)
    norms = {"none": [], "batch": [nn.BatchNorm2d(6)], "group": [nn.GroupNorm(2, 6)]}
    model = shaken(nn.Sequential(nn.Conv2d(3, 6, 3, bias=bias), *norms[norm])).train(training)
    image = torch.randn(2, 3, 5, 5).double()
    units = chosen(data, 6)
    group = group_of(model, "channel")
    assert (group.path, group.n_units) == ("0", 6)
    intact, expected = model(image), without(model[-1], units, 1, lambda: model(image))
    with edited(model, group_edits(group, units, Zero())):
        torch.testing.assert_close(model(image), expected, **CLOSE)
    # Other interventions act once, behind the norm: half a channel is half of what it gives.
    with edited(model, group_edits(group, range(6), Scale(factor=0.5))):
        torch.testing.assert_close(model(image), intact / 2, **CLOSE)


def test_zero_in_the_convolution_would_not_remove_a_channel() -> None:
    """Why `channel_group` leaves the convolution alone where a norm follows."""
    torch.manual_seed(0)
    image = torch.randn(2, 3, 5, 5).double()
    for norm in (nn.BatchNorm2d(6), nn.GroupNorm(2, 6)):
        model = shaken(nn.Sequential(nn.Conv2d(3, 6, 3), norm))
        intact = model(image)
        with torch.no_grad():
            model[0].weight[0], model[0].bias[0] = 0, 0
        assert model(image)[:, 0].abs().max() > 0.1, "the norm still shifts"
        others = (model(image) - intact)[:, 1:3].abs().max()
        assert (others > 0.01) == isinstance(norm, nn.GroupNorm), "its group has other statistics"


class Detector(nn.Module):
    """Queries look into a memory."""

    def __init__(self) -> None:
        super().__init__()
        self.query_embedding = nn.Embedding(5, 8)
        self.reference_points = nn.Embedding(5, 2)
        self.attn = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, memory: Any, keep: Any) -> Any:
        queries = self.query_embedding.weight * keep[:, None]
        points = self.reference_points.weight * keep[:, None]
        return self.attn(queries[None], memory, memory)[0], points.sigmoid()


@given(st.data())
def test_queries_are_rows(data: st.DataObject) -> None:
    torch.manual_seed(0)
    model = shaken(Detector())
    memory = torch.randn(1, 7, 8).double()
    units = chosen(data, 5)
    keep = torch.ones(5).double().index_fill(0, torch.tensor(units, dtype=torch.long), 0)
    expected = model(memory, keep)
    with edited(model, group_edits(group_of(model, "query"), units, Zero())):
        torch.testing.assert_close(model(memory, torch.ones(5).double()), expected, **CLOSE)
