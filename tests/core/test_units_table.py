"""The table of units: every row has all its parts, what the rows point to exists, and nobody else decides by name."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from dissect_core import Unit, UnitError, unit_count, unit_mask
from dissect_core.anatomy import (
    UNITS,
    BlockKind,
    GroupUnit,
    UnitKind,
    channel_group,
    deformable_layout,
    feed_forward_group,
    head_group,
    query_group,
    sampling_groups,
    shape_units,
    unit_kind,
)
from dissect_core.edits import ActivationUnit
from dissect_core.plan._resolve import FINDERS
from dissect_core.spec import RankSelection, Target

ROOT = Path(__file__).parents[2]


def names(**wanted: Any) -> set[str]:
    return {row.name for row in UNITS.values() if all(getattr(row, n) == v for n, v in wanted.items())}


def test_no_part_of_a_row_has_a_default() -> None:
    for field in fields(UnitKind):
        assert field.default is MISSING, field.name
        assert field.default_factory is MISSING, field.name
    parts = {field.name: getattr(UNITS["head"], field.name) for field in fields(UnitKind)}
    for name in parts:
        with pytest.raises(TypeError, match=name):
            UnitKind(**{n: value for n, value in parts.items() if n != name})


@pytest.mark.parametrize("row", UNITS.values(), ids=UNITS)
def test_the_parts_of_a_row_fit_each_other(row: UnitKind) -> None:
    assert row.name
    assert row.plural != row.name
    assert UNITS[row.name] is row
    for field in fields(UnitKind):
        allowed = get_args(UnitKind.__annotations__[field.name])
        value = getattr(row, field.name)
        if allowed and all(isinstance(each, (str, type(None))) for each in allowed):
            assert value in allowed
    assert (row.lies_in == "block") == row.in_structure == bool(row.blocks)
    assert set(row.blocks) <= set(get_args(BlockKind))
    assert (row.of_shape is not None) == (row.lies_in in ("parameter", "component"))
    assert (row.removed_by == "bypass") <= (row.acts_by == "bypass")
    assert (row.removed_by == "cut") <= row.zero_is_in_weights
    assert row.zero_is_in_weights <= (row.activation is not None)
    assert row.in_structure != bool(row.scores)
    assert row.is_whole == (row.lies_in in ("component", "block"))
    assert set(row.scores) <= set(get_args(RankSelection.model_fields["score"].annotation))


def test_every_unit_that_a_type_names_has_a_row_and_every_row_a_place_in_a_type() -> None:
    of_shape = {row.name for row in UNITS.values() if row.of_shape}
    assert set(get_args(Unit)) == of_shape
    assert set(get_args(GroupUnit)) == names(lies_in="attention") | names(lies_in="group")
    assert set(get_args(ActivationUnit)) == {row.name for row in UNITS.values() if row.activation}
    (union, _) = get_args(Target)
    targets = [set(get_args(target.model_fields["unit"].annotation)) for target in get_args(union)]
    assert sum(map(len, targets)) == len(UNITS)
    assert set().union(*targets) == set(UNITS)


def test_every_score_ranks_some_unit() -> None:
    known = {score for row in UNITS.values() for score in row.scores}
    assert known == set(get_args(RankSelection.model_fields["score"].annotation))


def test_what_the_rows_point_to_is_there() -> None:
    assert set(FINDERS) == {row.lies_in for row in UNITS.values()}
    assert names(lies_in="group") | names(lies_in="attention") == {group.unit for group in groups()}


def test_what_the_rows_point_to_in_torch_is_there() -> None:
    pytest.importorskip("torch")
    from dissect_core.torch.activations._sites import FINDERS
    from dissect_core.torch.simplify._cuts import CUTTERS

    assert set(FINDERS) == {row.name for row in UNITS.values() if row.activation}
    assert set(CUTTERS) == names(removed_by="cut")


def groups() -> Iterator[Any]:
    layout = deformable_layout(8, 2, n_levels=2, n_points=2)
    yield head_group("attention", layout)
    yield from sampling_groups("attention", layout)
    yield feed_forward_group("ffn", ("a", (4, 2)), "b", ("c", (2, 4)))
    yield channel_group("conv", [("d", (3,))])
    yield query_group("queries", [("e", (5, 2))])


def test_units_of_a_shape_tile_it() -> None:
    for unit in get_args(Unit):
        segments = 2 if shape_units(unit).has_segments else None
        n = unit_count((4, 6), unit, segments_per_row=segments)
        masks = [unit_mask((4, 6), unit, [i], segments_per_row=segments) for i in range(n)]
        assert np.array_equal(np.sum(masks, axis=0), np.ones((4, 6)))
        assert len({int(mask.sum()) for mask in masks}) == 1
        axis = shape_units(unit).axis
        if axis is not None:
            assert [int(np.flatnonzero(np.moveaxis(mask, axis, 0)[:, 0])[0]) for mask in masks] == list(
                range(n)
            )


def test_a_unit_that_is_none_gives_a_near_match() -> None:
    with pytest.raises(UnitError, match=r"got 'layr'\. Did you mean 'layer'\?"):
        unit_kind("layr")


def test_maps_of_units_are_of_those_of_which_a_block_has_few() -> None:
    """`dissect_eval` knows no sibling, so it holds its own list: it must be the table's."""
    pytest.importorskip("dissect_eval")
    from dissect_eval.study.figures import _values

    assert set(_values.FEW_UNITS) == names(few_in_a_block=True)


# What a comparison with the name of a unit would decide is a part of the table.

EXCEPTIONS: dict[str, str] = {
    "dissect_core/anatomy/_groups.py": "what rows point to: makes the groups of two units at once",
    "dissect_core/torch/activations/_sites.py": "what rows point to: how the activation of each unit is found",
    "dissect_core/torch/simplify/_cuts.py": "what rows point to: how each unit is cut out",
    "dissect_core/detectors/_checks_refusals.py": "one example of each unit, to try a detector with",
    "dissect_widgets/builder/_places.py": "which units a form offers, in which order and words",
    "dissect_eval/study/figures/_values.py": "knows no sibling; a test above holds it to the table",
}


def decisions(tree: ast.AST) -> Iterator[int]:
    """Lines that compare a unit with a name, or hold a table of their own by names of units."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            if any(_is_unit(side) for side in sides) and any(_names_units(side, 1) for side in sides):
                yield node.lineno
        elif isinstance(node, ast.MatchClass):
            if "unit" in node.kwd_attrs:
                yield node.lineno
        elif isinstance(node, ast.Match):
            if _is_unit(node.subject):
                yield node.lineno
        elif isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
            inner = node.value.args[0] if isinstance(node.value, ast.Call) and node.value.args else node.value
            if _names_units(inner, 2):
                yield node.lineno
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get":
            if _names_units(node.func.value, 1):
                yield node.lineno
        elif isinstance(node, ast.Subscript) and _names_units(node.value, 1):
            yield node.lineno


def _is_unit(node: ast.AST) -> bool:
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return name == "unit" or name.endswith("_unit")


def _names_units(node: ast.AST, least: int) -> bool:
    if isinstance(node, ast.Constant):
        return least <= 1 and node.value in UNITS
    items = node.keys if isinstance(node, ast.Dict) else getattr(node, "elts", None)
    if not isinstance(items, list) or len(items) < least:
        return False
    return all(isinstance(item, ast.Constant) and item.value in UNITS for item in items)


def sources() -> list[Path]:
    return sorted((ROOT / "packages").glob("*/src/**/*.py"))


def test_the_search_for_decisions_finds_them() -> None:
    found = """
if pool.unit == "head": pass
if unit in ("layer", "sublayer"): pass
least = {"column": 2, "segment": 2}.get(unit, 0)
UNITS = frozenset({"head", "neuron"})
match target:
    case GroupTarget(unit="query"): pass
match unit:
    case _: pass
"""
    assert list(decisions(ast.parse(found)))
    lines = set(decisions(ast.parse(found)))
    assert lines == {2, 3, 4, 5, 7, 8}
    fine = 'target = {"unit": "head", "components": "*"}\nif part == "query": pass\nx: Literal["head", "query"]\n'
    assert not list(decisions(ast.parse(fine)))


def test_nobody_else_decides_by_the_name_of_a_unit() -> None:
    found: dict[str, list[int]] = {}
    for path in sources():
        lines = list(decisions(ast.parse(path.read_text(encoding="utf-8"))))
        if lines:
            found[path.as_posix().partition("/src/")[2]] = lines
    assert set(found) - set(EXCEPTIONS) == set(), "ask the table: `dissect_core.anatomy.unit_kind`"
    assert set(EXCEPTIONS) - set(found) == set(), "an exception that is none any more"
