"""Heads and neurons of MMCV's and MMDetection's blocks: activations against weights."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("mmdet", reason="mmdet is not installed")

from dissect_core import ActivationSite, MeanActivation, Zero, ZeroActivation, head_masks  # noqa: E402
from dissect_core.anatomy import feed_forward_group  # noqa: E402
from dissect_core.edits import group_edits  # noqa: E402
from dissect_core.torch import ablated, attention_layouts, edited, gather_reference, intervened  # noqa: E402
from mmdet_layers import BLOCKS, layer  # noqa: E402

CLOSE = {"rtol": 1e-12, "atol": 1e-12}


PLACES = [(name, block) for name, blocks in BLOCKS.items() for block in blocks]


@pytest.mark.parametrize(("name", "block"), PLACES)
@pytest.mark.parametrize("heads", [(), (0,), (1, 3), (0, 1, 2, 3)])
def test_zeroed_heads_are_removed_columns(name: str, block: str, heads: tuple[int, ...]) -> None:
    model, call = layer(name)
    (inner,) = attention_layouts(model.get_submodule(block))
    path = f"{block}.{inner}".rstrip(".")
    masks = head_masks(attention_layouts(model)[path], heads)
    with torch.no_grad():
        intact = call(model)
        with ablated(model, masks):
            expected = call(model)
        for site in (block, path):
            with intervened(model, ActivationSite(site, "head", heads), ZeroActivation()) as report:
                torch.testing.assert_close(call(model), expected, **CLOSE)
            assert report.is_no_op == (not heads)
        assert call(model).equal(intact)


@pytest.mark.parametrize(("name", "block"), PLACES)
def test_the_mean_of_a_head_goes_into_the_bias(name: str, block: str) -> None:
    model, call = layer(name)
    site = ActivationSite(block, "head", (2,))
    reference = gather_reference(model, [0, 1, 2], lambda b, s: call(b, s), [site])
    assert reference.n_images == 6
    mean = reference.at(site)[0].mean
    attention = model.get_submodule(block)
    projection = next(
        m for n, m in attention.named_modules() if n.rpartition(".")[2] in ("out_proj", "output_proj")
    )
    (layout,) = (found for path, found in attention_layouts(model).items() if path.startswith(block))
    bias = projection.bias.detach().clone()
    with torch.no_grad():
        shift = projection.weight[:, 8:12] @ mean[8:12]
        with ablated(model, head_masks(layout, 2)):
            projection.bias += shift
            expected = call(model)
            projection.bias.copy_(bias)
        with intervened(model, site, MeanActivation(over="global"), reference):
            torch.testing.assert_close(call(model), expected, **CLOSE)


@pytest.mark.parametrize("name", BLOCKS)
def test_zeroed_neurons_are_removed_rows_and_columns(name: str) -> None:
    model, call = layer(name)
    group = feed_forward_group(
        "ffn", ("ffn.layers.0.0.weight", (24, 16)), "ffn.layers.0.0.bias", ("ffn.layers.1.weight", (16, 24))
    )
    with torch.no_grad():
        with edited(model, group_edits(group, [0, 5, 23], Zero())):
            expected = call(model)
        for path in ("ffn", "ffn.layers.1"):
            with intervened(model, ActivationSite(path, "neuron", (0, 5, 23)), ZeroActivation()):
                torch.testing.assert_close(call(model), expected, **CLOSE)
