"""Plans as lists: names, duplicates, guards, and that nothing depends on the order."""

from __future__ import annotations

import hashlib
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from dissect_core import PlanError, UnknownComponentError
from dissect_core.plan import n_variants, plan
from dissect_core.spec import load_spec
from plans import HEADS_OF_ALL, ROWS, anatomy, planned


def test_duplicates_are_merged_and_nothing_is_the_baseline() -> None:
    spec = load_spec(
        {
            "name": "s",
            "ablations": [
                {
                    "name": "a",
                    "target": ROWS,
                    "select": {"by": "fraction", "fractions": [0, 0.05, 0.5, 0.55, 1], "repeats": 2},
                },
                {"name": "b", "target": ROWS, "select": {"by": "all"}},
            ],
        }
    )
    variants = plan(spec, anatomy())
    assert [v.id for v in variants] == ["baseline", "a/row/0.5/0", "a/row/0.5/1", "a/row/1/0"]
    assert variants[0].merged == ("a/row/0/0", "a/row/0.05/0")
    assert variants[1].merged == ("a/row/0.55/0",)
    assert variants[3].merged == ("b/row/all",)


def test_noise_is_never_a_duplicate() -> None:
    select = {"by": "fraction", "fractions": [1], "repeats": 1}
    variants = planned(ROWS, select, interventions=[{"kind": "noise"}, {"kind": "noise", "snr_db": 3}])
    assert [v.id for v in variants] == ["a/row/1/0/noise-0", "a/row/1/0/noise-1"]


def test_ids_and_draws_depend_on_nothing_else() -> None:
    first = {"name": "a", "target": ROWS, "select": {"by": "count", "counts": 3, "repeats": 2}}
    second = {"name": "b", "target": HEADS_OF_ALL, "select": {"by": "count", "counts": 3}}
    alone = plan(load_spec({"name": "s", "ablations": [first]}), anatomy())[1:]
    among = {v.id: v for v in plan(load_spec({"name": "t", "ablations": [second, first]}), anatomy())}
    assert all(among[v.id].units().tolist() == v.units().tolist() for v in alone)


def test_golden_masks() -> None:
    """The same spec gives the same masks on every machine, for ever."""
    select = {"by": "fraction", "fractions": [0.2, 0.5], "repeats": 3}
    digest = hashlib.sha256()
    for variant in planned(HEADS_OF_ALL, select, seed=7):
        digest.update(variant.id.encode())
        for edit in variant.edits():
            digest.update(edit.parameter.encode() + np.packbits(edit.mask).tobytes())
    assert digest.hexdigest() == GOLDEN


GOLDEN = "92f4538dbd9d062672b8087de44d487ee261baa19ce3cdf5a024f8bdc5fad2ce"


def test_too_many_variants_are_counted_and_refused() -> None:
    target = {"unit": "element", "components": "*"}
    n = sum(c.n_parameters for c in anatomy().components)
    with pytest.raises(
        PlanError, match=f"asks for {n * (n + 1) // 2:,} variants .* more than `max_variants`, 10,000"
    ):
        planned(target, {"by": "pairs"})
    weights = {"match": "parameters"}
    with pytest.raises(PlanError, match=r"asks for 24 variants .*, 23\. Raise it"):
        planned(HEADS_OF_ALL, {"by": "each"}, control=weights, max_variants=23)
    assert len(planned(HEADS_OF_ALL, {"by": "each"}, control=weights, max_variants=24)) == 24


@given(
    st.sampled_from(["each", "only", "pairs", "all", "cumulative", "fraction", "count"]),
    st.sampled_from(["head", "neuron", "row", "component", "layer"]),
    st.booleans(),
    st.integers(0, 2),
)
def test_the_count_is_that_of_the_plan(by: str, unit: str, pool: bool, controls: int) -> None:
    places = {
        "head": "self_attn",
        "neuron": "ffn",
        "row": "query_embedding",
        "component": "encoder.ffn",
        "layer": "encoder.layer",
    }
    select: dict[str, Any] = {"by": by}
    if by == "fraction":
        select |= {"fractions": [0.4, 0.9], "repeats": 3}
    if by == "count":
        select |= {"counts": [1], "repeats": 3}
    ablation = {
        "name": "a",
        "target": {"unit": unit, "components": places[unit], "pool": pool},
        "select": select,
    }
    if controls:
        ablation["control"] = {"repeats": controls}
    spec = load_spec({"name": "s", "max_variants": 10**6, "ablations": [ablation]})
    variants = plan(spec, anatomy())
    total = len(variants) - 1 + sum(len(v.merged) for v in variants)
    assert total <= n_variants(spec.ablations[0], anatomy())
    if not variants[0].merged and not (
        controls and by == "cumulative"
    ):  # the last of these leaves nothing to draw
        assert total == n_variants(spec.ablations[0], anatomy())


@pytest.mark.parametrize(
    ("target", "match"),
    [
        ({"unit": "head", "components": "encoder.self_atn"}, "'encoder.self_atn'. Near matches: 'encoder.self_attn'"),
        ({"unit": "neuron", "components": "query_embedding"}, "No place with neurons matches"),
        ({"unit": "row", "components": "query_embeding.weight"}, "Near matches: 'query_embedding.weight'"),
        ({"unit": "layer", "components": "decoder.layer"}, "No layer matches 'decoder.layer'. Near"),
        ({"unit": "level", "components": "*"}, "There is no place with levels at all"),
    ],
)  # fmt: skip
def test_what_matches_nothing_names_near_matches(target: dict[str, Any], match: str) -> None:
    with pytest.raises(UnknownComponentError, match=match):
        planned(target, {"by": "all"})


@pytest.mark.parametrize(
    "select",
    [{"by": "indices", "indices": [10]}, {"by": "indices", "indices": [1, 1]}, {"by": "count", "counts": 11}],
)
def test_units_that_are_not_there(select: dict[str, Any]) -> None:
    with pytest.raises(PlanError, match=r"must be (distinct and below 10|at most 10)"):
        planned(ROWS, select)


def test_the_table_says_what_is_masked() -> None:
    spec = load_spec(
        {
            "name": "s",
            "ablations": [{"name": "a", "target": ROWS, "select": {"by": "fraction", "fractions": [0.5, 1]}}],
        }
    )
    rows = plan(spec, anatomy()).rows
    total = sum(c.n_parameters for c in anatomy().components)
    assert [(r.n_units, r.n_available, r.n_parameters) for r in rows] == [
        (0, 0, 0),
        (5, 10, 80),
        (10, 10, 160),
    ]
    assert rows[2].share == 160 / total
    assert rows[1].to_dict()["dose"] == 0.5


def test_planning_is_lazy() -> None:
    """A hundred thousand variants of a full-size encoder are listed without drawing a unit."""
    big = anatomy(6, 256, 8, 2048)
    ablation = {
        "name": "a",
        "target": {"unit": "element", "components": "*.in_proj_weight", "pool": False},
        "select": {"by": "fraction", "fractions": list(np.linspace(0.01, 0.99, 99)), "repeats": 169},
    }
    spec = load_spec({"name": "s", "max_variants": 200_000, "ablations": [ablation]})
    start = time.perf_counter()
    variants = plan(spec, big)
    assert len(variants) == 1 + 6 * 99 * 169
    print(f"{len(variants)} variants in {time.perf_counter() - start:.2f} s")
    assert all("units" not in vars(variant) for variant in variants[:10])
