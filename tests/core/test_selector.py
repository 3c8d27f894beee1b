"""The one way in which patterns choose parts of a model."""

from __future__ import annotations

from typing import Any

import pytest
from tests.plans import N_LAYERS, anatomy

from dissect_core import Component, SelectionError, UnknownComponentError, select_components
from dissect_core.anatomy import Selector
from dissect_core.plan import plan, pool_of
from dissect_core.spec import load_spec


def paths(target: dict[str, Any]) -> list[str]:
    ablation = {"name": "a", "target": target, "select": {"by": "all"}}
    spec = load_spec({"name": "s", "ablations": [ablation]})
    return [part.path for part in pool_of(spec.ablations[0].target, anatomy()).parts]


LAYERS = [f"encoder.layers.{i}" for i in range(N_LAYERS)]
ATTENTION = [f"{layer}.self_attn" for layer in LAYERS]


@pytest.mark.parametrize(
    ("unit", "pattern", "expected"),
    [
        # An exact name, a role, a block around it and a glob mean the same for every unit.
        ("head", "encoder.layers.1.self_attn", ATTENTION[1:2]),
        ("head", "encoder.self_attn", ATTENTION),
        ("head", "encoder.layers.1", ATTENTION[1:2]),
        ("head", "encoder.layers.[12].*", ATTENTION[1:]),
        ("neuron", "encoder.layer", [f"{layer}.ffn" for layer in LAYERS]),
        ("neuron", "ffn", [f"{layer}.ffn" for layer in LAYERS]),
        (
            "row",
            "encoder.layers.0.ffn",
            [f"encoder.layers.0.ffn.{n}" for n in ("0.weight", "0.bias", "1.weight")],
        ),
        ("column", "encoder.layers.0.ffn", [f"encoder.layers.0.ffn.{n}" for n in ("0.weight", "1.weight")]),
        ("element", "query_embedding", ["query_embedding.weight"]),
        ("component", "encoder.layers.2.self_attn", ATTENTION[2:]),
        ("component", "encoder.layers.2.ffn.0.bias", ["encoder.layers.2.ffn.0.bias"]),
        ("layer", "encoder.layer", LAYERS),
        ("sublayer", "encoder.layers.0.*", [ATTENTION[0], "encoder.layers.0.ffn"]),
    ],
)
def test_names_roles_blocks_and_globs_choose_alike(unit: str, pattern: str, expected: list[str]) -> None:
    assert paths({"unit": unit, "components": pattern}) == expected


@pytest.mark.parametrize(
    ("unit", "pattern", "message"),
    [
        (
            "head",
            "encoder.self_atn",
            "No attention block matches .* Near matches: 'encoder.self_attn'",
        ),
        ("neuron", "encoder.fnn", "No place with neurons matches 'encoder.fnn'. Near matches: 'encoder.ffn'"),
        ("query", "query_embeding", "No place with queries matches .* Near matches: 'query_embedding'"),
        ("row", "query_embedding.wieght", "No component .* Near matches: 'query_embedding.weight'"),
        (
            "component",
            "encoder.layers.0.self_atn",
            "No component .* Near matches: 'encoder.layers.0.self_attn",
        ),
        ("layer", "encoder.layers.7", "No layer matches .* Near matches: 'encoder.layer"),
        ("sublayer", "encoder.fnn", "No attention or ffn matches .* Near matches: 'encoder.ffn'"),
    ],
)
def test_what_is_not_there_gives_near_matches_for_every_unit(unit: str, pattern: str, message: str) -> None:
    with pytest.raises(UnknownComponentError, match=message):
        paths({"unit": unit, "components": pattern})


def test_an_error_names_the_ablation() -> None:
    ablation = {"name": "my heads", "target": {"unit": "head", "components": "x"}, "select": {"by": "all"}}
    with pytest.raises(UnknownComponentError, match="In the ablation 'my heads': No attention block"):
        plan(load_spec({"name": "s", "ablations": [ablation]}), anatomy())


def test_a_name_is_no_glob_and_a_word_no_name() -> None:
    names = ("a[0]", "a0", "b")
    assert Selector(names).select("a[0]") == ("a[0]",)
    assert Selector(names).select("a[01]") == ("a0",)
    words = Selector(names, lambda word: names[1:] if word == "both" else ())
    assert words.select(["b", "both"]) == ("a0", "b")
    assert words.named("a*") == frozenset()


def test_what_a_word_stands_for_can_be_narrowed_and_what_is_named_cannot() -> None:
    selector = Selector(("a", "ab", "c"), lambda word: ("a", "ab") if word == "both" else ())
    assert selector.select("both", fits=lambda name: name != "a") == ("ab",)
    assert selector.select("a", fits=lambda name: name != "a") == ("a",)
    assert selector.select("*", fits=lambda name: False) == ("a", "ab", "c")


def test_aliases_choose_what_they_are_another_name_of() -> None:
    tied = (
        Component("in.weight", (2,), "float32", aliases=("out.weight",)),
        Component("bias", (2,), "float32"),
    )
    assert select_components(tied, "out.weight") == select_components(tied, "out.*") == tied[:1]
    with pytest.raises(UnknownComponentError, match=r"Near matches: 'out\.weight'"):
        select_components(tied, "out.wieght")


def test_no_pattern_is_no_selection() -> None:
    with pytest.raises(SelectionError, match="at least one name or glob"):
        Selector(("a",)).select([])
