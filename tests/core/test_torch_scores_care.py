"""What gradient scores leave as they found it, and what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
nn = torch.nn

from dissect_core import InterventionError, PlanError  # noqa: E402
from dissect_core.spec import StudySpec, load_spec  # noqa: E402
from dissect_core.torch import anatomy_of, gradient_scores  # noqa: E402


def layer() -> Any:
    torch.manual_seed(0)
    return nn.Sequential(nn.TransformerEncoderLayer(8, 2, 12, batch_first=True, dropout=0.5))


def study(*selections: tuple[str, dict[str, Any]]) -> StudySpec:
    ablations = [
        {"name": f"a{i}", "target": target, "select": {"by": "top", "score": score, "counts": [1]}}
        for i, (score, target) in enumerate(selections)
    ]
    return load_spec({"name": "s", "ablations": ablations})


HEADS = {"unit": "head", "components": "*"}
NEURONS = {"unit": "neuron", "components": "*"}
BOTH = study(("head_importance", HEADS), ("weight_gradient", NEURONS))
BATCH = torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(0))


def loss(model: Any, batch: Any) -> Any:
    return model(batch).square().mean()


def score(model: Any, batches: Any = (BATCH,), call: Any = loss, spec: StudySpec = BOTH) -> Any:
    return gradient_scores(model, batches, call, spec, anatomy_of(model))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("fails", [True, False])
def test_the_model_is_left_as_it_was(training: bool, fails: bool) -> None:
    model = layer().train(training)
    model[0].norm1.training = not training
    model[0].linear1.weight.requires_grad_(False)
    for i, parameter in enumerate(model.parameters()):
        parameter.grad = None if i % 2 else torch.full_like(parameter, i)
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    forwards = [module.__dict__.get("forward") for module in model.modules()]

    def call(model: Any, batch: Any) -> Any:
        value = loss(model, batch)
        model.train(not training)
        assert model[0].linear1.weight.requires_grad
        if fails:
            raise RuntimeError("on purpose")
        return value

    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with torch.no_grad():
        if fails:
            with pytest.raises(RuntimeError, match="on purpose"):
                score(model, call=call)
        else:
            score(model, call=call)
        assert not torch.is_grad_enabled()
    assert torch.equal(torch.rand(3), expected)
    assert [module.training for module in model.modules()] == modes
    assert [module.__dict__.get("forward") for module in model.modules()] == forwards
    assert not any(module._forward_pre_hooks or module._forward_hooks for module in model.modules())
    for i, (name, parameter) in enumerate(model.named_parameters()):
        assert parameter.requires_grad == (name != "0.linear1.weight")
        assert parameter.grad is None if i % 2 else bool((parameter.grad == i).all())
    for name, value in model.state_dict().items():
        assert torch.equal(value, weights[name]), name


def test_no_grad_and_inference_mode_around_it_do_not_matter() -> None:
    model = layer().eval()
    plain = score(model)
    with torch.inference_mode():
        inside = score(model)
    assert plain.keys() == inside.keys()
    for key, values in plain.items():
        assert values.any(), key
        np.testing.assert_array_equal(values, inside[key])


def test_what_the_loss_does_not_use_scores_zero() -> None:
    """A layer that runs but is not listened to."""
    model = nn.ModuleDict({"used": layer(), "unused": layer()}).eval()

    def call(model: Any, batch: Any) -> Any:
        model["unused"](batch)
        return loss(model["used"], batch)

    found = score(model, call=call)
    assert not found["head_importance", "unused.0.self_attn"].any()
    assert not found["weight_gradient", "unused.0.linear2"].any()
    assert found["weight_gradient", "used.0.linear2"].any()


def test_progress_wraps_the_batches() -> None:
    seen = []

    def progress(batches: Any) -> Any:
        for batch in batches:
            seen.append(batch)
            yield batch

    model = layer().eval()
    gradient_scores(model, iter([BATCH, BATCH]), loss, BOTH, anatomy_of(model), progress=progress)
    assert len(seen) == 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda model, batch: model(batch), r"one number .* got a tensor of shape \(2, 3, 8\) for batch 0"),
        (lambda model, batch: 3.0, "one number .* got float"),
        (lambda model, batch: loss(model, batch).detach(), "depend on the model by a graph"),
        (lambda model, batch: loss(model, batch) * np.inf, "must be finite, got inf for batch 0"),
        (lambda model, batch: (loss(model, batch) * 0).sqrt(), "Gradients of `loss` must be finite"),
    ],
)
def test_bad_losses(call: Any, message: str) -> None:
    with pytest.raises(InterventionError, match=message):
        score(layer().eval(), call=call)


def test_no_batches() -> None:
    with pytest.raises(InterventionError, match="`batches` must hold at least one"):
        score(layer(), batches=[])


def test_a_block_that_never_runs() -> None:
    model = nn.ModuleDict({"used": layer(), "unused": layer()}).eval()
    with pytest.raises(InterventionError, match=r"Never met: head of 'unused\.0\.self_attn'"):
        score(model, call=lambda model, batch: loss(model["used"], batch))


@pytest.mark.parametrize(
    ("selections", "message"),
    [
        (
            [
                ("weight_gradient", {"unit": unit, "components": "*.linear1.weight"})
                for unit in ("row", "column")
            ],
            r"a1: '0\.linear1\.weight' must have the same units .* got rows and columns",
        ),
        (
            [("weight_gradient", {**HEADS, "part": part}) for part in ("output", "value")],
            "a1: .* got heads and heads, or other parts",
        ),
    ],
)
def test_units_that_differ_from_ablation_to_ablation(selections: Any, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        score(layer(), spec=study(*selections))


@pytest.mark.parametrize("asked", ["weight_gradient", "head_importance"])
def test_a_score_that_is_not_defined(asked: str) -> None:
    """A spec refuses it already; one that was put together without validation does not."""
    other = {"name": "a0", "target": {"unit": "sublayer", "components": "*"}, "select": {"by": "each"}}
    (unranked,) = load_spec({"name": "s", "ablations": [other]}).ablations
    spec = study((asked, HEADS))
    (ranked,) = (ablation.model_copy(update={"target": unranked.target}) for ablation in spec.ablations)
    message = rf"a0: '{asked}' is not defined for the unit 'sublayer' of '0\.self_attn'"
    with pytest.raises(PlanError, match=message):
        score(layer(), spec=spec.model_copy(update={"ablations": (ranked,)}))


def test_an_anatomy_of_another_model() -> None:
    with pytest.raises(PlanError, match=r"has no parameter '0\.linear1\.weight'"):
        gradient_scores(nn.Linear(2, 2), [BATCH], loss, BOTH, anatomy_of(layer()))
