"""What a fit leaves as it found it, and what it and its use refuse."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
nn = torch.nn

from dissect_core import ActivationSite, InterventionError  # noqa: E402
from dissect_core.edits import OptimalActivation  # noqa: E402
from dissect_core.torch import (  # noqa: E402
    fit_optimal,
    gather_reference,
    intervened,
)

SITE = ActivationSite("2", "neuron", (0, 2))
BATCHES = [torch.randn(5, 4, generator=torch.Generator().manual_seed(i)) for i in range(2)]


def make() -> Any:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.Dropout(0.5), nn.Linear(6, 3))


def loss(model: Any, batch: Any) -> Any:
    return (model(batch) - 1).square().mean()


def gathered(model: Any, *sites: ActivationSite) -> Any:
    return gather_reference(model, BATCHES, loss, sites or (SITE,))


def fit(model: Any, reference: Any, call: Any = loss, site: Any = SITE, **more: Any) -> Any:
    return fit_optimal(model, BATCHES, call, site, reference, **{"steps": 3, **more})


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("fails", [True, False])
def test_the_model_is_left_as_it_was(training: bool, fails: bool) -> None:
    model = make().train(training)
    model[0].weight.requires_grad_(False)
    model[2].weight.grad = torch.ones_like(model[2].weight)
    reference = gathered(model)
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    calls = 0

    def call(model: Any, batch: Any) -> Any:
        nonlocal calls
        calls += 1
        if fails and calls == 5:  # after zeros and a step
            raise RuntimeError("on purpose")
        return loss(model, batch)

    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with torch.no_grad():
        if fails:
            with pytest.raises(RuntimeError, match="on purpose"):
                fit(model, reference, call)
        else:
            fit(model, reference, call)
    assert torch.equal(torch.rand(3), expected)
    assert all(module.training == training for module in model.modules())
    assert not any(module._forward_pre_hooks or module._forward_hooks for module in model.modules())
    for name, parameter in model.named_parameters():
        assert parameter.requires_grad == (name != "0.weight")
        assert (parameter.grad is not None) == (name == "2.weight")
        assert torch.equal(parameter, weights[name])
    assert bool((model[2].weight.grad == 1).all())
    assert reference.fit is None
    assert all(slot.optimal is None for slot in reference.at(SITE))


def test_progress_wraps_the_steps() -> None:
    model, seen = make().eval(), []

    def progress(steps: Any) -> Any:
        for step in steps:
            seen.append(step)
            yield step

    fit(model, gathered(model), progress=progress)
    assert seen == [0, 1, 2, 3]


def test_constants_are_for_the_units_that_they_were_fitted_for() -> None:
    model = make().eval()
    reference = gathered(model)
    with (
        pytest.raises(InterventionError, match=r"must be given for .*'optimal'.*`fit_optimal`"),
        intervened(model, SITE, OptimalActivation()),
    ):
        pass
    with (
        pytest.raises(InterventionError, match=r"neuron 0, 2 of '2'.* got no fit\. Call `fit_optimal`"),
        intervened(model, SITE, OptimalActivation(), reference),
    ):
        pass
    fitted = fit(model, reference)
    for indices in ((0,), (0, 1, 2), None):
        with (
            pytest.raises(InterventionError, match=r"together, .* got a fit for neuron 0, 2 of '2'"),
            intervened(model, ActivationSite("2", "neuron", indices), OptimalActivation(), fitted),
        ):
            pass
    with intervened(model, ActivationSite("2", "neuron", (2, 0)), OptimalActivation(), fitted) as report:
        model(BATCHES[0])
    assert report.masked == 10


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"site": ()}, "`sites` must not be empty"),
        ({"steps": -1}, "`steps` must be 0 or more .* got -1"),
        ({"learning_rate": 0.0}, "`learning_rate` above 0, got 3 and 0.0"),
        ({"learning_rate": float("nan")}, "`learning_rate` above 0"),
        ({"call": lambda model, batch: model(batch)}, r"one number .* shape \(5, 3\) for batch 0"),
        ({"call": lambda model, batch: loss(model, batch) / 0}, "must be finite, got inf for batch 0"),
        ({"call": lambda model, batch: loss(model, batch).detach()}, "depend on the replaced activations"),
        ({"call": lambda model, batch: model[0](batch).sum()}, "Never met: neuron 0, 2 of '2'"),
        ({"site": ActivationSite("0", "neuron", (1,))}, "must hold the activation of every site"),
    ],
)
def test_refusals(more: dict[str, Any], message: str) -> None:
    model = make().eval()
    with pytest.raises(InterventionError, match=message):
        fit(model, gathered(model), **more)


def test_no_batches_and_a_reference_of_another_width() -> None:
    model = make().eval()
    reference = gathered(model)
    with pytest.raises(InterventionError, match="`batches` must not be empty"):
        fit_optimal(model, iter(()), loss, SITE, reference)
    wider = nn.Sequential(nn.Linear(4, 7), nn.Dropout(0.5), nn.Linear(7, 3))
    with pytest.raises(InterventionError, match=r"must have the 7 features of the activation .* got 6"):
        fit(wider, reference)


def test_a_loss_that_meets_a_place_less_often_than_the_reference() -> None:
    class Repeated(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.block, self.times = nn.Linear(4, 4), 2

        def forward(self, x: Any) -> Any:
            for _ in range(self.times):
                x = self.block(x)
            return x

    model, site = Repeated(), ActivationSite("block", "component")
    reference = gathered(model, site)
    model.times = 1
    with pytest.raises(InterventionError, match="must be met 2 times in a pass, as in the reference, got 1"):
        fit(model, reference, site=site)
