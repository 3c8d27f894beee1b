"""Planned variants on live models: each does what the same done by hand does, and undoes it."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
nn = torch.nn

from dissect_core import (  # noqa: E402
    ActivationSite,
    InterventionError,
    MeanActivation,
    PlanError,
    ResampleActivation,
    UnknownComponentError,
)
from dissect_core.plan import plan  # noqa: E402
from dissect_core.spec import load_spec  # noqa: E402
from dissect_core.torch import (  # noqa: E402
    ablated,
    anatomy_of,
    bypassed,
    edit_state,
    edited,
    gather_reference,
    intervened,
    reference_sites,
)

CLOSE = {"rtol": 1e-12, "atol": 1e-12}
IMAGES = [
    torch.randn(2, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(i)) for i in range(4)
]


class Decoder(nn.TransformerDecoder):
    """Torch's decoder, which hands on the results of all its layers, as DETR's does."""

    def forward(self, tgt: Any, memory: Any) -> Any:  # type: ignore[override]
        found = []
        for layer in self.layers:
            tgt = layer(tgt, memory)
            found.append(tgt)
        return torch.stack(found)


class Detector(nn.Module):
    """A detection transformer in plain torch."""

    def __init__(self) -> None:
        super().__init__()
        options = {"dim_feedforward": 12, "dropout": 0.0, "activation": "gelu", "batch_first": True}
        self.backbone = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU())
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, **options), 2)
        self.decoder = Decoder(nn.TransformerDecoderLayer(8, 2, **options), 3)
        self.query_embed = nn.Embedding(5, 8)
        self.class_embed = nn.ModuleList([nn.Linear(8, 4) for _ in range(3)])

    def forward(self, images: Any) -> Any:
        memory = self.encoder(self.backbone(images).flatten(2).mT)
        queries = self.query_embed.weight.expand(len(images), -1, -1)
        states = self.decoder(queries, memory)
        return self.class_embed[len(states) - 1](states[-1])


@pytest.fixture(autouse=True, scope="module")
def exact() -> Any:
    """Torch's fused layers differ from its plain ones in the last bits."""
    enabled = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    yield
    torch.backends.mha.set_fastpath_enabled(enabled)


@pytest.fixture(scope="module")
def model() -> Any:
    torch.manual_seed(0)
    model = Detector().double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.4)
    return model


@pytest.fixture(scope="module")
def anatomy(model: Any) -> Any:
    return anatomy_of(model)


def variants_of(anatomy: Any, target: dict[str, Any], by: str = "each", **more: Any) -> list[Any]:
    ablation = {"name": "a", "target": target, "select": {"by": by}, **more}
    return plan(load_spec({"name": "s", "ablations": [ablation]}), anatomy)


def run(model: Any, images: Any = IMAGES[0]) -> Any:
    with torch.no_grad():
        return model(images)


ACTIVATION = {
    "head": ("encoder.self_attn", 4),
    "neuron": ("ffn", 60),
    "channel": ("conv", 8),
    "component": (["encoder.self_attn", "conv"], 3),
}


@pytest.mark.parametrize("unit", ["head", "neuron", "channel"])
def test_zero_in_both_spaces_is_one(model: Any, anatomy: Any, unit: str) -> None:
    """Also as edits: a variant on activations that weights can express is written as these."""
    both = [{"kind": "zero"}, {"kind": "zero", "space": "activation"}]
    _, *variants = variants_of(anatomy, {"unit": unit, "components": ACTIVATION[unit][0]}, interventions=both)
    assert len(variants) == 2 * ACTIVATION[unit][1]
    intact = run(model)
    for weights, activations in zip(variants[::2], variants[1::2], strict=True):
        assert activations.id == f"{weights.id.removesuffix('zero')}activation-zero"
        assert weights.units().tolist() == activations.units().tolist()
        with ablated(model, weights) as report:
            expected = run(model)
        assert report.changed > 0
        with ablated(model, activations) as report:
            torch.testing.assert_close(run(model), expected, **CLOSE)
        assert report.changed > 0
        with edited(model, activations.as_edits()):
            assert run(model).equal(expected)
    assert run(model).equal(intact)


@pytest.mark.parametrize("unit", ACTIVATION)
@pytest.mark.parametrize("kind", ["mean", "resample", "noise"])
def test_activations_are_replaced_as_by_hand(model: Any, anatomy: Any, unit: str, kind: str) -> None:
    target = {"unit": unit, "components": ACTIVATION[unit][0]}
    variants = variants_of(anatomy, target, interventions={"kind": kind, "space": "activation"})
    sites = reference_sites(variants)
    reference = gather_reference(model, IMAGES, run, sites)
    assert reference.n_images == 8
    intact = run(model)
    for variant in variants[1::3]:
        (site,) = variant.sites()
        assert site.unit == unit
        with ablated(model, variant, reference=reference) as report:
            given = run(model)
        assert report.changed > 0
        assert not given.equal(intact)
        with intervened(model, site, variant.intervention, reference, seed=0, variant=variant.id):
            assert run(model).equal(given)
        with pytest.raises(InterventionError, match="`reference` must be given"), ablated(model, variant):
            pass
        with pytest.raises(PlanError, match=r"cannot be written as weights.*Apply it to the live model"):
            variant.as_edits()
    assert run(model).equal(intact)


def test_queries_enter_decoder_layers(model: Any, anatomy: Any) -> None:
    target = {"unit": "query", "components": "decoder.layer", "pool": False}
    zero = {"kind": "zero", "space": "activation"}
    _, *variants = variants_of(anatomy, target, interventions=zero)
    assert len(variants) == 3 * 5
    for variant in variants[::4]:
        ((path, (query,)),) = variant.removed().items()
        layer = model.get_submodule(path)
        handle = layer.register_forward_pre_hook(
            lambda _module, args, query=query: (args[0].index_fill(1, torch.tensor(query), 0), *args[1:])
        )
        expected = run(model)
        handle.remove()
        with ablated(model, variant):
            torch.testing.assert_close(run(model), expected, **CLOSE)
        assert not torch.allclose(expected, run(model), **CLOSE)


def test_layers_sublayers_and_edits_of_these(model: Any, anatomy: Any) -> None:
    for unit, components in (("layer", "layer"), ("sublayer", ["self_attn", "cross_attn", "ffn"])):
        _, *variants = variants_of(anatomy, {"unit": unit, "components": components})
        assert len(variants) == {"layer": 5, "sublayer": 13}[unit]
        for variant in variants:
            (path,) = variant.bypassed()
            with bypassed(model, path, unit):
                expected = run(model)
            with ablated(model, variant) as report:
                assert run(model).equal(expected)
            assert report.paths == (path,)
            assert report.masked == variant.n_parameters > 0
            if unit == "sublayer":
                state, change = edit_state(model.state_dict(), variant.as_edits())
                torch.testing.assert_close(
                    torch.func.functional_call(model, state, IMAGES[0]), expected, **CLOSE
                )
                assert change.changed
            else:
                with pytest.raises(PlanError, match="cannot be written as weights"):
                    variant.as_edits()


def test_each_decoder_layer_is_read_with_its_own_branch(model: Any, anatomy: Any) -> None:
    whole, *variants = variants_of(anatomy, {"unit": "readout", "components": "decoder.layer"})
    assert whole.merged == ("a/readout/each/decoder.layers.2",)
    assert [v.readout() for v in variants] == ["decoder.layers.0", "decoder.layers.1"]
    assert [v.n_units for v in variants] == [2, 1]
    with torch.no_grad():
        memory = model.encoder(model.backbone(IMAGES[0]).flatten(2).mT)
        queries = model.query_embed.weight.expand(2, -1, -1)
        for i, variant in enumerate(variants):
            queries = model.decoder.layers[i](queries, memory)
            with ablated(model, variant) as report:
                torch.testing.assert_close(run(model), model.class_embed[i](queries), **CLOSE)
            assert not report.is_no_op
            assert report.masked == (2 - i) * sum(p.numel() for p in model.decoder.layers[0].parameters())


def test_a_decoder_that_returns_its_last_result_alone_is_read_out() -> None:
    options = {"dim_feedforward": 12, "batch_first": True}
    plain = nn.Transformer(8, 2, 1, 3, **options).eval()
    variant = variants_of(anatomy_of(plain), {"unit": "readout", "components": "decoder.layer"})[1]
    tokens = torch.randn(1, 4, 8)
    with ablated(plain, variant), torch.no_grad():
        found = plain(tokens, tokens)
    kept = plain.decoder.layers
    plain.decoder.layers = kept[: int(str(variant.readout())[-1]) + 1]
    expected = plain(tokens, tokens)
    plain.decoder.layers = kept
    torch.testing.assert_close(found, expected)
    with pytest.raises(InterventionError, match="never ran inside the block"), ablated(plain, variant):
        pass


def test_the_baseline_changes_nothing(model: Any, anatomy: Any) -> None:
    baseline = variants_of(anatomy, {"unit": "head", "components": "self_attn"})[0]
    intact = run(model)
    with ablated(model, baseline) as report:
        assert run(model).equal(intact)
    assert (report.masked, report.is_no_op) == (0, True)


def test_variants_nest_and_are_undone_after_an_error(model: Any, anatomy: Any) -> None:
    head = variants_of(anatomy, {"unit": "head", "components": "encoder.self_attn"})[1]
    zero = {"kind": "zero", "space": "activation"}
    neuron = variants_of(anatomy, {"unit": "neuron", "components": "decoder.ffn"}, interventions=zero)[3]
    layer = variants_of(anatomy, {"unit": "layer", "components": "decoder.layer"})[2]
    intact = run(model)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    with ablated(model, layer):
        outer = run(model)
        with pytest.raises(RuntimeError, match="stop"), ablated(model, head), ablated(model, neuron):
            assert not run(model).equal(outer)
            raise RuntimeError("stop")
        assert run(model).equal(outer)
    assert run(model).equal(intact)
    assert all(value.equal(state[name]) for name, value in model.state_dict().items())


def test_what_a_variant_brings_is_not_given_twice(model: Any, anatomy: Any) -> None:
    variant = variants_of(anatomy, {"unit": "head", "components": "self_attn"})[1]
    with pytest.raises(InterventionError, match=f"{variant.id!r} brings its own intervention, seed and id"):
        ablated(model, variant, seed=3)  # type: ignore[call-overload]


def test_another_models_variant_is_refused(anatomy: Any) -> None:
    variant = variants_of(anatomy, {"unit": "head", "components": "encoder.self_attn"})[1]
    with pytest.raises(UnknownComponentError), ablated(nn.Linear(2, 2), variant):
        pass


def test_one_pass_serves_all_variants(model: Any, anatomy: Any) -> None:
    spec = {
        "name": "s",
        "ablations": [
            {
                "name": unit,
                "target": {"unit": unit, "components": components},
                "select": {"by": "each"},
                "interventions": [
                    {"kind": "zero"},
                    {"kind": "mean", "space": "activation"},
                    {"kind": "resample", "space": "activation"},
                ],
            }
            for unit, (components, _) in ACTIVATION.items()
        ],
    }
    variants = plan(load_spec(spec), anatomy)
    sites = reference_sites(variants)
    assert len(sites) == len({site.key for site in sites}) == 2 + 5 + 1 + 3
    assert all(site.indices is None for site in sites)
    passes = []
    gather_reference(model, IMAGES, lambda model, images: passes.append(run(model, images)), sites)
    assert len(passes) == len(IMAGES)
    assert reference_sites([v for v in variants if v.space == "weight"]) == ()
    assert isinstance(variants[2].intervention, MeanActivation)
    assert isinstance(variants[3].intervention, ResampleActivation)
    assert ActivationSite("encoder.layers.0.self_attn", "head") in sites
