"""Gradient scores against finite differences, and against autograd by hand."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
nn = torch.nn

from dissect_core.plan import plan, pool_of  # noqa: E402
from dissect_core.spec import StudySpec, load_spec  # noqa: E402
from dissect_core.torch import anatomy_of, gradient_scores  # noqa: E402

WIDTH, HEADS = 8, 4
EACH = WIDTH // HEADS
EPS = 1e-5


def shaken(model: Any, seed: int = 0) -> Any:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.double().parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) / 2)
    return model.eval()


def encoder(batch_first: bool = True, n_layers: int = 2) -> Any:
    layers = [
        nn.TransformerEncoderLayer(WIDTH, HEADS, 12, batch_first=batch_first, dropout=0.1)
        for _ in range(n_layers)
    ]
    return shaken(nn.Sequential(*layers))


def images(*sizes: int, batch_first: bool = True) -> list[Any]:
    generator = torch.Generator().manual_seed(1)
    made = [torch.randn(n, 5, WIDTH, generator=generator, dtype=torch.float64) for n in sizes]
    return made if batch_first else [batch.transpose(0, 1) for batch in made]


def loss(model: Any, batch: Any) -> Any:
    """Mean over images, which do not see each other."""
    return model(batch).pow(3).mean()


def study(score: str, unit: str = "head", components: str = "*", **more: Any) -> StudySpec:
    select = {"by": "top", "score": score, "counts": [1]}
    target = {"unit": unit, "components": components, **more}
    return load_spec({"name": "s", "ablations": [{"name": "a", "target": target, "select": select}]})


def scores_of(model: Any, batches: Any, spec: StudySpec, call: Any = loss) -> dict[tuple[str, str], Any]:
    return gradient_scores(model, batches, call, spec, anatomy_of(model))


def by_differences(model: Any, path: str, singles: list[Any], weights: list[float], call: Any) -> Any:
    """|dL/dξ| summed over images, each run alone with the head's columns scaled, L2 norm 1 over heads."""
    projection = model.get_submodule(path).out_proj
    original, found = projection.weight.detach().clone(), np.zeros(HEADS)
    for head in range(HEADS):
        columns = slice(head * EACH, (head + 1) * EACH)
        for image, weight in zip(singles, weights, strict=True):
            at = []
            for factor in (1 + EPS, 1 - EPS):
                with torch.no_grad():
                    projection.weight[:, columns] = original[:, columns] * factor
                    at.append(float(call(model, image)))
                    projection.weight.copy_(original)
            found[head] += weight * abs(at[0] - at[1]) / (2 * EPS)
    return found / np.linalg.norm(found)


@pytest.mark.parametrize("batch_first", [True, False])
def test_head_importance_is_a_finite_difference_of_each_images_gate(batch_first: bool) -> None:
    model, batches = encoder(batch_first), images(3, 1, batch_first=batch_first)
    found = scores_of(model, batches, study("head_importance"))
    axis = 0 if batch_first else 1
    singles = [image for batch in batches for image in batch.split(1, axis)]
    for path in ("0.self_attn", "1.self_attn"):
        # In a batch of three images each has a third of the loss.
        expected = by_differences(model, path, singles, [1 / 3] * 3 + [1], loss)
        np.testing.assert_allclose(found["head_importance", path], expected, rtol=1e-6)
        assert np.ptp(expected) > 0.01


def test_signs_of_images_do_not_cancel() -> None:
    """The mean of absolute values, not the absolute value of the mean."""
    model, (batch,) = encoder(n_layers=1), images(1)

    def opposite(model: Any, batch: Any) -> Any:
        first, second = model(torch.cat([batch, batch]))
        return first.pow(3).mean() - second.pow(3).mean()

    spec = study("head_importance")
    np.testing.assert_allclose(
        scores_of(model, [batch], spec, opposite)["head_importance", "0.self_attn"],
        scores_of(model, [batch], spec)["head_importance", "0.self_attn"],
        rtol=1e-9,
    )


class Twice(nn.Module):  # type: ignore[misc, name-defined]
    """One block, met twice in a pass."""

    def __init__(self) -> None:
        super().__init__()
        self.block = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)

    def forward(self, x: Any) -> Any:
        for _ in range(2):
            x = x + self.block(x, x, x)[0]
        return x


class Windows(nn.Module):  # type: ignore[misc, name-defined]
    """Attention within windows of 2 × 2 cells of a map, image after image."""

    def __init__(self) -> None:
        super().__init__()
        self.block = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)

    def forward(self, x: Any) -> Any:
        n, channels, height, width = x.shape
        cells = x.view(n, channels, height // 2, 2, width // 2, 2).permute(0, 2, 4, 3, 5, 1)
        cells = cells.reshape(-1, 4, channels)
        return self.block(cells, cells, cells)[0].view(n, -1, channels)


def test_a_block_met_twice_has_one_gate() -> None:
    model, batches = shaken(Twice()), images(1, 1)
    found = scores_of(model, batches, study("head_importance"))["head_importance", "block"]
    np.testing.assert_allclose(found, by_differences(model, "block", batches, [1, 1], loss), rtol=1e-6)


def test_windows_of_an_image_share_its_gate() -> None:
    model = shaken(Windows())
    batch = torch.randn(2, WIDTH, 4, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = scores_of(model, [batch], study("head_importance"))["head_importance", "block"]
    expected = by_differences(model, "block", list(batch.split(1)), [1, 1], loss)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_head_without_output_columns_scores_zero() -> None:
    model = encoder()
    with torch.no_grad():
        model[0].self_attn.out_proj.weight[:, EACH : 2 * EACH] = 0
        model[1].self_attn.out_proj.weight.zero_()
    found = scores_of(model, images(2), study("head_importance"))
    first = found["head_importance", "0.self_attn"]
    assert first[1] == 0
    assert (np.delete(first, 1) > 0).all()
    np.testing.assert_array_equal(found["head_importance", "1.self_attn"], np.zeros(HEADS))


TARGETS: list[dict[str, Any]] = [
    {"unit": "head", "components": "*", "part": "output"},
    {"unit": "head", "components": "*", "part": "all"},
    {"unit": "neuron", "components": "*"},
    {"unit": "row", "components": "*.linear1.weight"},
    {"unit": "column", "components": "*.linear1.weight"},
    {"unit": "element", "components": "*.linear2.bias"},
    {"unit": "component", "components": "*.norm1.weight"},
]


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: "-".join(target.values()))
def test_weight_gradient_by_hand(target: dict[str, Any]) -> None:
    model, batches = encoder(), images(2, 3)
    # A frozen parameter counts like any other.
    model[0].linear1.weight.requires_grad_(False)
    model[1].self_attn.in_proj_weight.requires_grad_(False)
    spec = study("weight_gradient", **target)
    found = scores_of(model, batches, spec)

    sums: dict[str, Any] = {}
    for batch in batches:
        fresh = copy.deepcopy(model).requires_grad_(True)
        loss(fresh, batch).backward()
        for name, parameter in fresh.named_parameters():
            product = (parameter * parameter.grad).abs().detach().numpy()
            sums[name] = sums.get(name, 0) + product / len(batches)
    pool = pool_of(spec.ablations[0].target, anatomy_of(model))
    assert {path for _, path in found} == {place.path for place in pool.parts}
    for number in range(pool.n_units):
        # The unit's own masks say what it owns.
        expected = sum(sums[e.parameter][e.mask].sum() for e in pool.edits([number], _zero()))
        ((place, (unit,)),) = pool.by_part([number])
        np.testing.assert_allclose(found["weight_gradient", place.path][unit], expected, rtol=1e-9)


def _zero() -> Any:
    from dissect_core import Zero

    return Zero()


@pytest.mark.parametrize("score", ["weight_gradient", "head_importance"])
def test_top_and_bottom_follow_the_scores(score: str) -> None:
    model, batches = encoder(), images(2, 2)
    anatomy = anatomy_of(model)
    for by, best in (("top", np.argmax), ("bottom", np.argmin)):
        ablation = {
            "name": "a",
            "target": {"unit": "head", "components": "1.self_attn"},
            "select": {"by": by, "score": score, "counts": [1]},
        }
        spec = load_spec({"name": "s", "ablations": [ablation]})
        scores = gradient_scores(model, batches, loss, spec, anatomy)
        (variant,) = plan(spec, anatomy, scores)[1:]
        assert variant.id == f"a/head/{by}-{score}/n1"
        assert variant.removed() == {"1.self_attn": (int(best(scores[score, "1.self_attn"])),)}


def test_a_study_without_gradient_scores_costs_nothing() -> None:
    def never(_model: Any, _batch: Any) -> Any:
        raise AssertionError("the model must not run")

    assert scores_of(encoder(), images(1), study("weight_norm"), never) == {}
