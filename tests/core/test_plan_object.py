"""A plan as an object: variants by number and id, its table, what it costs."""

from __future__ import annotations

import pickle
import sys
from typing import Any

import pytest
from tests.plans import HEADS_OF_ALL, ROWS, anatomy

from dissect_core import DissectError, MissingDependencyError, UnknownComponentError
from dissect_core.plan import Plan, baseline_again, plan
from dissect_core.spec import load_spec


def study(**more: Any) -> Plan:
    heads = {"name": "heads", "target": HEADS_OF_ALL, "select": {"by": "each"}}
    rows = {
        "name": "rows",
        "target": ROWS,
        "select": {"by": "fraction", "fractions": [0.2, 1]},
        "interventions": ["zero", "mean"],
    }
    again = {"name": "again", "target": HEADS_OF_ALL, "select": {"by": "indices", "indices": [0]}}
    return plan(load_spec({"name": "s", "ablations": [heads, rows, again], **more}), anatomy())


def test_it_is_a_sequence_that_does_not_change() -> None:
    found = study()
    assert found[0].id == "baseline"
    assert [found[i] for i in range(len(found))] == list(found) == found[:]
    assert found[-1] is list(found)[-1]
    assert found[3] in found
    assert found.index(found[3]) == 3
    with pytest.raises(TypeError):
        found[0] = found[1]  # type: ignore[index]
    with pytest.raises(IndexError):
        found[len(found)]
    assert found.spec.name == "s"


def test_variants_are_found_by_id_and_by_the_id_of_what_was_merged() -> None:
    found = study()
    for variant in found:
        assert found[variant.id] is variant
        assert variant.id in found
    (merged,) = [variant for variant in found if variant.merged]
    assert found[merged.merged[0]] is merged
    assert "heads" not in found


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("heads/head/each/encoder.layers.0.self_attn:9", "heads/head/each/encoder.layers.0.self_attn:0"),
        ("each/encoder.layers.2.self_attn:3", "heads/head/each/encoder.layers.2.self_attn:3"),
        ("basline", "baseline"),
    ],
)
def test_an_id_that_is_not_there_gives_near_matches(name: str, near: str) -> None:
    with pytest.raises(UnknownComponentError, match="No variant matches") as caught:
        study()[name]
    assert repr(near) in str(caught.value)


def test_variants_are_selected_by_id_and_glob() -> None:
    found = study()
    heads = found.select("heads/*self_attn:0")
    assert [v.id for v in heads] == [f"heads/head/each/encoder.layers.{i}.self_attn:0" for i in range(3)]
    merged = heads[0].merged[0]
    assert found.select([merged, "baseline"]) == [found[0], heads[0]]
    with pytest.raises(UnknownComponentError, match=r"No variant .*Near matches: 'rows/row/1/0/zero'"):
        found.select("row/1/0/zer")


def test_plans_are_equal_by_what_they_remove() -> None:
    assert study() == study()
    assert study() != study(seed=1)
    assert study() == pickle.loads(pickle.dumps(study()))
    assert study() != list(study())


def test_the_cost_counts_passes_and_units() -> None:
    found = study()
    assert found.cost.passes == len(found) == 1 + 12 + 2 * 2
    assert found.cost.units == 12 + 2 * (2 + 10)
    assert str(found) == f"s: {found.cost}"
    again = found.with_baseline_again(baseline_again(0, 2), "It varies.")
    assert [v.id for v in again[:3]] == ["baseline", "baseline/again/1", "baseline/again/2"]
    assert (len(again), again.notes) == (len(found) + 2, (*found.notes, "It varies."))
    assert str(again.cost).startswith(f"{len(found) + 2} passes over each image (3 baselines, ")


def test_the_table_has_a_row_for_each_variant() -> None:
    pytest.importorskip("pyarrow")
    found = study()
    table = found.table()
    assert table.to_pylist() == [row.to_dict() for row in found.rows]
    assert [str(table.schema.field(name).type) for name in ("id", "n_parameters", "share")] == [
        "string",
        "int64",
        "double",
    ]


def test_without_arrow_the_table_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingDependencyError, match=r"dissect-core\[study\].*`plan.rows`"):
        study().table()
    assert issubclass(MissingDependencyError, DissectError)
