"""Fitted constants against closed forms, and what they promise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

torch = pytest.importorskip("torch")
nn = torch.nn

from dissect_core import ActivationSite, MeanActivation, ZeroActivation  # noqa: E402
from dissect_core.edits import OptimalActivation  # noqa: E402
from dissect_core.spec import load_spec  # noqa: E402
from dissect_core.torch import (  # noqa: E402
    fit_optimal,
    gather_reference,
    intervened,
)

LONG: Any = {"steps": 400, "learning_rate": 0.3}


def generator(seed: int = 0) -> Any:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> Any:
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def shaken(model: Any, seed: int = 0) -> Any:
    with torch.no_grad():
        for i, parameter in enumerate(model.double().parameters()):
            parameter.copy_(normal(*parameter.shape, seed=100 * seed + i) / 2)
    return model.eval()


def feed_forward(seed: int = 0) -> Any:
    return shaken(nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)), seed)


def squared(model: Any, batch: Any) -> Any:
    images, wanted = batch
    return (model(images) - wanted).square().mean()


def pairs(*seeds: int) -> list[Any]:
    return [(normal(5, 4, seed=seed), normal(5, 3, seed=seed + 50)) for seed in seeds]


def gathered(
    model: Any, batches: Any, *sites: ActivationSite, call: Any = squared, keep: bool = False
) -> Any:
    return gather_reference(model, batches, call, sites, keep=keep)


def constants_of(fitted: Any, site: ActivationSite, index: int = 0) -> Any:
    return fitted.at(site)[index].optimal.numpy()


@pytest.mark.parametrize("chosen", [[5, 0], [2, 3], [2]])
def test_neurons_of_a_linear_readout_in_closed_form(chosen: list[int]) -> None:
    """W_S c must be the mean of what the other neurons leave: a least-squares problem."""
    model, batches = feed_forward(), pairs(1, 2)
    site, others = ActivationSite("2", "neuron", tuple(chosen)), [i for i in range(6) if i not in chosen]
    fitted = fit_optimal(model, batches, squared, site, gathered(model, batches, site), **LONG)

    images, wanted = (np.concatenate([pair[i].numpy() for pair in batches]) for i in (0, 1))
    with torch.no_grad():
        hidden = model[1](model[0](torch.from_numpy(images))).numpy()
        weight, bias = model[2].weight.numpy(), model[2].bias.numpy()
    left = wanted - bias - hidden[:, others] @ weight[:, others].T
    constants = np.linalg.lstsq(weight[:, chosen], left.mean(axis=0), rcond=None)[0]
    least = float(((left - weight[:, chosen] @ constants) ** 2).mean())

    found = constants_of(fitted, site)
    np.testing.assert_allclose(found[chosen], constants, atol=1e-3)
    assert np.isnan(found[others]).all()
    assert fitted.fit is not None
    assert fitted.fit.optimal == pytest.approx(least, rel=1e-6)
    assert fitted.fit.zero == pytest.approx(((left) ** 2).mean(), rel=1e-12)
    mean = hidden[:, chosen].mean(axis=0)
    assert fitted.fit.mean == pytest.approx(((left - weight[:, chosen] @ mean) ** 2).mean(), rel=1e-12)


@pytest.mark.parametrize("batch_first", [True, False])
def test_heads_in_closed_form(batch_first: bool) -> None:
    """One vector for a head, whatever the image and the position, in sequences of several lengths."""
    block = shaken(nn.MultiheadAttention(8, 4, batch_first=batch_first))
    shapes = [(2, 5, 8), (2, 3, 8)] if batch_first else [(5, 2, 8), (3, 2, 8)]
    batches = [(normal(*shape, seed=i), normal(*shape, seed=i + 9)) for i, shape in enumerate(shapes)]

    def call(block: Any, batch: Any) -> Any:
        x, wanted = batch
        # Batches differ in length: a sum gives every position the same weight.
        return (block(x, x, x)[0] - wanted).square().sum()

    site, columns = ActivationSite("", "head", (1, 3)), [2, 3, 6, 7]
    fitted = fit_optimal(block, batches, call, site, gathered(block, batches, site, call=call), **LONG)
    with torch.no_grad(), intervened(block, site, ZeroActivation()):
        left = np.concatenate([(y - block(x, x, x)[0]).reshape(-1, 8).numpy() for x, y in batches])
    weight = block.out_proj.weight.detach().numpy()[:, columns]
    constants = np.linalg.lstsq(weight, left.mean(axis=0), rcond=None)[0]
    np.testing.assert_allclose(constants_of(fitted, site)[columns], constants, atol=1e-3)


def test_channels_have_one_number_each() -> None:
    convolution = shaken(nn.Sequential(nn.Conv2d(2, 3, 3)))
    batches = [(normal(2, 2, 6, 7), normal(2, 3, 4, 5, seed=1))]
    site = ActivationSite("0", "channel", (2,))
    fitted = fit_optimal(convolution, batches, squared, site, gathered(convolution, batches, site), **LONG)
    # The channel is the output itself: the mean of what is wanted there.
    assert constants_of(fitted, site)[2] == pytest.approx(float(batches[0][1][:, 2].mean()), abs=1e-4)


def test_features_that_never_vary_move_too() -> None:
    model, batches = feed_forward(), [(torch.zeros(4, 4, dtype=torch.float64), normal(4, 3))]
    site = ActivationSite("2", "component")
    fitted = fit_optimal(model, batches, squared, site, gathered(model, batches, site), **LONG)
    np.testing.assert_allclose(constants_of(fitted, site), batches[0][1].mean(0), atol=1e-4)


def random_case(data: st.DataObject) -> tuple[Any, list[Any], ActivationSite]:
    model, batches = feed_forward(data.draw(st.integers(0, 10**6))), pairs(data.draw(st.integers(0, 10**6)))
    unit = data.draw(st.sampled_from(["neuron", "component"]))
    if unit == "component":
        return model, batches, ActivationSite(data.draw(st.sampled_from(["0", "1", "2"])), "component")
    chosen = data.draw(st.lists(st.integers(0, 5), unique=True, min_size=1))
    return model, batches, ActivationSite("2", "neuron", tuple(chosen))


@settings(max_examples=40)
@given(st.data(), st.integers(0, 6), st.floats(1e-3, 30))
def test_never_worse_than_the_mean_and_put_in_as_fitted(data: st.DataObject, steps: int, rate: float) -> None:
    model, batches, site = random_case(data)
    reference = gathered(model, batches, site)
    fitted = fit_optimal(model, batches, squared, site, reference, steps=steps, learning_rate=rate)
    fit = fitted.fit
    assert fit is not None
    assert fit.mean == fit.losses[0]
    assert fit.optimal == min(fit.losses)
    assert len(fit.losses) == steps + 1
    with torch.no_grad():
        for intervention, promised in (
            (ZeroActivation(), fit.zero),
            (MeanActivation(), fit.mean),
            (OptimalActivation(), fit.optimal),
        ):
            with intervened(model, site, intervention, fitted) as report:
                found = [float(squared(model, batch)) for batch in batches]
            assert sum(found) / len(found) == pytest.approx(promised, rel=1e-12), intervention.kind
            assert report.masked > 0
    assert all(slot.optimal is None for slot in reference.at(site))


def test_a_joint_fit_is_no_worse_than_separate_ones() -> None:
    model, batches = feed_forward(), pairs(3)
    alone = [ActivationSite("2", "neuron", (i,)) for i in (0, 5)]
    reference = gathered(model, batches, *alone)
    joint = fit_optimal(model, batches, squared, alone, reference, **LONG)
    values = constants_of(joint, alone[0]).copy()
    for site, unit in zip(alone, (0, 5), strict=True):
        separately = fit_optimal(model, batches, squared, site, reference, **LONG)
        values[unit] = constants_of(separately, site)[unit]
    slots = {alone[0].key: [replace(joint.at(alone[0])[0], optimal=torch.from_numpy(values))]}
    with torch.no_grad(), intervened(model, alone, OptimalActivation(), replace(joint, slots=slots)):
        separate = float(squared(model, batches[0]))
    assert joint.fit is not None
    assert joint.fit.optimal < separate


def test_a_block_met_twice_has_a_constant_for_each_time() -> None:
    class Twice(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.block = nn.Linear(3, 3)

        def forward(self, x: Any) -> Any:
            return torch.stack([self.block(x), 2 * self.block(x + 1)])

    model, site = shaken(Twice()), ActivationSite("block", "component")
    batches = [(normal(4, 3), normal(2, 4, 3, seed=1))]
    fitted = fit_optimal(model, batches, squared, site, gathered(model, batches, site), **LONG)
    first, second = (constants_of(fitted, site, i) for i in (0, 1))
    wanted = batches[0][1].mean(1).numpy()
    np.testing.assert_allclose(first, wanted[0], atol=1e-3)
    np.testing.assert_allclose(second, wanted[1] / 2, atol=1e-3)


def test_the_seed_decides_what_the_loss_draws() -> None:
    model, batches, site = feed_forward(), pairs(1, 2), ActivationSite("2", "neuron", (0, 1))
    reference = gathered(model, batches, site)

    def noisy(model: Any, batch: Any) -> Any:
        return squared(model, (batch[0] + torch.randn(batch[0].shape, dtype=torch.float64), batch[1]))

    def values(seed: int) -> Any:
        fitted = fit_optimal(model, batches, noisy, site, reference, steps=5, seed=seed)
        return fitted.fit, constants_of(fitted, site)

    (fit, constants), (again, same), (other, _) = values(0), values(0), values(1)
    assert fit == again
    np.testing.assert_array_equal(constants, same)
    assert fit != other
    assert fit.optimal <= fit.mean == fit.losses[0]


def test_in_a_spec() -> None:
    ablation = {
        "name": "a",
        "target": {"unit": "head", "components": "encoder.self_attn"},
        "select": {"by": "each"},
        "interventions": {"space": "activation", "kind": "optimal", "steps": 7},
    }
    (read,) = load_spec({"name": "s", "ablations": [ablation]}).ablations
    assert read.interventions == (OptimalActivation(steps=7),)
