"""Variants written as checkpoints: what is in the file does what the variant does, and says what it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
nn = torch.nn

from dissect_core import CheckpointError, PlanError, UnknownComponentError  # noqa: E402
from dissect_core.plan import (  # noqa: E402
    apply as plain_apply,
    plan,
)
from dissect_core.spec import load_spec  # noqa: E402
from dissect_core.torch import (  # noqa: E402
    ablated,
    anatomy_of,
    apply,
    export,
    load_checkpoint,
    load_safetensors,
    save_checkpoint,
    save_safetensors,
)
from dissect_core.torch.checkpoints import with_state  # noqa: E402


def made() -> Any:
    torch.manual_seed(0)
    return nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 12, batch_first=True), 2).double().eval()


@pytest.fixture
def model() -> Any:
    return made()


def variants_of(model: Any, unit: str, components: Any, *interventions: Any) -> list[Any]:
    ablation: dict[str, Any] = {
        "name": "a",
        "target": {"unit": unit, "components": components},
        "select": {"by": "each"},
    }
    if interventions:
        ablation["interventions"] = list(interventions)
    return plan(load_spec({"name": "s", "seed": 3, "ablations": [ablation]}), anatomy_of(model))[1:]


ON_ACTIVATIONS = {"kind": "zero", "space": "activation"}


@pytest.mark.parametrize(
    ("unit", "components", "interventions"),
    [
        ("head", "self_attn", ["zero", "noise", ON_ACTIVATIONS]),
        ("neuron", "ffn", [ON_ACTIVATIONS]),
        ("sublayer", ["self_attn", "ffn"], []),
        ("row", "layers.0.linear1.weight", ["shuffle", {"kind": "scale", "factor": 0.5}]),
    ],
)
def test_the_file_does_what_the_variant_does(
    model: Any, tmp_path: Path, unit: str, components: Any, interventions: list[Any]
) -> None:
    image = torch.randn(2, 5, 8, dtype=torch.float64)
    for number, variant in enumerate(variants_of(model, unit, components, *interventions)[::3]):
        path = tmp_path / f"{number}.pth"
        report = export(variant, model, path)
        other = made()
        other.load_state_dict(load_checkpoint(path)["state_dict"])
        with torch.no_grad(), ablated(model, variant):
            expected = model(image)
        with torch.no_grad():
            torch.testing.assert_close(other(image), expected, rtol=1e-12, atol=1e-12)
            assert not torch.allclose(model(image), expected)
        assert report.changed


def test_the_record_says_what_it_is(model: Any, tmp_path: Path) -> None:
    variant = variants_of(model, "head", "self_attn", {"kind": "noise", "snr_db": 3})[3]
    report = export(variant, model, tmp_path / "a.pth", record={"source": "whole.pth"})
    checkpoint = load_checkpoint(tmp_path / "a.pth")
    record = checkpoint["meta"]["deep_dissect"]
    assert {key: record[key] for key in record if key != "version"} == {
        "variant": "a/head/each/layers.1.self_attn:1",
        "unit": "head",
        "intervention": "noise",
        "removed": {"layers.1.self_attn": [1]},
        "seed": 3,
        "values_changed": report.changed,
        "source": "whole.pth",
        "history": [],
    }
    again = variants_of(model, "neuron", "ffn")[0]
    export(again, checkpoint, tmp_path / "b.pth")
    record = load_checkpoint(tmp_path / "b.pth")["meta"]["deep_dissect"]
    assert [earlier["variant"] for earlier in record["history"]] == [variant.id]


def test_checkpoints_keep_their_form(model: Any) -> None:
    state = model.state_dict()
    for key in ("state_dict", "model"):
        source = {key: state, "epoch": 7, "meta": {"classes": ["a"], "test_metrics": {"AP": 1.0}}}
        kept = with_state(source, {"x": 1}, {"variant": "v"})
        assert kept == {
            key: {"x": 1},
            "epoch": 7,
            "meta": {"classes": ["a"], "deep_dissect": {"variant": "v", "history": []}},
        }
        assert source["meta"]["test_metrics"]  # the given one is not touched
    assert set(with_state(state, {"x": 1}, {})) == {"state_dict", "meta"}


def test_what_no_weights_do_is_refused_and_leaves_no_file(model: Any, tmp_path: Path) -> None:
    mean = {"kind": "mean", "space": "activation"}
    wrong = [
        (variants_of(model, "layer", "layer")[0], "a bypassed layer does"),
        (variants_of(model, "head", "self_attn", mean)[0], "activation mean of a head does"),
        (variants_of(model, "component", "self_attn", ON_ACTIVATIONS)[0], "activation zero of a component"),
    ]
    for variant, what in wrong:
        with pytest.raises(PlanError, match=f"cannot be written as weights: .* {what}"):
            export(variant, model, tmp_path / "x.pth")
    head = variants_of(model, "head", "self_attn")[0]
    with pytest.raises(UnknownComponentError):
        export(head, {"state_dict": {"other.weight": torch.ones(2)}}, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match="its folder does not exist"):
        export(head, model, tmp_path / "none" / "x.pth")
    assert not list(tmp_path.iterdir())


def test_the_source_is_left_as_it_was(model: Any, tmp_path: Path) -> None:
    save_checkpoint({"state_dict": model.state_dict()}, tmp_path / "whole.pth")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    export(variants_of(model, "head", "self_attn")[0], model, tmp_path / "x.pth")
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())


def test_a_state_without_a_model(model: Any, tmp_path: Path) -> None:
    """Tensors, arrays and a safetensors file: the same values as in the live model."""
    pytest.importorskip("safetensors")
    image = torch.randn(2, 5, 8, dtype=torch.float64)
    kinds = ["zero", "mean", "noise", ON_ACTIVATIONS]
    save_safetensors(model.state_dict(), tmp_path / "model.safetensors")
    for variant in variants_of(model, "head", "self_attn", *kinds)[::5]:
        with torch.no_grad(), ablated(model, variant) as report:
            expected = model(image)
        state, change = apply(model.state_dict(), variant)
        torch.testing.assert_close(torch.func.functional_call(model, state, image), expected)
        assert change.masked > 0
        assert variant.space == "activation" or change.masked == report.masked
        arrays = {name: value.numpy() for name, value in model.state_dict().items()}
        for other, _ in (
            plain_apply(arrays, variant),
            apply(arrays, variant),
            apply(load_safetensors(tmp_path / "model.safetensors"), variant),
        ):
            assert all((torch.as_tensor(other[name]) == state[name]).all() for name in state)
    with pytest.raises(PlanError, match="cannot be written as weights"):
        apply(model.state_dict(), variants_of(model, "layer", "layer")[0])
