"""Leaving out layers and sublayers: against zeroed output projections, and against calls by hand."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
nn = torch.nn

from dissect_core import InterventionError, UnitError, UnknownComponentError  # noqa: E402
from dissect_core.torch import ablated, attention_layouts, bypassed  # noqa: E402

CLOSE = {"rtol": 1e-12, "atol": 1e-12}
DOUBLE = {"dtype": torch.float64}


def shaken(model: Any) -> Any:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.5)
    return model.double().eval()


def check_sublayer(model: Any, path: str, projection: str, call: Callable[[Any], Any]) -> None:
    """Bypassed is as with the output projection's weight and bias at zero."""
    names = [n for n, _ in model.named_parameters() if n.startswith(f"{projection}.")]
    masks = {name: np.ones(tuple(model.get_parameter(name).shape), dtype=bool) for name in names}
    assert len(masks) == 2
    with torch.no_grad():
        intact = call(model)
        with ablated(model, masks):
            expected = call(model)
        with bypassed(model, path, "sublayer"):
            torch.testing.assert_close(call(model), expected, **CLOSE)
        assert not torch.allclose(intact, expected)
        assert call(model).equal(intact)


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("decoder", [False, True])
def test_sublayers_of_torchs_layers(norm_first: bool, batch_first: bool, decoder: bool) -> None:
    torch.manual_seed(0)
    made = nn.TransformerDecoderLayer if decoder else nn.TransformerEncoderLayer
    layer = shaken(made(8, 2, 16, norm_first=norm_first, batch_first=batch_first))
    image, memory = torch.randn(2, 5, 8, **DOUBLE), torch.randn(2, 5, 8, **DOUBLE)

    def call(model: Any) -> Any:
        return model(image, memory) if decoder else model(image)

    blocks = {"self_attn": "self_attn.out_proj", "linear2": "linear2"}
    if decoder:
        blocks["multihead_attn"] = "multihead_attn.out_proj"
    for path, projection in blocks.items():
        check_sublayer(layer, path, projection, call)


def test_sublayers_of_mmdets_layers() -> None:
    pytest.importorskip("mmdet", reason="mmdet is not installed")
    from mmdet_layers import BLOCKS, layer

    for name, blocks in BLOCKS.items():
        model, call = layer(name)
        for block in blocks:
            (inner,) = attention_layouts(model.get_submodule(block))
            attention = model.get_submodule(f"{block}.{inner}".rstrip("."))
            last = "output_proj" if hasattr(attention, "output_proj") else "out_proj"
            projection = f"{block}.{inner}.{last}".replace("..", ".")
            check_sublayer(model, block, projection, call)
            check_sublayer(model, f"{block}.{inner}".rstrip("."), projection, call)
        check_sublayer(model, "ffn", "ffn.layers.1", call)
        check_sublayer(model, "ffn.layers.1", "ffn.layers.1", call)


def test_layers_of_mmdet_return_their_query() -> None:
    pytest.importorskip("mmdet", reason="mmdet is not installed")
    from mmdet_layers import BLOCKS, layer

    for name in BLOCKS:
        model, call = layer(name)
        stack = nn.ModuleDict({"layer": model})
        given: list[Any] = []

        def keep(_: Any, args: Any, kwargs: Any, given: Any = given) -> None:
            given.append(args[0] if args else kwargs["query"])

        handle = model.register_forward_pre_hook(keep, with_kwargs=True)
        with bypassed(stack, "layer"):
            assert call(model) is given[-1]
            assert call(model) is given[-1]
        handle.remove()
        assert not torch.allclose(call(model), given[-1])


@pytest.mark.parametrize("batch_first", [False, True])
def test_layers_of_torch(batch_first: bool) -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=batch_first)
    model = shaken(nn.TransformerEncoder(layer, 3, enable_nested_tensor=batch_first))
    image = torch.randn(2, 5, 8, **DOUBLE)
    padding = torch.tensor([[False] * 4 + [True]] * 2) if batch_first else None
    with torch.no_grad():
        with bypassed(model, "layers.1"):
            output = model(image, src_key_padding_mask=padding)
        with bypassed(model, "layers.0"), bypassed(model, "layers.1"), bypassed(model, "layers.2"):
            assert model(image).equal(image)
        # The same kernels as inside the block.
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            first = model.layers[0](image, src_key_padding_mask=padding)
            torch.testing.assert_close(output, model.layers[2](first, src_key_padding_mask=padding), **CLOSE)
        finally:
            torch.backends.mha.set_fastpath_enabled(True)


class Tupled(nn.Module):
    """A layer that hands on more than its features, as those of other libraries do."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.calls = 0

    def forward(self, hidden_states: Any, weights: bool = True) -> Any:
        self.calls += 1
        return {"hidden": (self.linear(hidden_states), hidden_states.sum(-1)), "note": "kept"}


def test_structures_are_kept() -> None:
    model, x = Tupled(), torch.randn(2, 3, 4)
    with bypassed(model, ""):
        output = model(hidden_states=x)
        model(x)
    assert output["hidden"][0] is x
    assert output["hidden"][1].equal(x.sum(-1))
    assert output["note"] == "kept"
    assert model.calls == 2  # what else it hands on has to be made


def test_a_bypassed_module_costs_one_run() -> None:
    model, x = nn.Sequential(nn.Conv2d(3, 3, 1)), torch.randn(1, 3, 4, 4)
    runs: list[Any] = []
    inner = model[0]._conv_forward
    model[0]._conv_forward = lambda *args: (runs.append(1), inner(*args))[1]
    with bypassed(model, "0", "module"):
        for _ in range(3):
            assert model(x).equal(x)
    assert len(runs) == 1


def test_errors() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    image = torch.randn(1, 3, 8)
    model = nn.ModuleDict({"layer": layer, "wide": nn.Linear(8, 9), "norm": nn.LayerNorm(8)})
    with pytest.raises(UnknownComponentError, match="layr"):
        bypassed(model, "layr").__enter__()
    with pytest.raises(InterventionError, match="`kind` must be"):
        bypassed(model, "layer", "block").__enter__()  # type: ignore[arg-type]
    with (
        pytest.raises(
            InterventionError,
            match=r"'wide' must return the shape of its input .* got \(1, 3, 9\) from \(1, 3, 8\)",
        ),
        bypassed(model, "wide"),
    ):
        model["wide"](image)
    with (
        pytest.raises(InterventionError, match="'layer' is more than a residual branch"),
        bypassed(model, "layer", "sublayer"),
    ):
        layer(image)
    with pytest.raises(UnitError, match="'norm', a LayerNorm with no linear layer"):
        bypassed(model, "norm", "sublayer").__enter__()
    with (
        pytest.raises(InterventionError, match="'layer' never ran inside the block"),
        bypassed(model, "layer"),
    ):
        pass
    with pytest.raises(RuntimeError, match="by hand"), bypassed(model, "layer"):
        raise RuntimeError("by hand")
    assert not any(m._forward_hooks or m._forward_pre_hooks or "forward" in vars(m) for m in model.modules())
    assert torch.backends.mha.get_fastpath_enabled()
