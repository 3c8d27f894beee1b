"""References on disk: what comes back, and what a bad file says."""

from __future__ import annotations

import dataclasses
import json
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

torch = pytest.importorskip("torch")
nn = torch.nn

from dissect_core import ActivationSite, CheckpointError, NoiseActivation  # noqa: E402
from dissect_core.edits import OptimalActivation  # noqa: E402
from dissect_core.torch import (  # noqa: E402
    Reference,
    fit_optimal,
    gather_reference,
    intervened,
    load_reference,
    save_reference,
)
from dissect_core.torch.activations import Slot  # noqa: E402
from hostile_pickles import archive_with  # noqa: E402

SITES = (ActivationSite("2", "neuron", (0, 2)), ActivationSite("0", "component"))


def run(model: Any, batch: Any) -> Any:
    return model(batch)


def example(dtype: Any = torch.float32, keep: bool = True) -> tuple[Any, Any]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)).to(dtype)
    return model, gather_reference(
        model, [torch.randn(3, n, 4).to(dtype) for n in (2, 5)], run, SITES, keep=keep
    )


def assert_same(first: Any, second: Any) -> None:
    assert first.fit == second.fit
    assert list(first.slots) == list(second.slots)
    for place, slots in first.slots.items():
        assert len(slots) == len(second.slots[place])
        for one, other in zip(slots, second.slots[place], strict=True):
            for field in dataclasses.fields(one):
                values = [getattr(slot, field.name) for slot in (one, other)]
                if isinstance(values[0], torch.Tensor):
                    values = [[value] for value in values]
                if (
                    field.name in ("total", "squares", "positions", "optimal", "kept")
                    and values[0] is not None
                ):
                    assert len(values[0]) == len(values[1])
                    for a, b in zip(*values, strict=True):
                        assert a.dtype == b.dtype
                        assert a.shape == b.shape
                        # Bytes, because NaN marks what was not fitted.
                        assert a.contiguous().view(-1).view(torch.uint8).equal(b.view(-1).view(torch.uint8))
                else:
                    assert values[0] == values[1], field.name


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("keep", [True, False])
def test_round_trip(dtype: Any, keep: bool, tmp_path: Path) -> None:
    _, reference = example(dtype, keep)
    save_reference(reference, tmp_path / "reference.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["reference.npz"]
    loaded = load_reference(tmp_path / "reference.npz")
    assert_same(reference, loaded)
    assert loaded.n_images == 6
    assert len(loaded.at(SITES[0])[0].kept) == 6 * keep


def test_a_fit_comes_back_and_serves(tmp_path: Path) -> None:
    model, reference = example()
    batch = torch.randn(2, 3, 4)
    fitted = fit_optimal(model, [batch], lambda m, x: m(x).square().mean(), SITES, reference, steps=2)
    save_reference(fitted, tmp_path / "fitted")
    loaded = load_reference(str(tmp_path / "fitted"))
    assert_same(fitted, loaded)
    for intervention in (OptimalActivation(), NoiseActivation()):
        results = []
        for given_reference in (fitted, loaded):
            with intervened(model, SITES, intervention, given_reference), torch.no_grad():
                results.append(model(batch))
        assert torch.equal(*results)


@settings(max_examples=15)
@given(st.text(), st.text(), st.lists(st.floats(width=64), max_size=4), st.integers(0, 2))
def test_any_names_and_numbers(path: str, argument: str, numbers: list[float], n: int) -> None:
    import tempfile

    tensor = torch.tensor(numbers, dtype=torch.float64)
    slot = Slot(n, [(n, 2)], n, tensor, tensor, None, [tensor] * n, -1, tensor * math.nan)
    reference = Reference({(path, "query", argument or None): [slot] * n})
    with tempfile.TemporaryDirectory() as folder:
        save_reference(reference, Path(folder) / "r")
        assert_same(reference, load_reference(Path(folder) / "r"))


def test_saving_replaces_whole_files_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, reference = example()
    path = tmp_path / "reference.npz"
    save_reference(reference, path)
    before = path.read_bytes()
    save_reference(reference, path)
    assert path.read_bytes() == before

    def full(file: Any, **_: Any) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(CheckpointError, match="cannot be written: the disk is full"):
        save_reference(reference, path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["reference.npz"]
    with pytest.raises(CheckpointError, match="its folder does not exist"):
        save_reference(reference, tmp_path / "no" / "reference.npz")


def test_bad_files(tmp_path: Path) -> None:
    _, reference = example()
    good = tmp_path / "good.npz"
    save_reference(reference, good)
    content = good.read_bytes()
    damaged = bytearray(content)
    damaged[len(content) // 2] ^= 0xFF
    bad = {
        "cut": content[: len(content) // 2],
        "damaged": bytes(damaged),
        "empty": b"",
        "text": b"hello",
        "pickle": pickle.dumps({"x": 1}),
    }
    for name, data in bad.items():
        (tmp_path / name).write_bytes(data)
    np.savez(tmp_path / "other.npz", x=np.ones(2))
    np.save(tmp_path / "array.npy", np.ones(2))
    np.savez(tmp_path / "objects.npz", header=np.array([{"x": 1}], dtype=object))
    np.savez(tmp_path / "format.npz", header=np.frombuffer(b'{"format": "dissect reference 9"}', np.uint8))
    for name in (*bad, "other.npz", "array.npy", "objects.npz", "format.npz", "."):
        with pytest.raises(CheckpointError, match=r"is damaged, or not a file of `save_reference`"):
            load_reference(tmp_path / name)
    with pytest.raises(CheckpointError, match=r"no such file\. Make it with `save_reference`"):
        load_reference(tmp_path / "none.npz")


def header(**changed: Any) -> dict[str, Any]:
    """What a file of one slot says of itself."""
    tensors = {name: {"dtype": "float64", "shape": [2]} for name in ("total", "squares")}
    slot = {"number": 1, "tensors": tensors, "n_images": 1, "n_kept": 0, "shapes": [[2]], "count": 1}
    slot |= {"feature_axis": -1, **changed}
    place = {"path": "p", "unit": "neuron", "argument": None, "slots": [slot]}
    return {"format": "dissect reference 1", "places": [place], "fit": None}


PARTS = {"1.total": np.zeros(16, np.uint8), "1.squares": np.zeros(16, np.uint8)}


def hostile() -> dict[str, tuple[Any, dict[str, Any]]]:
    empty = {"dtype": "float64", "shape": [0, 2**40]}
    shaped = {"dtype": "uint8", "shape": [2**60]}
    site = {"path": "p", "unit": "neuron", "indices": [1], "argument": None, "batch_axis": None}
    fit = {"sites": [site], "zero": 1, "mean": 1, "optimal": 1, "losses": []}
    both = header()["places"][0]["slots"] * 2
    cases: dict[str, tuple[Any, dict[str, Any]]] = {
        f"{name} is {value!r}": (header(**{name: value}), PARTS)
        for name in ("number", "n_images", "n_kept", "count", "feature_axis")
        for value in ("1", None, 1.5, -(2**70), 2**70, [1], True)
    }
    cases |= {
        "deep": ("[" * 200_000, PARTS),
        "no object": ([], PARTS),
        "a tensor of terabytes": (header(tensors={"total": shaped, "squares": shaped}), PARTS),
        "an empty one": (header(tensors={"total": empty, "squares": empty}), {**PARTS}),
        "no type": (header(tensors={"total": {"dtype": "load", "shape": [2]}}), PARTS),
        "a part twice": ({**header(), "places": [{**header()["places"][0], "slots": both}]}, PARTS),
        "shapes": (header(shapes=[["a"]]), PARTS),
        "places": ({**header(), "places": [{"path": [], "unit": 1, "argument": 2, "slots": []}]}, PARTS),
        "indices": ({**header(), "fit": {**fit, "sites": [{**site, "indices": [10**400]}]}}, PARTS),
        "unit": ({**header(), "fit": {**fit, "sites": [{**site, "unit": "\x1b[31m"}]}}, PARTS),
        "losses": ({**header(), "fit": {**fit, "losses": [[]]}}, PARTS),
    }
    for name, described in {
        "objects": "{'descr': '|O', 'fortran_order': False, 'shape': (16,)}",
        "fields": "{'descr': [('a', 'O')], 'fortran_order': False, 'shape': (16,)}",
        "terabytes": "{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000000,)}",
        "deep again": "(" * 5000,
    }.items():
        raw = (
            np.lib.format.magic(1, 0) + len(described).to_bytes(2, "little") + described.encode() + bytes(16)
        )
        cases[name] = (header(), {**PARTS, "1.total": raw})
    return cases


@pytest.mark.parametrize("case", hostile())
def test_hostile_files(case: str, tmp_path: Path) -> None:
    described, parts = hostile()[case]
    text = described if isinstance(described, str) else json.dumps(described)
    archive_with({"header": np.frombuffer(text.encode(), np.uint8), **parts}, tmp_path / "r.npz")
    with pytest.raises(CheckpointError, match=r"is damaged, or not a file of `save_reference`") as caught:
        load_reference(tmp_path / "r.npz")
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 700


def test_a_file_like_the_hostile_ones_is_read_and_a_compressed_one_is_not(tmp_path: Path) -> None:
    parts = {"header": np.frombuffer(json.dumps(header()).encode(), np.uint8), **PARTS}
    archive_with(parts, tmp_path / "r.npz")
    assert load_reference(tmp_path / "r.npz").n_images == 1
    np.savez_compressed(tmp_path / "bomb.npz", **parts)
    with pytest.raises(CheckpointError, match="is compressed"):
        load_reference(tmp_path / "bomb.npz")
