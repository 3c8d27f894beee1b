"""Prepared edits do what `edited` does at the same place, however often and in whatever state the model is."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

torch = pytest.importorskip("torch")
nn = torch.nn

from dissect_core import (  # noqa: E402
    Constant,
    Edit,
    InterventionError,
    Mean,
    Noise,
    Quantize,
    Scale,
    Shuffle,
    UnknownComponentError,
    Zero,
    row_mask,
)
from dissect_core.plan import plan  # noqa: E402
from dissect_core.spec import load_spec  # noqa: E402
from dissect_core.torch import anatomy_of, edited, prepared  # noqa: E402
from dissect_core.torch.weights._tensors import same_bits  # noqa: E402

INTERVENTIONS = [
    Zero(),
    Constant(value=2),
    Mean(),
    Mean(over="column"),
    Shuffle(),
    Noise(),
    Noise(snr_db=3),
    Scale(factor=0.5),
    Quantize(bits=3),
]
SHAPE = (12, 16)


def model_of(seed: int = 0, dtype: Any = torch.float32) -> Any:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(16, 12), nn.Linear(12, 4)).to(dtype)


def mask(dose: float, seed: int = 0) -> Any:
    n = SHAPE[0] * SHAPE[1]
    return (np.random.default_rng(seed).permutation(n) < int(dose * n)).reshape(SHAPE)


def edit(intervention: Any, dose: float = 0.5) -> Edit:
    return Edit("0.weight", mask(dose), intervention)


def values(model: Any) -> list[Any]:
    return [p.detach().clone() for p in model.parameters()]


def same(a: list[Any], b: list[Any]) -> bool:
    return all(map(same_bits, a, b))


def inside(block: Any, model: Any) -> tuple[Any, list[Any]]:
    with block as report:
        return report, values(model)


@given(
    st.sampled_from(INTERVENTIONS),
    st.sampled_from([0.0, 0.03, 0.5, 1.0]),
    st.sampled_from([torch.float32, torch.float64, torch.float16, torch.bfloat16]),
    st.lists(
        st.sampled_from(["use", "step", "one masked", "one unmasked", "other", "through .data"]), max_size=6
    ),
)
def test_any_history_of_a_model_gives_what_edited_gives(
    intervention: Any, dose: float, dtype: Any, history: list[str]
) -> None:
    model, edits = (
        model_of(dtype=dtype),
        [edit(intervention, dose), Edit("0.bias", row_mask((12,), [3]), Zero())],
    )
    ready = prepared(model, edits, seed=4, variant="v")
    weight = model[0].weight
    for event in [*history, "use"]:
        with torch.no_grad():
            if event == "step":
                weight.mul_(1.5)
            elif event == "through .data":
                weight.data.mul_(-1)
            elif event in ("one masked", "one unmasked"):
                places = (
                    torch.from_numpy(mask(dose)) if event == "one masked" else ~torch.from_numpy(mask(dose))
                )
                if places.any():
                    weight[tuple(places.nonzero()[0])] += 1
            elif event == "other":
                with edited(model, [edit(Constant(value=3), 0.2)]):
                    found_inside = inside(ready, model)[1]
                    assert same(found_inside, inside(edited(model, edits, seed=4, variant="v"), model)[1])
        before = values(model)
        report, found = inside(ready, model)
        assert same(values(model), before)
        expected_report, expected = inside(edited(model, edits, seed=4, variant="v"), model)
        assert report == expected_report
        assert same(found, expected)


def test_signed_zeros_and_nan_payloads_come_back() -> None:
    model = model_of()
    ready = prepared(model, [Edit("0.weight", row_mask(SHAPE, [0]), Zero())])
    with torch.no_grad():
        # Equal to what it was prepared from by value, or by being a NaN; not by its bits.
        model[0].weight[0] = -0.0
        model[0].weight[0, :2] = torch.tensor([0x7FC00001, -0x3FFFFF], dtype=torch.int32).view(torch.float32)
    before = values(model)
    for _ in range(2):
        with ready:
            assert same_bits(model[0].weight[0].detach(), torch.zeros(16))
        assert same(values(model), before)


def test_a_parameter_that_is_replaced_or_moved_to_another_type_is_found_again() -> None:
    model = model_of()
    ready = prepared(model, [edit(Mean())])
    model[0].weight = nn.Parameter(torch.arange(192.0).reshape(SHAPE))
    with ready:
        assert (model[0].weight.detach().numpy()[mask(0.5)] == 95.5).all()
    model.half().float()
    model.double()
    before = values(model)
    with ready as report:
        assert report.masked == 96
        assert model[0].weight.dtype == torch.float64
    assert same(values(model), before)
    model[0] = nn.Identity()
    with pytest.raises(UnknownComponentError, match=r"0\.weight"), ready:
        pass


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_in_the_block_restores_and_leaves_it_usable(error: type[BaseException]) -> None:
    model = model_of()
    before, ready = values(model), prepared(model, [edit(Scale(factor=0))])
    with pytest.raises(error), ready:
        raise error
    assert same(values(model), before)
    with ready:
        assert not same(values(model), before)
    assert same(values(model), before)


def test_it_cannot_be_entered_twice_at_once() -> None:
    model = model_of()
    before, ready = values(model), prepared(model, [edit(Zero())])
    with ready:
        with pytest.raises(InterventionError, match="applied already"), ready:
            pass
        assert not same(values(model), before)
    assert same(values(model), before)


def test_an_optimizer_step_inside_is_undone_where_masked() -> None:
    model = model_of()
    before, ready = values(model), prepared(model, [edit(Zero())])
    with ready, torch.no_grad():
        model[0].weight.add_(1)
    masked = torch.from_numpy(mask(0.5))
    assert same_bits(model[0].weight.detach()[masked], before[0][masked])
    assert same_bits(model[0].weight.detach()[~masked], (before[0] + 1)[~masked])


def test_variants_of_a_plan_are_prepared_and_others_refused() -> None:
    layer = nn.TransformerEncoderLayer(16, 4, batch_first=True).eval()
    heads = {"name": "heads", "target": {"unit": "head", "components": "*"}, "select": {"by": "each"}}
    means = {**heads, "name": "means", "interventions": {"space": "activation", "kind": "zero"}}
    spec = load_spec({"name": "heads", "ablations": [heads, means]})
    variants = plan(spec, anatomy_of(layer))
    weights = [one for one in variants if one.space == "weight"]
    assert len(weights) == 5
    for one in weights:
        found = inside(prepared(layer, one), layer)
        assert same(found[1], inside(edited(layer, one.edits(), seed=one.seed, variant=one.id), layer)[1])
    with pytest.raises(InterventionError, match="not one on weights"):
        prepared(layer, variants[-1])
    with pytest.raises(InterventionError, match="brings its own seed"):
        prepared(layer, weights[1], seed=3)
