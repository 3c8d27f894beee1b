from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

torch = pytest.importorskip("torch")
nn = torch.nn

from dissect_core import (  # noqa: E402
    CheckpointError,
    Constant,
    Edit,
    InterventionError,
    MaskError,
    Mean,
    MissingDependencyError,
    Noise,
    Quantize,
    Scale,
    Shuffle,
    UnknownComponentError,
    Zero,
    column_mask,
    edit_arrays,
    row_mask,
    unit_mask,
)
from dissect_core.torch import edit_state, edited, load_safetensors, save_safetensors  # noqa: E402
from dissect_core.torch.weights import _prepared  # noqa: E402

INTERVENTIONS = [
    Zero(),
    Constant(value=-1),
    Mean(over="row"),
    Shuffle(),
    Noise(),
    Scale(factor=2),
    Quantize(bits=3),
]


def detector() -> Any:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4))


def bits(model: Any) -> dict[str, bytes]:
    return {name: p.detach().contiguous().numpy().tobytes() for name, p in model.named_parameters()}


@st.composite
def some_edits(draw: Any) -> list[Edit]:
    edits = []
    for _ in range(draw(st.integers(0, 5))):
        name, shape = draw(st.sampled_from([("0.weight", (8, 6)), ("2.weight", (4, 8))]))
        unit, n = draw(
            st.sampled_from([("row", shape[0]), ("column", shape[1]), ("element", 32), ("component", 1)])
        )
        chosen = draw(st.lists(st.integers(0, n - 1), unique=True))
        edits.append(Edit(name, unit_mask(shape, unit, chosen), draw(st.sampled_from(INTERVENTIONS))))
    return edits


@given(some_edits())
def test_live_models_states_and_arrays_agree(edits: list[Edit]) -> None:
    model = detector()
    before = bits(model)
    arrays = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    expected, by_arrays = edit_arrays(arrays, edits, seed=1, variant="v")
    state, by_state = edit_state(model.state_dict(), edits, seed=1, variant="v")
    assert edit_state(arrays, edits, seed=1, variant="v")[1] == by_arrays
    with edited(model, edits, seed=1, variant="v") as report:
        assert report == by_state == by_arrays
        for name, value in model.state_dict().items():
            np.testing.assert_array_equal(value.numpy(), expected[name])
            np.testing.assert_array_equal(state[name].numpy(), expected[name])
    assert bits(model) == before


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_restored_after_an_error(error: type[BaseException]) -> None:
    model = detector()
    before = bits(model)
    edits = [
        Edit("0.weight", row_mask((8, 6), [0, 2]), Zero()),
        Edit("0.bias", row_mask((8,), [0]), Constant(value=9)),
    ]
    with pytest.raises(error), edited(model, edits):
        raise error
    assert bits(model) == before


def test_an_interrupt_while_restoring_leaves_nothing_ablated(monkeypatch: pytest.MonkeyPatch) -> None:
    model = detector()
    before = bits(model)
    undo, calls = _prepared.Patch.undo, []

    def interrupted(patch: Any) -> None:
        calls.append(patch)
        if len(calls) == 2:
            raise KeyboardInterrupt
        undo(patch)

    monkeypatch.setattr(_prepared.Patch, "undo", interrupted)
    edits = [Edit(f"{i}.bias", row_mask((n,), [0]), Constant(value=9)) for i, n in ((0, 8), (2, 4))]
    with pytest.raises(KeyboardInterrupt), edited(model, edits):
        pass
    assert bits(model) == before


def test_nested_blocks_see_each_other() -> None:
    model = detector()
    before = bits(model)
    with edited(model, [Edit("0.weight", row_mask((8, 6), [0]), Zero())]):
        between = bits(model)
        with edited(model, [Edit("0.weight", column_mask((8, 6), [1]), Mean())]):
            assert model[0].weight[0, 0] == 0
            assert model[0].weight[:, 1].unique().numel() == 1
        assert bits(model) == between
    assert bits(model) == before


def test_tied_parameters_are_joined_for_each_intervention() -> None:
    model = nn.ModuleDict({"a": nn.Linear(3, 3), "b": nn.Linear(3, 3)})
    model["b"].weight = model["a"].weight
    edits = [
        Edit("b.weight", row_mask((3, 3), [0, 1]), Zero()),
        Edit("a.weight", row_mask((3, 3), [1, 2]), Constant(value=7)),
        Edit("a.weight", row_mask((3, 3), [0]), Zero()),
    ]
    with edited(model, edits) as report:
        assert model["a"].weight.tolist() == [[0] * 3, [7] * 3, [7] * 3]
    assert [(c.name, c.masked, c.changed) for c in report.components] == [("b.weight", 9, 9)]


def test_nothing_is_touched_if_anything_is_wrong() -> None:
    model = detector()
    before, good = bits(model), Edit("0.weight", row_mask((8, 6), [0]), Zero())
    for wrong, error in [
        (Edit("1.weight", row_mask((8, 6), [0]), Zero()), UnknownComponentError),
        (Edit("2", row_mask((8, 6), [0]), Zero()), UnknownComponentError),
        (Edit("2.weight", row_mask((8, 6), [0]), Zero()), MaskError),
        (Edit("2.weight", row_mask((4, 8), [0]), Constant(value=1e300)), InterventionError),
    ]:
        with pytest.raises(error, match=wrong.parameter):
            edited(model, [good, wrong]).__enter__()
        assert bits(model) == before


def test_safetensors_round_trip(tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    model = detector()
    state = model.state_dict()
    state["tied"] = state["0.weight"]
    state["turned"] = state["2.weight"].T
    state["half"] = torch.randn(3).bfloat16()
    save_safetensors(state, tmp_path / "m.safetensors", {"made": "by a test"})
    back = load_safetensors(tmp_path / "m.safetensors")
    assert back.keys() == state.keys()
    assert all(back[name].equal(value) and back[name].dtype == value.dtype for name, value in state.items())
    new, _ = edit_state(back, [Edit("0.bias", row_mask((8,), [0]), Zero())])
    assert new["0.bias"][0] == 0
    assert [file.name for file in tmp_path.iterdir()] == ["m.safetensors"]


def test_safetensors_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("safetensors")
    path = tmp_path / "m.safetensors"
    with pytest.raises(CheckpointError, match="does not exist"):
        load_safetensors(path)
    with pytest.raises(CheckpointError, match=r"`state_dict\['extra'\]` must be a dense tensor.*got str"):
        save_safetensors({"extra": "text"}, path)
    with pytest.raises(CheckpointError, match="must be text"):
        save_safetensors({"x": torch.ones(1)}, path, {"epoch": 3})  # type: ignore[dict-item]
    with pytest.raises(CheckpointError, match="folder does not exist"):
        save_safetensors({"x": torch.ones(1)}, tmp_path / "no" / "m.safetensors")
    torch.save({"x": torch.ones(1)}, path)
    with pytest.raises(CheckpointError, match="load_checkpoint"):
        load_safetensors(path)
    path.write_bytes(b"\x10\0\0\0\0\0\0\0{}")
    with pytest.raises(CheckpointError, match="damaged"):
        load_safetensors(path)
    monkeypatch.setitem(__import__("sys").modules, "safetensors", None)
    monkeypatch.delitem(__import__("sys").modules, "safetensors.torch")
    with pytest.raises(MissingDependencyError, match=r'pip install "dissect-core\[safetensors\]"'):
        load_safetensors(path)
