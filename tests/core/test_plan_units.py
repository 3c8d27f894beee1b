"""Which units a plan's variants remove, against brute force."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from dissect_core import PlanError, head_masks
from dissect_core.edits import Zero
from dissect_core.plan import plan, pool_of, scores_needed, weight_norms
from dissect_core.spec import load_spec
from plans import HEADS, HEADS_OF_ALL, HIDDEN, N_LAYERS, QUERIES, ROWS, WIDTH, anatomy, planned


def test_heads_are_those_of_their_blocks() -> None:
    (variant,) = planned(HEADS_OF_ALL, {"by": "indices", "indices": [0, 5]})
    layouts = anatomy().attention
    expected = head_masks(layouts["encoder.layers.0.self_attn"], 0) | head_masks(
        layouts["encoder.layers.1.self_attn"], 1
    )
    assert {e.parameter: e.mask.tolist() for e in variant.edits()} == {
        k: m.tolist() for k, m in expected.items()
    }
    assert variant.removed() == {"encoder.layers.0.self_attn": (0,), "encoder.layers.1.self_attn": (1,)}
    assert variant.n_parameters == sum(int(m.sum()) for m in expected.values())
    assert (variant.dose, variant.n_units) == (2 / 12, 2)


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=5),
    st.integers(1, 4),
    st.sampled_from(["floor", "nearest"]),
)
def test_a_dose_has_exactly_its_units(fractions: list[float], repeats: int, rounding: str) -> None:
    select = {"by": "fraction", "fractions": fractions, "repeats": repeats, "rounding": rounding}
    rule = (lambda f: int(QUERIES * f)) if rounding == "floor" else (lambda f: round(QUERIES * f))
    wanted = {rule(f) for f in fractions} - {0}
    variants = planned(ROWS, select)
    assert {v.n_units for v in variants} == wanted
    for variant in variants:
        assert len(set(variant.units().tolist())) == variant.n_units
        (edit,) = variant.edits()
        assert edit.mask.any(axis=1).sum() == variant.n_units
        assert edit.mask.sum() == variant.n_parameters == variant.n_units * WIDTH


@given(st.integers(0, 2**70), st.integers(1, 3))
def test_masks_nest_as_the_dose_grows(seed: int, repeats: int) -> None:
    select = {"by": "fraction", "fractions": [0.1, 0.3, 0.6, 0.9], "repeats": repeats}
    by_repeat: dict[int, list[set[int]]] = {}
    for variant in planned(ROWS, select, seed=seed):
        by_repeat.setdefault(variant.repeat, []).append(set(variant.units().tolist()))
    for sets in by_repeat.values():
        assert all(small < large for small, large in combinations(sets, 2))


def test_without_nesting_doses_are_drawn_apart() -> None:
    select = {"by": "count", "counts": [5, 6], "repeats": 8, "nested": False}
    sets: dict[int, list[set[int]]] = {}
    for variant in planned(ROWS, select):
        sets.setdefault(variant.n_units, []).append(set(variant.units().tolist()))
    assert not all(small < large for small, large in zip(sets[5], sets[6], strict=True))


def test_each_only_pairs_all() -> None:
    n = N_LAYERS * HEADS
    every = set(range(n))
    found = {
        by: [set(v.units().tolist()) for v in planned(HEADS_OF_ALL, {"by": by}) if v.ablation == "a"]
        for by in ("each", "only", "pairs", "all")
    }
    assert found["each"] == [{i} for i in range(n)]
    assert found["only"] == [every - {i} for i in range(n)]
    assert found["pairs"] == [set(pair) for pair in combinations(range(n), 2)]
    assert found["all"] == [every]
    ids = [v.id for v in planned(HEADS_OF_ALL, {"by": "each"})]
    assert ids[5] == "a/head/each/encoder.layers.1.self_attn:1"


@pytest.mark.parametrize(
    ("order", "first"), [("forwards", "encoder.layers.0"), ("backwards", "encoder.layers.2")]
)
def test_cumulative_layers(order: str, first: str) -> None:
    variants = planned({"unit": "layer", "components": "encoder.layer"}, {"by": "cumulative", "order": order})
    assert [len(v.bypassed()) for v in variants] == [1, 2, 3]
    assert variants[0].bypassed() == (first,)
    assert not variants[0].edits()


def test_sublayers_are_attention_and_ffn() -> None:
    variants = planned({"unit": "sublayer", "components": "encoder.layers.1.*"}, {"by": "each"})
    assert [v.bypassed() for v in variants] == [("encoder.layers.1.self_attn",), ("encoder.layers.1.ffn",)]


def test_places_apart() -> None:
    target = {"unit": "neuron", "components": "ffn", "pool": False, "expect": 3}
    with pytest.raises(
        PlanError, match=r"must select 4 components or blocks \(`expect`\), got 3: encoder.layers.0.ffn"
    ):
        planned({**target, "expect": 4}, {"by": "all"})
    variants = planned(target, {"by": "fraction", "fractions": 0.5})
    assert [v.n_units for v in variants] == [HIDDEN // 2] * 3
    assert [list(v.removed()) for v in variants] == [[f"encoder.layers.{i}.ffn"] for i in range(3)]
    assert len({tuple(v.units().tolist()) for v in variants}) == 3, "each place has its own draw"


def test_top_and_bottom_by_score() -> None:
    values = np.random.default_rng(0).random(QUERIES)
    scores = {("weight_norm", "query_embedding"): values}
    target = {"unit": "query", "components": "query_embedding"}
    for by, order in (("top", np.argsort(-values)), ("bottom", np.argsort(values))):
        (variant,) = planned(target, {"by": by, "score": "weight_norm", "counts": 3}, scores=scores)
        assert set(variant.units()) == set(order[:3])
    with pytest.raises(
        PlanError, match="selecting by 'weight_norm' needs a score for each unit of query_embedding"
    ):
        planned(target, {"by": "top", "score": "weight_norm", "counts": 3})


def test_components_with_and_without_biases() -> None:
    target = {"unit": "component", "components": "encoder.layers.0.self_attn"}
    kept, gone = (planned({**target, "bias": bias}, {"by": "all"})[0] for bias in ("keep", "remove"))
    assert {e.parameter for e in gone.edits()} - {e.parameter for e in kept.edits()} == {
        "encoder.layers.0.self_attn.in_proj_bias",
        "encoder.layers.0.self_attn.out_proj.bias",
    }
    assert all(e.mask.all() for e in gone.edits())
    single = planned(
        {"unit": "component", "components": "*.in_proj_weight", "bias": "remove"}, {"by": "each"}
    )
    assert [sorted(e.parameter.rsplit(".", 1)[1] for e in v.edits()) for v in single] == [
        ["in_proj_bias", "in_proj_weight"]
    ] * 3


def test_interventions_make_a_product_of_the_same_units() -> None:
    variants = planned(ROWS, {"by": "count", "counts": 4}, interventions=["zero", "mean", {"kind": "noise"}])
    assert [v.id.rsplit("/", 1)[1] for v in variants] == ["zero", "mean", "noise"]
    assert len({tuple(v.units().tolist()) for v in variants}) == 1


def test_controls_match_in_number() -> None:
    variants = planned(HEADS_OF_ALL, {"by": "indices", "indices": [3, 4]}, control={"repeats": 7})
    controls = [v for v in variants if v.kind == "control"]
    assert len(controls) == 7
    assert {v.n_units for v in controls} == {2}
    assert {v.control_of for v in controls} == {v.id for v in variants if v.kind == "ablation"}

    (head, control) = planned(
        HEADS_OF_ALL, {"by": "indices", "indices": [3]}, control={"match": "parameters"}
    )
    assert sum(int(e.mask.sum()) for e in control.edits()) == head.n_parameters == WIDTH * WIDTH // HEADS
    assert {e.parameter for e in control.edits()} <= {
        f"encoder.layers.{i}.self_attn.out_proj.weight" for i in range(3)
    }

    anywhere = {"match": "parameters", "source": "anywhere", "repeats": 5}
    drawn = planned(HEADS_OF_ALL, {"by": "indices", "indices": [3]}, control=anywhere)[1:]
    assert any("query_embedding.weight" in {e.parameter for e in v.edits()} for v in drawn)
    assert {sum(int(e.mask.sum()) for e in v.edits()) for v in drawn} == {head.n_parameters}


@pytest.mark.parametrize(
    ("target", "places"),
    [
        ({"unit": "neuron", "components": "ffn"}, 3),
        ({"unit": "head", "components": "self_attn", "part": "all"}, 3),
        ({"unit": "column", "components": "query_embedding.weight"}, 1),
        ({"unit": "row", "components": "query_embedding.weight"}, 1),
        ({"unit": "segment", "components": "query_embedding.weight", "segments_per_row": 4}, 1),
        ({"unit": "component", "components": "encoder.self_attn", "bias": "remove"}, 3),
    ],
)
def test_norms_are_those_of_the_masked_weights(target: dict[str, Any], places: int) -> None:
    rng = np.random.default_rng(0)
    arrays = {c.name: rng.normal(size=c.shape) for c in anatomy().components}
    select = {"by": "top", "score": "weight_norm", "counts": 1}
    spec = load_spec({"name": "s", "ablations": [{"name": "a", "target": target, "select": select}]})
    norms = weight_norms(spec, anatomy(), arrays)
    assert len(norms) == places
    pool = pool_of(spec.ablations[0].target, anatomy())
    expected = [
        sum(float((arrays[e.parameter][e.mask] ** 2).sum()) for e in pool.edits([i], Zero())) ** 0.5
        for i in range(pool.n_units)
    ]
    assert np.concatenate([norms["weight_norm", p.path] for p in pool.parts]) == pytest.approx(expected)
    (variant,) = plan(spec, anatomy(), norms)[1:]
    assert variant.units().tolist() == [int(np.argmax(expected))]


def test_norms_need_the_weights() -> None:
    select = {"by": "top", "score": "weight_norm", "counts": 1}
    spec = load_spec({"name": "s", "ablations": [{"name": "a", "target": ROWS, "select": select}]})
    assert scores_needed(spec) == ("weight_norm",)
    with pytest.raises(PlanError, match=r"must hold the parameter 'query_embedding.weight'"):
        weight_norms(spec, anatomy(), {})
