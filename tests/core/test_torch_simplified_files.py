"""Smaller models on disk: loaded into a fresh model they compute the same, bit for bit; what is damaged is refused."""

from __future__ import annotations

import copy
import json
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")
nn = torch.nn

from dissect_core import CheckpointError, InterventionError  # noqa: E402
from dissect_core.errors import CheckpointNotFoundError  # noqa: E402
from dissect_core.torch import (  # noqa: E402
    anatomy_of,
    bypassed,
    describe_simplified,
    load_simplified,
    save_simplified,
    simplify,
)
from simplified import Layer, Stack, run, size, variant_of  # noqa: E402


def encoder() -> Any:
    layer = nn.TransformerEncoderLayer(8, 4, 16, batch_first=True)
    return nn.TransformerEncoder(layer, 3, enable_nested_tensor=False).eval()


def decoder() -> Any:
    class Decoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            layer = nn.TransformerDecoderLayer(8, 4, 16, batch_first=True)
            self.decoder = nn.TransformerDecoder(layer, 2)

        def forward(self, x: Any) -> Any:
            return self.decoder(x, x.flip(1))

    return Decoder().eval()


def own() -> Any:
    return Stack(Layer(), Layer(reads=True)).eval()


X = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(3))
CASES = [
    (build, unit, units)
    for build in (encoder, decoder, own)
    for unit, units in (
        ("head", {0, 3}),
        ("neuron", {1, 4, 13}),
        ("neuron", range(12)),
        ("sublayer", {1}),
        ("sublayer", range(3)),
        ("layer", {1}),
        ("layer", {0, 1}),
    )
]


def outputs(model: Any) -> list[Any]:
    with torch.no_grad():
        output = model(X)
    return list(output.values()) if isinstance(output, dict) else [output]


def kept(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(("build", "unit", "units"), CASES)
@pytest.mark.parametrize("verified", [True, False])
def test_same_outputs_bit_for_bit(tmp_path: Path, build: Any, unit: str, units: Any, verified: bool) -> None:
    torch.manual_seed(0)
    model = build()
    variant = variant_of(model, unit, units)
    try:
        small = simplify(model, variant, **({"run": run, "batch": X} if verified else {}))
    except InterventionError:
        assert not verified
        assert build is own
        return
    save_simplified(small, tmp_path / "small", record={"who": ["me", 1, None]})
    torch.manual_seed(1)
    fresh = build()
    assert not all(map(torch.equal, outputs(fresh), outputs(small.model)))
    again = load_simplified(fresh, tmp_path / "small")
    assert again is fresh
    assert all(map(torch.equal, outputs(again), outputs(small.model)))
    assert str(again) == str(small.model)
    assert size(again) == small.n_parameters_after < size(model)
    assert [m.training for m in again.modules()] == [m.training for m in small.model.modules()]
    said = describe_simplified(tmp_path / "small")
    assert said["record"] == {"who": ["me", 1, None]}
    assert said["variant"] == variant.id
    assert said["removed"] == {path: list(gone) for path, gone in variant.removed().items()}
    assert said["flops_after"] == small.flops_after
    assert said["n_parameters_after"] == small.n_parameters_after


def test_root_and_twice(tmp_path: Path) -> None:
    """A model that is one block gives way to another; one that was simplified twice is loaded twice."""
    torch.manual_seed(0)
    model = nn.MultiheadAttention(8, 4).eval()
    small = simplify(model, variant_of(model, "head", {1, 2})).model
    save_simplified(simplify(model, variant_of(model, "head", {1, 2})), tmp_path / "root")
    again = load_simplified(nn.MultiheadAttention(8, 4).eval(), tmp_path / "root")
    assert torch.equal(again(X, X, X)[0], small(X, X, X)[0])

    model = encoder()
    first = simplify(model, variant_of(model, "neuron", range(6)))
    second = simplify(first.model, variant_of(first.model, "layer", {2}))
    save_simplified(first, tmp_path / "first")
    save_simplified(second, tmp_path / "second")
    with pytest.raises(CheckpointError, match="second does not fit the model: its 'layers"):
        load_simplified(encoder(), tmp_path / "second")
    twice = load_simplified(load_simplified(encoder(), tmp_path / "first"), tmp_path / "second")
    assert torch.equal(twice(X), second.model(X))


def test_baseline_and_other_types(tmp_path: Path) -> None:
    model = encoder().double()
    whole = simplify(model, variant_of(model, "head", None))
    save_simplified(whole, tmp_path / "whole")
    again = load_simplified(encoder().double(), tmp_path / "whole")
    assert torch.equal(again(X.double()), model(X.double()))
    with pytest.raises(
        CheckpointError, match=r"is torch.float32 .*, the folder's torch.float64 .*same precision"
    ):
        load_simplified(encoder(), tmp_path / "whole")


class Detector:
    """As far as loading goes: something with a model, and perhaps an anatomy that it keeps."""

    def __init__(self, model: Any, keeps: bool = False) -> None:
        self.model = model
        self._kept = anatomy_of(model) if keeps else None

    @property
    def anatomy(self) -> Any:
        return self._kept or anatomy_of(self.model)


def test_detectors(tmp_path: Path) -> None:
    model = encoder()
    small = simplify(model, variant_of(model, "head", {1}))
    save_simplified(small, tmp_path / "small")
    detector = Detector(encoder())
    assert load_simplified(detector, tmp_path / "small") is detector
    assert torch.equal(detector.model(X), small.model(X))
    with pytest.raises(
        CheckpointError, match="The detector, a Detector, keeps the anatomy of the whole model"
    ):
        load_simplified(Detector(encoder(), keeps=True), tmp_path / "small")
    block = nn.MultiheadAttention(8, 4)
    save_simplified(simplify(block, variant_of(block, "head", {1})), tmp_path / "block")
    with pytest.raises(
        CheckpointError, match=r"replaces the model of a Detector as a whole\. Give the model itself"
    ):
        load_simplified(Detector(nn.MultiheadAttention(8, 4)), tmp_path / "block")


def test_other_models_are_refused_and_stay_as_they_were(tmp_path: Path) -> None:
    model = encoder()
    save_simplified(simplify(model, variant_of(model, "head", {1})), tmp_path / "heads")
    save_simplified(simplify(model, variant_of(model, "layer", {1})), tmp_path / "layers")
    fewer = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 3)
    wider = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 4, 20, batch_first=True), 3)
    longer = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 4, 16, batch_first=True), 4)
    shorter = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 4, 16, batch_first=True), 1)
    for other, folder, why in (
        (fewer, "heads", "'layers.0.self_attn' must be an attention block of 4 heads"),
        (
            wider,
            "heads",
            "its 'layers.0.linear1.weight' is torch.float32 (20, 8), the folder's torch.float32 (16, 8)",
        ),
        (
            longer,
            "heads",
            "it has 'layers.3.self_attn.in_proj_weight', which the folder lacks; it has 'layers.3",
        ),
        (shorter, "heads", "the folder has 'layers.1."),
        (shorter, "layers", "'layers.1'"),
        (nn.Linear(8, 8), "heads", "does not fit the model, a Linear: "),
    ):
        before = copy.deepcopy(other.state_dict())
        text = str(other)
        with pytest.raises(CheckpointError) as caught:
            load_simplified(other, tmp_path / folder)
        assert why in str(caught.value), caught.value
        assert "Build the model as it was before it was simplified" in str(caught.value)
        assert str(other) == text
        assert all(torch.equal(value, before[name]) for name, value in other.state_dict().items())
    hooked = encoder()
    with (
        pytest.raises(InterventionError, match="must have no hooks, nor an ablation in force"),
        bypassed(hooked, "layers.1", "layer"),
    ):
        load_simplified(hooked, tmp_path / "layers")
    tied = encoder()
    tied.layers[1].self_attn = tied.layers[0].self_attn
    with pytest.raises(CheckpointError, match="does not fit the model"):
        load_simplified(tied, tmp_path / "heads")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: Any) -> Path:
    place = Path(tmp_path_factory.mktemp("simplified"))
    model = own()
    save_simplified(simplify(model, variant_of(model, "sublayer", {1}), run=run, batch=X), place / "ffn")
    save_simplified(simplify(model, variant_of(model, "head", {1}), run=run, batch=X), place / "heads")
    return place


def changed(folder: Path, to: Path, change: Any) -> Path:
    """A copy of a folder with another description."""
    to.mkdir()
    for name, content in kept(folder).items():
        (to / name).write_bytes(content)
    said = json.loads((to / "simplified.json").read_text())
    change(said)
    (to / "simplified.json").write_text(json.dumps(said))
    return to


HOSTILE: dict[str, tuple[str, Any, str]] = {
    "a way out of the folder": (
        "ffn",
        lambda d: d["weights"].update(file="/etc/passwd"),
        "is damaged: `weights.file`",
    ),
    "a field more": ("ffn", lambda d: d.update(code="import os"), "is damaged: `code`"),
    "another format": ("ffn", lambda d: d.update(format="dissect_core.simplified/2"), "is damaged: `format`"),
    "a field less": ("ffn", lambda d: d.pop("cuts"), "is damaged: `cuts`: Field required"),
    "no number": ("ffn", lambda d: d.update(flops_after="7"), "is damaged: `flops_after`"),
    "too many results": (
        "ffn",
        lambda d: next(iter(d["stand_ins"].values())).update(n_more=10**9),
        "less than or equal to 100",
    ),
    "endless zeros": (
        "ffn",
        lambda d: next(iter(d["stand_ins"].values())).update(arguments=[], width=10**12),
        "of width 1000000000000",
    ),
    "no such argument": (
        "ffn",
        lambda d: next(iter(d["stand_ins"].values())).update(arguments=["__class__"]),
        "takes no argument",
    ),
    "no such module": (
        "ffn",
        lambda d: d["stand_ins"].update({"forward": d["stand_ins"].popitem()[1]}),
        "'forward'",
    ),
    "no linear layer": ("ffn", lambda d: d["unread"].append("layers.0"), "must be a linear layer, got Layer"),
    "the model itself": ("ffn", lambda d: d["unread"].append(""), "must be a linear layer, got Stack"),
    "a unit too many": (
        "heads",
        lambda d: d["cuts"][0]["removed"].append(4),
        "must lose distinct heads of its 4",
    ),
    "a unit twice": (
        "heads",
        lambda d: d["cuts"][0]["removed"].append(1),
        "must lose distinct heads of its 4",
    ),
    "a negative unit": ("heads", lambda d: d["cuts"][0]["removed"].append(-1), "greater than or equal to 0"),
    "every head": ("heads", lambda d: d["cuts"][0].update(removed=[0, 1, 2, 3]), "A head must be left"),
    "more heads": (
        "heads",
        lambda d: d["cuts"][0].update(n_units=10**15),
        "must hold 1,000,000,000,000,000 heads",
    ),
    "heads elsewhere": ("heads", lambda d: d["cuts"][0]["slices"].pop(), "holds its heads elsewhere"),
    "a strange parameter": (
        "heads",
        lambda d: d["cuts"][0]["slices"][0].update(parameter="x\x1b[31m"),
        "is none of its parameters",
    ),
    "an axis beyond": ("heads", lambda d: d["cuts"][0]["slices"][0].update(axis=5), "along axis 5"),
    "no heads at all": (
        "heads",
        lambda d: d["cuts"][0].update(path="layers.0.linear1"),
        "must be an attention block",
    ),
    "other heads": ("heads", lambda d: d["cuts"][0].update(removed=[0, 1]), "Build the model as it was"),
    "other weights": (
        "heads",
        lambda d: d["weights"].update(sha256="0" * 64),
        "is not the file that simplified.json",
    ),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_descriptions(folder: Path, tmp_path: Path, what: str) -> None:
    which, change, why = HOSTILE[what]
    place = changed(folder / which, tmp_path / "changed", change)
    model = own()
    before, text = copy.deepcopy(model.state_dict()), str(model)
    with pytest.raises(CheckpointError) as caught:
        load_simplified(model, place)
    assert why in str(caught.value), caught.value
    assert str(caught.value).isprintable()
    assert str(model) == text
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_damaged_files(folder: Path, tmp_path: Path) -> None:
    files = kept(folder / "ffn")

    def put(name: str, content: bytes | None) -> Path:
        place = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        place.mkdir()
        for other, whole in {**files, name: content}.items():
            if whole is not None:
                (place / other).write_bytes(whole)
        return place

    weights, description = files["model.safetensors"], files["simplified.json"]
    flipped = weights[:-1] + bytes([weights[-1] ^ 1])
    for place, error, why in (
        (tmp_path / "nowhere", CheckpointNotFoundError, "simplified.json does not exist. Give a folder that"),
        (put("simplified.json", None), CheckpointNotFoundError, "simplified.json does not exist"),
        (put("model.safetensors", None), CheckpointNotFoundError, "model.safetensors does not exist"),
        (
            put("model.safetensors", flipped),
            CheckpointError,
            "is not the file that simplified.json beside it",
        ),
        (
            put("model.safetensors", weights[:-9]),
            CheckpointError,
            "is not the file that simplified.json beside it",
        ),
        (put("simplified.json", b""), CheckpointError, "is damaged"),
        (put("simplified.json", description[:-20]), CheckpointError, "is damaged: Invalid JSON"),
        (put("simplified.json", b"[" * 10**5), CheckpointError, "is damaged: Invalid JSON: recursion limit"),
        (put("simplified.json", b"\xff\xfe"), CheckpointError, "is damaged"),
    ):
        with pytest.raises(error) as caught:
            load_simplified(own(), place)
        assert why in str(caught.value), caught.value
    if hasattr(os, "mkfifo"):
        place = put("simplified.json", None)
        os.mkfifo(place / "simplified.json")
        with pytest.raises(CheckpointError, match="it is a FIFO"):
            describe_simplified(place)


def test_where_it_is_written(tmp_path: Path) -> None:
    model = encoder()
    small = simplify(model, variant_of(model, "layer", {1}))
    save_simplified(small, tmp_path / "a")
    before = kept(tmp_path / "a")
    assert set(before) == {"model.safetensors", "simplified.json"}
    with pytest.raises(CheckpointError, match=r"must be empty or new, but holds files\. Give another folder"):
        save_simplified(small, tmp_path / "a")
    (tmp_path / "a" / "notes.txt").write_text("mine")
    other = simplify(model, variant_of(model, "layer", {0, 1}))
    save_simplified(other, tmp_path / "a", overwrite=True)
    assert torch.equal(load_simplified(encoder(), tmp_path / "a")(X), other.model(X))
    assert (tmp_path / "a" / "notes.txt").read_text() == "mine"
    with pytest.raises(CheckpointError, match="cannot be made"):
        save_simplified(small, tmp_path / "no" / "such")
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="it is a file, not a folder"):
        save_simplified(small, tmp_path / "file")
    for record in ({"model": model}, {1: "a"}, {"a": np.float64("nan")}):
        with pytest.raises(CheckpointError, match="`record` must be plain data with text as keys"):
            save_simplified(small, tmp_path / "records", record=record)  # type: ignore[arg-type]
    assert not (tmp_path / "records").exists() or not any((tmp_path / "records").iterdir())


def test_interrupted_overwriting_is_seen(tmp_path: Path, monkeypatch: Any) -> None:
    """Weights of one and the description of another are no model."""
    model = encoder()
    save_simplified(simplify(model, variant_of(model, "head", {1})), tmp_path / "a")

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    from dissect_core.torch.simplify import _saved

    monkeypatch.setattr(_saved, "write_bytes_whole", killed)
    with pytest.raises(KeyboardInterrupt):
        save_simplified(simplify(model, variant_of(model, "head", {2, 3})), tmp_path / "a", overwrite=True)
    with pytest.raises(CheckpointError, match="or writing was interrupted"):
        load_simplified(encoder(), tmp_path / "a")


def test_nothing_is_warned_of(folder: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_simplified(own(), folder / "heads")
