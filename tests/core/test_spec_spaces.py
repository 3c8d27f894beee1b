"""Studies on weights, activations and structure: what may be written, what is refused, and what is planned."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from dissect_core import (
    ActivationSite,
    Anatomy,
    Block,
    Mean,
    MeanActivation,
    NoiseActivation,
    PlanError,
    SpecError,
    UnknownComponentError,
    Zero,
)
from dissect_core.anatomy import query_group
from dissect_core.plan import plan
from dissect_core.spec import StudySpec, load_spec, spec_schema, spec_to_yaml
from plans import HEADS_OF_ALL, QUERIES, anatomy, planned

HEADS = {"unit": "head", "components": "self_attn"}
MEAN = {"kind": "mean", "space": "activation"}


def study(
    target: dict[str, Any], interventions: Any = None, select: dict[str, Any] | None = None, **more: Any
) -> StudySpec:
    ablation = {"name": "a", "target": target, "select": select or {"by": "each"}, **more}
    if interventions is not None:
        ablation["interventions"] = interventions
    return load_spec({"name": "s", "ablations": [ablation]})


def test_kinds_of_one_name_are_told_apart_by_their_space() -> None:
    spec = study(HEADS, ["zero", {"kind": "mean", "space": "weight"}, {**MEAN, "over": "position"}, "noise"])
    given = spec.ablations[0].interventions
    assert given[:3] == (Zero(), Mean(), MeanActivation(over="position"))
    assert load_spec(json.loads(spec.model_dump_json())) == spec
    yaml = pytest.importorskip("yaml")
    assert load_spec(yaml.safe_load(spec_to_yaml(spec))) == spec
    assert StudySpec.model_validate(spec) is spec
    assert study(HEADS, NoiseActivation()).ablations[0].interventions == (NoiseActivation(),)


@pytest.mark.parametrize(
    ("interventions", "message"),
    [
        ({**MEAN, "over": "image"}, r"interventions\.over: must be 'position' or 'global'"),
        ({"kind": "mean", "over": "position"}, r"interventions\.over: must be 'component'"),
        (
            {"kind": "zero", "space": "x"},
            r"interventions: `space` must be one of 'weight', 'activation'",
        ),
        (
            ["zero", {"kind": "shuffle", "space": "activation"}],
            r"interventions\[1\]: `kind` must be one of 'zero', .*got 'shuffle'",
        ),
        ({**MEAN, "value": 1}, r"interventions\.value: no such field here"),
        ({**MEAN, "ovr": 1}, r"interventions\.ovr: no such field; did you mean 'over'"),
        ({"space": "activation"}, r"interventions: must say `kind`"),
    ],
)
def test_messages_name_the_place(interventions: Any, message: str) -> None:
    with pytest.raises(SpecError, match=r"ablations\[0\]\." + message):
        study(HEADS, interventions)


@pytest.mark.parametrize(
    ("target", "more", "message"),
    [
        (
            {"unit": "row", "components": "*"},
            {},
            "in activation space are for component, head, .* 'row' has weights",
        ),
        ({"unit": "level", "components": "*"}, {}, "the unit 'level' has weights only"),
        (
            {"unit": "layer", "components": "*"},
            {},
            "'layer' changes the model's structure and no values: leave `interventions` out",
        ),
        ({**HEADS, "part": "query"}, {}, r"`target\.part` must be output"),
        (HEADS, {"control": {"match": "parameters"}}, r"`control\.match: parameters` draws single weights"),
        (
            {"unit": "query", "components": "decoder.layer"},
            {"select": {"by": "top", "score": "weight_norm", "counts": 1}},
            "needs units with weights, not activations of queries",
        ),
    ],
)
def test_what_has_no_activation_is_refused(
    target: dict[str, Any], more: dict[str, Any], message: str
) -> None:
    with pytest.raises(SpecError, match=message):
        study(target, MEAN, **more)


def test_queries_are_ablated_in_one_space_at_a_time() -> None:
    with pytest.raises(SpecError, match="make one ablation for each `space`"):
        study({"unit": "query", "components": "decoder.layer"}, ["zero", MEAN])


@pytest.mark.parametrize("more", [{"select": {"by": "all"}}, {"control": "random"}])
def test_a_readout_reads_one_layer_after_the_other(more: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match="the unit 'readout' reads one layer after the other"):
        study({"unit": "readout", "components": "encoder.layer"}, **more)


def test_editors_accept_what_we_accept() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft202012Validator(spec_schema())
    for interventions in ([{"kind": "zero"}], [{"kind": "mean"}], [MEAN], [{"kind": "zero"}, MEAN]):
        content = json.loads(study(HEADS, interventions).model_dump_json())
        validator.validate(content)
        content["ablations"][0]["interventions"] = interventions
        validator.validate(content)
    content["ablations"][0]["interventions"] = [{"kind": "shuffle", "space": "activation"}]
    assert not validator.is_valid(content)


def test_variants_say_where_they_act() -> None:
    variants = plan(study(HEADS, ["zero", MEAN]), anatomy())
    weights, activations = variants[1], variants[2]
    assert (weights.id, activations.id) == (
        "a/head/each/encoder.layers.0.self_attn:0/zero",
        "a/head/each/encoder.layers.0.self_attn:0/activation-mean",
    )
    assert (weights.space, activations.space) == ("weight", "activation")
    assert (bool(weights.edits()), weights.sites()) == (True, ())
    assert activations.edits() == ()
    assert activations.sites() == (ActivationSite("encoder.layers.0.self_attn", "head", (0,)),)
    rows = variants.rows
    assert [row.intervention for row in rows[1:3]] == ["zero", "activation mean"]
    assert rows[1].n_parameters == rows[2].n_parameters


def test_a_draw_over_several_blocks_has_a_site_for_each() -> None:
    select = {"by": "count", "counts": 7}
    (variant,) = planned(HEADS_OF_ALL, select, interventions=MEAN)
    sites = variant.sites()
    assert {site.path: site.indices for site in sites} == variant.removed()
    assert sum(len(site.indices or ()) for site in sites) == 7


def test_samples_of_other_images_are_never_duplicates() -> None:
    select = {"by": "fraction", "fractions": 1}
    kinds = [{"kind": "resample", "space": "activation"}] * 2 + [MEAN] * 2
    variants = planned(HEADS_OF_ALL, select, interventions=kinds)
    assert len(variants) == 3
    assert variants[2].merged == ("a/head/1/0/activation-mean-3",)


def test_queries_enter_each_layer() -> None:
    target = {"unit": "query", "components": "decoder.layer", "pool": False}
    whole = anatomy()
    blocks = tuple(
        replace(block, roles=tuple(role.replace("encoder", "decoder") for role in block.roles))
        for block in whole.blocks
    )
    with pytest.raises(PlanError, match=r"'encoder.layers.0' is no layer of a decoder"):
        plan(study({**target, "components": "encoder.layer"}, MEAN), whole)
    found = plan(study(target, MEAN), replace(whole, blocks=blocks))
    variants = found[1:]
    assert len(variants) == 3 * QUERIES
    assert variants[QUERIES].sites() == (ActivationSite("encoder.layers.1", "query", (0,)),)
    assert {row.n_parameters for row in found.rows} == {0}


def test_queries_without_a_number_or_a_layer_are_refused() -> None:
    base = anatomy()
    target = {"unit": "query", "components": "query_embedding"}
    with pytest.raises(
        PlanError, match=r"has no call that could be stepped into.*Write `components: decoder\.layer`"
    ):
        plan(study(target, MEAN), base)
    other = query_group("more", [("more.weight", (7, 16))])
    two = Anatomy(base.components, base.blocks, base.attention, (*base.groups, other))
    with pytest.raises(PlanError, match=r"one set of queries, got sets of \[7, 10\]"):
        plan(study({**target, "components": "encoder.layer"}, MEAN), two)
    with pytest.raises(UnknownComponentError):
        plan(study({**target, "components": "decoder.layer"}, MEAN), base)


def test_activations_are_of_modules() -> None:
    with pytest.raises(PlanError, match=r"'query_embedding\.weight' is a parameter, which has no activation"):
        plan(study({"unit": "component", "components": "query_embedding.*"}, MEAN), anatomy())
    (variant,) = plan(study({"unit": "component", "components": "encoder.layers.1.ffn"}, MEAN), anatomy())[1:]
    assert variant.sites() == (ActivationSite("encoder.layers.1.ffn", "component"),)


def test_a_readout_is_of_one_stack() -> None:
    base = anatomy()
    target = {"unit": "readout", "components": "decoder.layer"}
    decoder = [Block(f"decoder.layers.{i}", "layer", ("decoder.layer", "layer"), i) for i in range(3)]
    one = replace(base, blocks=(*base.blocks, *decoder))
    whole, *variants = plan(study(target), one)
    assert whole.merged == ("a/readout/each/decoder.layers.2",)
    assert [(v.readout(), v.n_units, v.space) for v in variants] == [
        ("decoder.layers.0", 2, "structure"),
        ("decoder.layers.1", 1, "structure"),
    ]
    assert [v.edits() + v.sites() + v.bypassed() for v in variants] == [(), ()]
    two = replace(one, blocks=(*one.blocks, replace(decoder[0], path="other.0")))
    with pytest.raises(PlanError, match=r"must select layers of one stack .* decoder\.layers, other"):
        plan(study(target), two)
