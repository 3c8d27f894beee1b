"""Interventions on activations leave nothing behind, and nothing passes silently."""

from typing import Any

import pytest

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional

from dissect_core import (  # noqa: E402
    ActivationSite,
    InterventionError,
    MeanActivation,
    ResampleActivation,
    UnitError,
    UnknownComponentError,
    ZeroActivation,
)
from dissect_core.torch import (  # noqa: E402
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


def encoder(batch_first: bool = True, norm_first: bool = False) -> Any:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=batch_first, norm_first=norm_first)
    return shaken(nn.TransformerEncoder(layer, 2, enable_nested_tensor=False))


def test_everything_is_undone_also_after_errors() -> None:
    model, image = encoder(), torch.randn(2, 5, 8, **DOUBLE)
    sites = [ActivationSite("layers.0.self_attn", "head", (0,)), ActivationSite("layers.1", "neuron", (2,))]
    sites += [ActivationSite("layers.0.norm1", "component"), ActivationSite("layers.0", "query", (0,))]
    expected = model(image)
    for error in (RuntimeError, KeyboardInterrupt):
        with pytest.raises(error), intervened(model, sites, ZeroActivation()):
            model(image)
            raise error
    with pytest.raises(AssertionError), intervened(model, sites, ZeroActivation()):  # inside the attention
        model.layers[0].self_attn(image[..., :4], image, image)
    assert model(image).equal(expected)
    assert not any(m._forward_hooks or m._forward_pre_hooks or "forward" in vars(m) for m in model.modules())
    assert isinstance(model.layers[0].self_attn.out_proj, nn.Linear)


def test_nothing_passes_silently() -> None:
    model, image = encoder(), torch.randn(2, 5, 8, **DOUBLE)
    site = ActivationSite("layers.0.self_attn", "head", (0,))
    with (
        pytest.raises(
            InterventionError, match=r"Never met: head 0 of 'layers.0.self_attn'. The model did not run"
        ),
        intervened(model, site, ZeroActivation()),
    ):
        pass
    with pytest.raises(
        InterventionError, match=r"is not: its attention block reads its weight. Give .*self_attn'"
    ):
        intervened(
            model, ActivationSite("layers.0.self_attn.out_proj", "component"), ZeroActivation()
        ).__enter__()
    model.spare = nn.Linear(2, 2)
    with (
        pytest.raises(InterventionError, match="The model ran, but not through there"),
        intervened(model, ActivationSite("spare", "component"), ZeroActivation()),
    ):
        model(image)
    with pytest.raises(InterventionError, match="Never met: component of 'spare'"):
        gather_reference(model, [image], run, [ActivationSite("spare", "component")])
    with intervened(model, ActivationSite("layers.0", "neuron", ()), ZeroActivation()) as report:
        model(image)
    assert report.is_no_op


def test_errors_say_what_to_do() -> None:
    model, sites = encoder(), [ActivationSite("layers.0", "neuron")]
    small, large = torch.randn(1, 5, 8, **DOUBLE), torch.randn(1, 6, 8, **DOUBLE)
    reference = gather_reference(model, [small, large], run, sites)
    cases: list[tuple[Any, Any, type[Exception], str]] = [
        (
            sites[0],
            MeanActivation(),
            InterventionError,
            "`reference` must be given for the intervention 'mean'",
        ),
        (ActivationSite("layers.9", "head"), ZeroActivation(), UnknownComponentError, "layers.9"),
        (ActivationSite("", "head"), ZeroActivation(), UnitError, "one attention block.*with 2"),
        (
            ActivationSite("layers.0.norm1", "neuron"),
            ZeroActivation(),
            UnitError,
            "two linear layers in a row",
        ),
        (
            ActivationSite("layers.0.linear1", "channel"),
            ZeroActivation(),
            UnitError,
            "a convolution or its norm",
        ),
        (ActivationSite("layers.0.self_attn", "head", (2,)), ZeroActivation(), UnitError, "has 2 heads"),
    ]
    for site, intervention, error, message in cases:
        with pytest.raises(error, match=message):
            intervened(model, site, intervention).__enter__()
    with pytest.raises(InterventionError, match=r"equal shapes, got \(5, 16\) and \(6, 16\).*over='global'"):
        intervened(model, sites[0], MeanActivation(over="position"), reference).__enter__()
    with pytest.raises(InterventionError, match=r"every site, got none for head of .*neuron of 'layers.0'"):
        intervened(
            model, ActivationSite("layers.0.self_attn", "head"), MeanActivation(), reference
        ).__enter__()
    with pytest.raises(InterventionError, match=r"must leave an image of the reference's 2 to draw"):
        intervened(model, sites[0], ResampleActivation(), reference, exclude=[0, 1]).__enter__()
    with (
        pytest.raises(InterventionError, match=r"shape \(5, 16\) for 'resample' .*got \(6, 16\)"),
        intervened(model, sites[0], ResampleActivation(), reference, exclude=[0]),
    ):
        model(small)
    lean = gather_reference(model, [small], run, sites, keep=False)
    with pytest.raises(InterventionError, match="Gather with keep=True"):
        intervened(model, sites[0], ResampleActivation(), lean).__enter__()
    with pytest.raises(InterventionError, match="equally often in every batch, got 1 and 2 times"):
        gather_reference(model, [1, 2], lambda model, n: [model(small) for _ in range(n)], sites)


def test_sites_check_themselves() -> None:
    for wrong, message in [
        ({"unit": "row"}, "`unit` must be one of head, neuron"),
        ({"unit": "component", "indices": (0,)}, "must be None, as it has no units"),
        ({"unit": "head", "argument": "query"}, "for the unit 'query' only"),
        ({"unit": "head", "indices": (1, 1)}, "distinct and 0 or more"),
        ({"unit": "head", "indices": (-1,)}, "distinct and 0 or more"),
    ]:
        with pytest.raises(UnitError, match=message):
            ActivationSite("x", **wrong)
