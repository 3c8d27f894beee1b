from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

torch = pytest.importorskip("torch")
nn = torch.nn

from dissect_core import (  # noqa: E402
    Constant,
    InterventionError,
    MaskError,
    Mean,
    Noise,
    Quantize,
    Scale,
    Shuffle,
    UnknownComponentError,
    Zero,
    dose,
    row_mask,
    unit_mask,
)
from dissect_core.torch import ablate_state, ablated  # noqa: E402


def bits(model: Any) -> dict[str, bytes]:
    """Every byte of a model's parameters: NaN and signed zeros count as what they are."""
    return {
        name: p.detach().contiguous().view(-1).view(torch.uint8).numpy().tobytes()
        for name, p in model.named_parameters(remove_duplicate=False)
    }


def detector() -> Any:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4))


class Odd(nn.Module):
    """Values and shapes that are easily lost on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.special = nn.Parameter(
            torch.tensor([float("nan"), -0.0, float("inf"), 1e-45, -float("inf"), 1.0])
        )
        self.float16 = nn.Parameter(torch.randn(5, 3).half())
        self.bfloat16_ = nn.Parameter(torch.randn(5, 3).bfloat16())
        self.float64 = nn.Parameter(torch.randn(5, 3).double())
        self.transposed = nn.Parameter(torch.randn(3, 5).T)
        self.channels_last = nn.Parameter(
            torch.randn(2, 3, 4, 4).contiguous(memory_format=torch.channels_last)
        )
        self.scalar = nn.Parameter(torch.tensor(2.0))
        self.empty = nn.Parameter(torch.empty(0, 3))
        self.frozen = nn.Parameter(torch.randn(4), requires_grad=False)


@given(st.data())
def test_every_value_comes_back_bit_for_bit(data: st.DataObject) -> None:
    model = Odd()
    names = data.draw(st.lists(st.sampled_from([n for n, _ in model.named_parameters()]), unique=True))
    masks = {}
    for name in names:
        shape = tuple(model.get_parameter(name).shape)
        size = int(np.prod(shape))
        indices = data.draw(st.lists(st.integers(0, size - 1), unique=True)) if size else []
        masks[name] = unit_mask(shape, "element", indices)
    intervention = data.draw(st.sampled_from([Zero(), Constant(value=0.25)]))
    before, versions = bits(model), {n: p.dtype for n, p in model.named_parameters()}
    with ablated(model, masks, intervention) as report:
        for name, mask in masks.items():
            expected = 0.25 if intervention.kind == "constant" else 0
            parameter = model.get_parameter(name)
            assert (parameter[torch.from_numpy(mask)] == expected).all()
            assert dose(mask) == 0 or report.masked > 0
    assert bits(model) == before
    assert {n: p.dtype for n, p in model.named_parameters()} == versions


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_restored_after_an_error(error: type[BaseException]) -> None:
    model = detector()
    before = bits(model)
    with pytest.raises(error), ablated(model, {"0.weight": row_mask((8, 6), range(8))}):
        raise error
    assert bits(model) == before


def test_nested_blocks() -> None:
    model = detector()
    before = bits(model)
    first, second = row_mask((8, 6), [0, 1]), row_mask((8, 6), [1, 2])
    with ablated(model, {"0.weight": first}):
        between = bits(model)
        with ablated(model, {"0.weight": second}, Mean()) as report:
            assert report.masked == 12
            assert model[0].weight[1:3].unique().numel() == 1
        assert bits(model) == between
    assert bits(model) == before


def test_masks_of_all_false_change_nothing() -> None:
    model = detector()
    before, image = bits(model), torch.randn(2, 6)
    expected = model(image)
    masks = {n: np.zeros(tuple(p.shape), dtype=bool) for n, p in model.named_parameters()}
    with ablated(model, masks) as report:
        assert bits(model) == before
        assert model(image).equal(expected)
        assert (report.masked, report.changed, report.is_no_op) == (0, 0, True)
    with ablated(model, {}) as report:
        assert report.is_no_op


def test_the_report_tells_what_changed() -> None:
    model = detector()
    with torch.no_grad():
        model[0].weight[3] = 0
    masks = {"2.bias": row_mask((4,), [0]), "0.weight": row_mask((8, 6), [3, 4])}
    with ablated(model, masks) as report:
        rows = [(c.name, c.size, c.masked, c.changed) for c in report.components]
    assert rows == [("2.bias", 4, 1, 1), ("0.weight", 48, 12, 6)]
    assert (report.masked, report.changed, report.is_no_op) == (13, 7, False)


INTERVENTIONS = [Zero(), Mean(), Constant(value=-1), Shuffle(), Noise(), Scale(factor=2), Quantize(bits=3)]


@pytest.mark.parametrize("intervention", INTERVENTIONS)
def test_the_same_as_loading_the_ablated_state(intervention: Any) -> None:
    model, other, image = detector(), detector(), torch.randn(3, 6)
    masks = {"0.weight": row_mask((8, 6), [1, 5]), "2.bias": row_mask((4,), [2])}
    other.load_state_dict(ablate_state(model.state_dict(), masks, intervention)[0])
    with ablated(model, masks, intervention):
        assert model(image).equal(other(image))
    assert not model(image).equal(other(image))


def tied(how: str) -> Any:
    torch.manual_seed(0)
    model = nn.ModuleDict({"a": nn.Linear(3, 3, bias=False), "b": nn.Linear(3, 3, bias=False)})
    if how == "one parameter":
        model["b"].weight = model["a"].weight
    elif how == "one storage":
        model["b"].weight = nn.Parameter(model["a"].weight.data)
    elif how == "one module":
        model["b"] = model["a"]
    else:
        model["b"].weight = nn.Parameter(model["a"].weight.data.T)
    return model


@pytest.mark.parametrize("how", ["one parameter", "one storage", "one module"])
@pytest.mark.parametrize("name", ["a.weight", "b.weight"])
def test_tied_parameters(how: str, name: str) -> None:
    model = tied(how)
    before = bits(model)
    with ablated(model, {name: row_mask((3, 3), [0])}) as report:
        assert not model["a"].weight[0].any()
        assert not model["b"].weight[0].any()
        assert report.masked == 3
    assert bits(model) == before
    both = {"a.weight": row_mask((3, 3), [0, 1]), "b.weight": row_mask((3, 3), [1, 2])}
    with ablated(model, both) as report:
        assert not model["a"].weight.any()
        assert (report.masked, report.changed, len(report.components)) == (9, 9, 1)
    assert bits(model) == before


def test_parameters_that_overlap_in_memory() -> None:
    model = tied("transposed")
    before = bits(model)
    masks = {"a.weight": row_mask((3, 3), [0]), "b.weight": row_mask((3, 3), [0])}
    with ablated(model, masks):
        assert not model["a"].weight[0].any()
        assert not model["a"].weight[:, 0].any()
    assert bits(model) == before


@pytest.mark.parametrize("outer", ["inference", "no_grad"])
def test_inside_and_around_modes_without_gradients(outer: str) -> None:
    model, image = detector(), torch.randn(2, 6)
    before, mask = bits(model), {"0.weight": row_mask((8, 6), [0])}
    mode = torch.inference_mode if outer == "inference" else torch.no_grad
    with mode(), ablated(model, mask):
        model(image)
    assert bits(model) == before
    with ablated(model, mask), mode():
        model(image)
    assert bits(model) == before
    assert model[0].weight.requires_grad


def test_gradients_flow_through_an_ablated_model() -> None:
    model = detector()
    with ablated(model, {"2.weight": unit_mask((4, 8), "column", [0])}):
        model(torch.randn(2, 6)).sum().backward()
    assert not model[0].weight.grad[0].any()
    assert model[0].weight.grad.any()


def test_a_model_converted_inside_the_block_is_still_restored() -> None:
    model = detector()
    expected = {name: value.double() for name, value in model.state_dict().items()}
    with ablated(model, {"0.weight": row_mask((8, 6), [0])}):
        model.double()
    assert all(value.equal(expected[name]) for name, value in model.state_dict().items())


def test_nothing_is_touched_if_anything_is_wrong() -> None:
    model = detector()
    before, good = bits(model), row_mask((8, 6), [0])
    with pytest.raises(UnknownComponentError, match=r"'2\.weigt'. Near matches: '2\.weight'"):
        ablated(model, {"0.weight": good, "2.weigt": good}).__enter__()
    with pytest.raises(
        MaskError, match=r"'2\.weight' must have the component's shape \(4, 8\), got \(8, 6\)"
    ):
        ablated(model, {"0.weight": good, "2.weight": good}).__enter__()
    model[2].half()
    with pytest.raises(InterventionError, match=r"'2\.bias': .*'constant' puts in 1e\+30"):
        ablated(model, {"0.weight": good, "2.bias": row_mask((4,), [0])}, Constant(value=1e30)).__enter__()
    model[2].float()
    assert bits(model)["0.weight"] == before["0.weight"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu() -> None:
    model = detector().cuda()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with ablated(model, {"0.weight": row_mask((8, 6), [0])}) as report:
        assert not model[0].weight[0].any()
        assert report.changed == 6
        model.cpu()
    assert all(value.equal(before[name].cpu()) for name, value in model.state_dict().items())


def test_noise_depends_on_seed_variant_and_component_alone() -> None:
    model = detector()
    mask = np.ones((8, 6), dtype=bool)

    def drawn(others: Any, **stream: Any) -> Any:
        with ablated(model, {**others, "0.weight": mask}, Noise(), **stream):
            return model[0].weight.detach().clone()

    first = drawn({}, seed=1, variant="a")
    assert first.equal(drawn({"2.bias": np.ones(4, dtype=bool)}, seed=1, variant="a"))
    assert not first.equal(drawn({}, seed=2, variant="a"))
    assert not first.equal(drawn({}, seed=1, variant="b"))
