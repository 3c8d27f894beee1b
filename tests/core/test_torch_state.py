from collections import OrderedDict
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from dissect_core import (  # noqa: E402
    Constant,
    InterventionError,
    MaskError,
    Mean,
    UnknownComponentError,
    Zero,
    intervene,
    row_mask,
    unit_mask,
)
from dissect_core.torch import ablate_state  # noqa: E402


@pytest.fixture
def state() -> Any:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3)).state_dict()


@pytest.mark.parametrize("intervention", [Zero(), Mean(), Constant(value=0.5)])
def test_the_same_as_the_function_on_arrays(state: Any, intervention: Any) -> None:
    mask = row_mask((3, 4), [0, 2])
    before = {name: tensor.clone() for name, tensor in state.items()}
    new, report = ablate_state(state, {"0.weight": mask}, intervention)
    expected = intervene(state["0.weight"].numpy(), mask, intervention)
    assert np.array_equal(new["0.weight"].numpy(), expected)
    assert report.masked == report.changed == 8
    assert [(c.name, c.size, c.masked, c.changed) for c in report.components] == [("0.weight", 12, 8, 8)]
    assert all(state[name].equal(tensor) for name, tensor in before.items())


def test_only_masked_tensors_are_copied(state: Any) -> None:
    masks = {"0.weight": row_mask((3, 4), [0]), "0.bias": row_mask((3,), [])}
    new, _ = ablate_state(state, masks)
    assert [name for name in state if new[name] is not state[name]] == ["0.weight"]
    assert list(new) == list(state)


def test_what_torch_attaches_to_a_state_dict_is_kept(state: Any) -> None:
    new, _ = ablate_state(state, {"0.weight": row_mask((3, 4), [0])})
    assert isinstance(new, OrderedDict)
    assert new._metadata == state._metadata  # type: ignore[attr-defined]


def test_an_ablation_that_changes_nothing_is_visible(state: Any) -> None:
    state["0.weight"][1] = 0
    _, report = ablate_state(state, {"0.weight": row_mask((3, 4), [1])})
    assert (report.masked, report.changed, report.is_no_op) == (4, 0, True)
    _, report = ablate_state(state, {})
    assert report.is_no_op
    _, report = ablate_state(state, {"0.weight": row_mask((3, 4), [0, 1])})
    assert (report.masked, report.changed, report.is_no_op) == (8, 4, False)


def test_nan_that_stays_nan_is_no_change() -> None:
    state = {"w": torch.tensor([float("nan"), 1.0])}
    _, report = ablate_state(state, {"w": np.array([True, True])})
    assert report.changed == 2


def test_tied_entries_are_ablated_together() -> None:
    """Otherwise loading the second name would silently undo the ablation of the first."""
    model = torch.nn.ModuleDict({"a": torch.nn.Linear(3, 3), "b": torch.nn.Linear(3, 3)})
    model["b"].weight = model["a"].weight
    for name in ("a.weight", "b.weight"):
        new, report = ablate_state(model.state_dict(), {name: row_mask((3, 3), [1])})
        assert new["a.weight"] is new["b.weight"]
        assert report.masked == 3
        copy = torch.nn.ModuleDict({"a": torch.nn.Linear(3, 3), "b": torch.nn.Linear(3, 3)})
        copy["b"].weight = copy["a"].weight
        copy.load_state_dict(new)
        assert not copy["a"].weight[1].any()


def test_masks_for_both_names_of_tied_entries_are_joined() -> None:
    weight = torch.ones(4)
    masks = {"a": row_mask((4,), [0, 1]), "b": row_mask((4,), [1, 2])}
    new, report = ablate_state({"a": weight, "b": weight}, masks)
    assert new["b"].tolist() == [0, 0, 0, 1]
    assert [(c.name, c.masked) for c in report.components] == [("a", 3)]


@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float64, torch.complex64, torch.int64]
)
def test_every_dtype(dtype: Any) -> None:
    tensor = torch.arange(1, 7).reshape(2, 3).to(dtype)
    new, report = ablate_state({"w": tensor}, {"w": row_mask((2, 3), [1])})
    assert new["w"].dtype == dtype
    assert new["w"].tolist() == [[1, 2, 3], [0, 0, 0]]
    assert report.changed == 3
    if dtype != torch.int64:
        new, _ = ablate_state({"w": tensor}, {"w": row_mask((2, 3), [1])}, Mean())
        assert new["w"][1].tolist() == [3.5, 3.5, 3.5]


@pytest.mark.parametrize(
    ("dtype", "value"),
    [(torch.float16, 1e5), (torch.bfloat16, 3.4e38), (torch.float32, 1e39), (torch.int64, 0.5)],
)
def test_values_that_a_dtype_cannot_hold(dtype: Any, value: float) -> None:
    mask = {"w": np.array([True, False])}
    with pytest.raises(InterventionError, match=r"'w'.*'constant'.*cannot hold"):
        ablate_state({"w": torch.ones(2, dtype=dtype)}, mask, Constant(value=value))


def test_tensors_that_are_not_stored_as_such() -> None:
    mask = {"w": np.ones((2, 2), dtype=bool)}
    for tensor in (torch.eye(2).to_sparse(), torch.empty(2, 2, device="meta")):
        with pytest.raises(InterventionError, match="'w' must be a plain dense tensor with values"):
            ablate_state({"w": tensor}, mask)


@pytest.mark.parametrize(
    "tensor",
    [
        torch.arange(1.0, 37.0).reshape(6, 6).T,
        torch.arange(1.0, 37.0).reshape(6, 6)[:, ::2],
        torch.arange(1.0, 7.0).expand(6, 6),
        torch.arange(1.0, 37.0).reshape(1, 4, 3, 3).contiguous(memory_format=torch.channels_last),
    ],
)
def test_tensors_of_any_stride(tensor: Any) -> None:
    mask = unit_mask(tuple(tensor.shape), "element", [1, 8])
    new, report = ablate_state({"w": tensor}, {"w": mask})
    assert np.array_equal(new["w"].numpy(), intervene(tensor.numpy(), mask, Zero()))
    assert report.changed == 2


def test_a_scalar() -> None:
    new, report = ablate_state({"w": torch.tensor(3.0)}, {"w": np.asarray(True)})
    assert new["w"].item() == 0
    assert report.changed == 1


def test_entries_that_are_no_tensors_pass_through() -> None:
    extra = {"any": "thing"}
    new, _ = ablate_state({"w": torch.ones(2), "_extra_state": extra}, {"w": row_mask((2,), [0])})
    assert new["_extra_state"] is extra


def test_unknown_components_and_wrong_masks(state: Any) -> None:
    with pytest.raises(
        UnknownComponentError, match=r"No component matches '0\.weigth'. Near matches: '0\.weight'"
    ):
        ablate_state(state, {"0.weigth": row_mask((3, 4), [0])})
    with pytest.raises(
        MaskError, match=r"'0\.weight' must have the component's shape \(3, 4\), got \(4, 3\)"
    ):
        ablate_state(state, {"0.weight": row_mask((4, 3), [0])})
    with pytest.raises(MaskError, match="must be of bool, got float64"):
        ablate_state(state, {"0.weight": np.ones((3, 4))})
