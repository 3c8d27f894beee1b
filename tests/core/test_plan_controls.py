"""Controls are random sets that no variant has, or none where that means nothing; pairs come with their singles."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from dissect_core import Component
from dissect_core.anatomy import Anatomy
from dissect_core.plan import Variant, plan
from dissect_core.spec import StudySpec, load_spec
from plans import HEADS_OF_ALL, ROWS, anatomy, planned

FFN = {"unit": "neuron", "components": "ffn"}
LAYERS = {"unit": "layer", "components": "encoder.layer"}


def study(*ablations: dict[str, Any], seed: int = 0) -> StudySpec:
    named = [{"name": f"a{i}", **ablation} for i, ablation in enumerate(ablations)]
    return load_spec({"name": "s", "seed": seed, "ablations": named})


def removed(variant: Variant) -> frozenset[tuple[str, str, int]]:
    """Units by place, or weights by parameter, by another way than the plan's own."""
    return frozenset(
        (variant.pool.unit, path, unit) for path, units in variant.removed().items() for unit in units
    )


def weights(variant: Variant) -> frozenset[tuple[str, int]]:
    return frozenset(
        (edit.parameter, index) for edit in variant.edits() for index in np.flatnonzero(edit.mask).tolist()
    )


SELECTIONS = [
    {"by": "each"},
    {"by": "only"},
    {"by": "pairs"},
    {"by": "all"},
    {"by": "indices", "indices": [0]},
    {"by": "indices", "indices": [0, 2]},
    {"by": "cumulative", "order": "backwards"},
    {"by": "top", "score": "weight_norm", "counts": [1, 2, 3]},
    {"by": "bottom", "score": "weight_norm", "counts": [1, 2]},
    {"by": "fraction", "fractions": [0.3, 1], "repeats": 2},
    {"by": "count", "counts": [1, 2], "repeats": 2},
]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [HEADS_OF_ALL, LAYERS, ROWS, {"unit": "head", "components": "encoder.layers.1.self_attn"}]
            ),
            st.booleans(),
            st.sampled_from(SELECTIONS),
            st.sampled_from([None, {"repeats": 1}, {"repeats": 4}]),
        ),
        min_size=1,
        max_size=3,
    ),
    st.integers(0, 5),
)
@settings(max_examples=150, deadline=None)
def test_a_control_is_never_a_variants_set(asked: list[Any], seed: int) -> None:
    ablations = [
        {"target": {**target, "pool": pool}, "select": select, "control": control}
        for target, pool, select, control in asked
        if not (target["unit"] == "layer" and (select["by"] in ("top", "bottom") or not pool))
    ]
    if not ablations:
        return
    spec = study(*ablations, seed=seed)
    rng = np.random.default_rng(0)
    scores = {("weight_norm", p): rng.random(10) for p in ("query_embedding.weight",)}
    scores |= {("weight_norm", f"encoder.layers.{i}.self_attn"): rng.random(4) for i in range(3)}
    found = plan(spec, anatomy(), scores)
    ordinary = {removed(v) for v in found if v.kind == "ablation"}
    ids = {v.id for v in found if v.kind == "ablation"}
    controls = [v for v in found if v.kind == "control"]
    assert all(removed(v) not in ordinary for v in controls)
    assert len({(removed(v), v.intervention) for v in controls}) == len(controls), "none twice"
    sizes = {v.id: v.n_units for v in found}
    assert all(v.control_of in ids and v.n_units == sizes[v.control_of] for v in controls)
    assert len({v.id for v in found}) == len(found)
    # Every ablation has its controls, or a sentence that says why not.
    for ablation in spec.ablations:
        if ablation.control is not None:
            own = Counter(v.id.rpartition("/control/")[0] for v in controls if v.ablation == ablation.name)
            whole = bool(own) and all(n == ablation.control.repeats for n in own.values())
            assert whole or any(note.startswith(f"{ablation.name}: ") for note in found.notes)
    # Whatever the controls, the variants are the same.
    without = plan(study(*[{**a, "control": None} for a in ablations], seed=seed), anatomy(), scores)
    assert [v.id for v in without] == [v.id for v in found if v.kind != "control"]
    again = plan(spec, anatomy(), scores)
    assert [(v.id, removed(v)) for v in again] == [(v.id, removed(v)) for v in found]


@pytest.mark.parametrize(
    "select", [{"by": "fraction", "fractions": [0.25, 1], "repeats": 3}, {"by": "count", "counts": 2}]
)
def test_what_is_random_already_has_no_control_and_the_plan_says_so(select: dict[str, Any]) -> None:
    found = plan(study({"target": HEADS_OF_ALL, "select": select, "control": "random"}), anatomy())
    assert {v.kind for v in found} == {"baseline", "ablation"}
    (note,) = found.notes
    assert note == (
        f"a0: no controls, since `select.by: {select['by']}` draws at random already: a control would be of the same "
        "distribution."
    )
    # Random heads against as many random weights is a question; random weights against such is none.
    by_weights = {"match": "parameters"}
    found = plan(
        study({"target": HEADS_OF_ALL, "select": {"by": "count", "counts": 2}, "control": by_weights}),
        anatomy(),
    )
    assert [v.kind for v in found] == ["baseline", "ablation", "control"]
    assert not found.notes
    single = {"unit": "element", "components": "query_embedding.weight"}
    found = plan(
        study({"target": single, "select": {"by": "count", "counts": 2}, "control": by_weights}), anatomy()
    )
    assert "same distribution" in found.notes[0]


@pytest.mark.parametrize("by", ["each", "only", "pairs", "all"])
def test_where_every_set_is_a_variant_nothing_is_left(by: str) -> None:
    found = plan(study({"target": HEADS_OF_ALL, "select": {"by": by}, "control": {"repeats": 2}}), anatomy())
    assert not [v for v in found if v.kind == "control"]
    (note,) = found.notes
    assert note == (
        "a0: no controls, since nothing is left to draw from: every other set of as many units is a variant already, "
        "or there is none."
    )


def test_some_are_left() -> None:
    block = {"unit": "head", "components": "encoder.layers.0.self_attn"}
    one = {"target": block, "select": {"by": "indices", "indices": [0]}, "control": {"repeats": 5}}
    found = plan(study(one), anatomy())
    assert {tuple(v.units().tolist()) for v in found if v.kind == "control"} == {(1,), (2,), (3,)}
    assert found.notes == (
        "a0: fewer than 5 controls for 1 of 1 variants, since no more sets of as many units are left to draw from.",
    )
    # Another ablation's variants are no controls either, in whatever pool.
    other = {"target": HEADS_OF_ALL, "select": {"by": "indices", "indices": [2]}}
    found = plan(study(one, other), anatomy())
    assert {tuple(v.units().tolist()) for v in found if v.kind == "control"} == {(1,), (3,)}
    # Of the last of a growing row, all layers, there is none.
    found = plan(study({"target": LAYERS, "select": {"by": "cumulative"}, "control": "random"}), anatomy())
    assert [v.control_of for v in found if v.kind == "control"] == [
        v.id for v in found if v.kind == "ablation"
    ][:2]
    assert found.notes[0].startswith(
        "a0: no controls for 1 of 3 variants, since nothing is left to draw from"
    )


def test_controls_by_weights_are_no_variants_weights() -> None:
    """In a parameter of six values, where draws meet the variants' sets all the time."""
    small = Anatomy((Component("w", (3, 2), "float32"), Component("v", (2, 2), "float32")))
    rows = {"unit": "row", "components": "w"}
    control = {"match": "parameters", "repeats": 40}
    found = plan(study({"target": rows, "select": {"by": "each"}, "control": control}), small)
    ordinary = {weights(v) for v in found if v.kind == "ablation"}
    drawn = [weights(v) for v in found if v.kind == "control"]
    assert not ordinary & set(drawn)
    assert len(drawn) == len(set(drawn)) == 15 - 3, "all pairs of six values but the rows"
    assert "fewer than 40 controls" in " ".join(found.notes)
    # All of a parameter's weights, drawn from that parameter, are itself.
    whole = {"unit": "component", "components": ["w", "v"], "pool": False}
    found = plan(
        study({"target": whole, "select": {"by": "each"}, "control": {"match": "parameters"}}), small
    )
    assert [v.kind for v in found] == ["baseline", "ablation", "ablation"]
    assert "no controls, since nothing is left" in found.notes[0]


def test_a_control_knows_the_variant_that_stands_for_its_own() -> None:
    first = {"target": HEADS_OF_ALL, "select": {"by": "indices", "indices": [1, 2]}}
    found = plan(study(first, {**first, "control": "random"}), anatomy())
    assert [(v.id, v.control_of) for v in found[1:]] == [
        ("a0/head/1+2", None),
        ("a1/head/1+2/control/0", "a0/head/1+2"),
    ]


def test_parts_of_one_parameter_are_no_duplicates() -> None:
    """Query, key and value rows lie in one parameter; a block's weights with and without its biases under one path."""
    head = {"by": "indices", "indices": [3]}
    parts = [{**HEADS_OF_ALL, "part": part} for part in ("query", "key", "value", "output", "all")]
    found = plan(study(*({"target": part, "select": head} for part in parts)), anatomy())
    assert [len(v.merged) for v in found] == [0] * 6
    assert len({weights(v) for v in found[1:]}) == 5
    blocks = [{"unit": "component", "components": "ffn", "bias": bias} for bias in ("keep", "remove")]
    found = plan(study(*({"target": block, "select": {"by": "all"}} for block in blocks)), anatomy())
    assert [v.id for v in found[1:]] == ["a0/component/all", "a1/component/all"]


def test_pairs_come_with_their_singles() -> None:
    variants = planned({**HEADS_OF_ALL, "pool": False}, {"by": "pairs"}, interventions=["zero", "mean"])
    by_id = {v.id: v for v in variants}
    pairs = [v for v in variants if "/pairs/" in v.id]
    assert len(pairs) == 2 * 3 * 6
    assert len(variants) == len(pairs) + 2 * 3 * 4
    for pair in pairs:
        singles = [by_id[one] for one in pair.singles]
        assert [v.n_units for v in singles] == [1, 1]
        assert {v.intervention for v in singles} == {pair.intervention}
        assert removed(singles[0]) | removed(singles[1]) == removed(pair)
        assert {v.n_parameters for v in singles} == {pair.n_parameters // 2}
    assert (
        by_id["a/encoder.layers.1.self_attn/head/each/encoder.layers.1.self_attn:2/mean"].ablation
        == "a: singles"
    )


def test_singles_of_the_same_study_serve_its_pairs() -> None:
    pairs = {"target": {**HEADS_OF_ALL, "pool": False}, "select": {"by": "pairs"}}
    singles = {"target": HEADS_OF_ALL, "select": {"by": "each"}}
    for order in ((singles, pairs), (pairs, singles)):
        found = plan(study(*order), anatomy())
        assert Counter(v.n_units for v in found) == {0: 1, 1: 12, 2: 18}
        assert not any("singles" in v.ablation for v in found)
        ids = {v.id for v in found if v.n_units == 1}
        assert all(set(v.singles) <= ids for v in found if v.n_units == 2)
    # Those of another part of the heads do not serve.
    other = {"target": {**HEADS_OF_ALL, "part": "value"}, "select": {"by": "each"}}
    assert Counter(v.n_units for v in plan(study(other, pairs), anatomy())) == {0: 1, 1: 24, 2: 18}


def test_names_of_pairs_are_those_of_all_combinations() -> None:
    found = [v for v in planned(HEADS_OF_ALL, {"by": "pairs"}) if v.n_units == 2]
    assert [tuple(v.units().tolist()) for v in found] == list(combinations(range(12), 2))


def test_a_pair_that_another_ablation_asks_for_first_keeps_its_singles() -> None:
    given_pair = {"target": HEADS_OF_ALL, "select": {"by": "indices", "indices": [0, 1]}}
    pairs = {"target": HEADS_OF_ALL, "select": {"by": "pairs"}}
    found = plan(study(given_pair, pairs), anatomy())
    (kept,) = [v for v in found if v.ablation == "a0"]
    assert set(kept.singles) <= {v.id for v in found}
    assert [len(v.singles) for v in found if v.singles] == [2] * len(list(combinations(range(12), 2)))
