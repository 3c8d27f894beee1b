"""The numbers of a study's maps: blocks by units, and variants by classes, on one colour scale."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...statistics import summarize_repeats
from ..tables import DRAWS_FOR_A_BAND, Group, Row, StudyTables, controls_of, groups_of, is_single
from ._captions import confidence_of
from ._named import with_no_ops

__all__ = ["FEW_UNITS", "Show", "ValueMap", "class_maps", "class_values", "map_limits", "unit_maps"]

Show: TypeAlias = Literal["difference", "ablated", "baseline"]

ROWS_AT_MOST = 40
UNITS_AT_MOST = 60
CLASSES_AT_MOST = 120
CONTROL = "\N{DOWNWARDS ARROW WITH TIP RIGHTWARDS} random control"
"""Name of a row that holds the controls of the row above it."""
FEW_UNITS = ("head", "level", "point")
"""Units of which a block has few."""


class ValueMap(NamedTuple):
    """Numbers of a map.

    Attributes
    ----------
    ablation : str
        Name of the ablation, with the intervention where there are several; empty for a map of several ablations.
    rows, columns : list of str
    values : ndarray of float64, shape (R, C)
    unsure : ndarray of bool, shape (R, C)
        Whether a cell's interval includes 0.
    has_intervals : bool
        Whether any cell has an interval at all.
    groups : list of Group
        The groups whose means the rows hold; empty where each row is one variant.
    n_controls : tuple of int
        Least and most random controls behind a cell of a control's row; (0, 0) without such rows.
    cut : str
        What is left out, as a sentence; empty if nothing is.
    n_no_op : int
        Cells that are left empty since their variant changed nothing.
    members : tuple of tuple of mapping
        Of a map of classes, rows of the variants behind each row.
    """

    ablation: str
    rows: list[str]
    columns: list[str]
    values: NDArray[np.float64]
    unsure: NDArray[np.bool_]
    has_intervals: bool
    groups: list[Group]
    n_controls: tuple[int, int]
    cut: str
    n_no_op: int = 0
    members: tuple[tuple[Row, ...], ...] = ()


class _Cell(NamedTuple):
    """A mean over variants, whether its interval includes 0, and whether it has one."""

    value: float = math.nan
    unsure: bool = False
    has_interval: bool = False


_Maker: TypeAlias = Callable[..., ValueMap]
"""Makes a map of classes from its title, rows, groups, and what is cut."""
_Lookup: TypeAlias = Callable[[Row], tuple[float, float, float]]
"""Value of a variant with its interval."""


def map_limits(
    tables: StudyTables,
    metric: str,
    show: Show,
    make: Callable[[StudyTables, str, Show], list[ValueMap]],
) -> tuple[float, float]:
    """Return the range of the colour scale that all maps of a kind share, for changes or for values.

    Maps of classes and of units have scales of their own: a class can lose all, and beside it every head would be
    pale.
    """
    shows: tuple[Show, ...] = ("difference",) if show == "difference" else ("ablated", "baseline")
    maps = [one.values for each in shows for one in make(tables, metric, each)]
    known = np.concatenate([np.zeros(1), *(values[np.isfinite(values)] for values in maps)])
    low, high = float(known.min()), float(known.max())
    if show == "difference":
        low, high = -max(-low, high), max(-low, high)
    return (low, high) if low < high else (low - 1.0, high + 1.0)


def unit_maps(tables: StudyTables, metric: str, show: Show) -> list[ValueMap]:
    """Return a map of blocks by units for each ablation that removes single heads, levels or points."""
    summary = tables.summary
    lookup = partial(_of_summary, summary[0], metric, show)
    found: dict[tuple[str, str], dict[tuple[str, int], Row]] = {}
    for group in groups_of(tables.summary, tables.selections):
        for row in group.rows:
            if (
                group.kind == "ablation"
                and not group.are_draws
                and row["unit"] in FEW_UNITS
                and is_single(row)
            ):
                place = row["removed"][0]
                key = group.ablation, group.intervention
                found.setdefault(key, {})[place["path"], place["units"][0]] = row
    beside = controls_of(summary) if show == "difference" else {}
    maps = []
    for (ablation, intervention), cells in found.items():
        if len(cells) < 2:
            continue
        paths = list(dict.fromkeys(path for path, _ in cells))
        units = sorted({unit for _, unit in cells})
        rows: list[tuple[str, list[Sequence[Row]]]] = []
        for path in paths:
            at = [cells.get((path, unit)) for unit in units]
            kept: list[Sequence[Row]] = [[row] if row and not row.get("no_op") else [] for row in at]
            rows.append((path, kept))
            controls: list[Sequence[Row]] = [beside.get(row["id"], []) if row else [] for row in at]
            if any(controls):
                rows.append((CONTROL, controls))
        table = [[_cell(members, lookup, confidence_of(tables)) for members in row] for _, row in rows]
        counts = [len(members) for name, row in rows if name == CONTROL for members in row if members]
        made = _map(
            _title(ablation, intervention, found),
            [name for name, _ in rows],
            [str(unit) for unit in units],
            table,
            counts,
        )
        maps.append(made._replace(n_no_op=sum(bool(row.get("no_op")) for row in cells.values())))
    return maps


def class_maps(tables: StudyTables, metric: str, show: Show) -> list[ValueMap]:
    """Return a map of doses by classes, and for each ablation with many variants one of variants by classes."""
    column = {"difference": "difference", "ablated": "value", "baseline": "baseline"}[show]
    values = class_values(tables, metric, column)
    every = list(dict.fromkeys(category for _, category in values))
    if not every:
        return []
    ends = (
        [class_values(tables, metric, end) for end in ("low", "high", "noise")]
        if show == "difference"
        else [{}, {}, {}]
    )
    groups = groups_of(tables.summary, tables.selections)
    if show != "difference":
        groups = [group for group in groups if group.kind == "ablation"]
    many = {
        (group.ablation, group.intervention)
        for group in groups
        if not group.are_draws and len(group.rows) > 1
    }
    make = partial(_class_map, tables, every[:CLASSES_AT_MOST], len(every), (values, *ends))
    doses = [group for group in groups if (group.ablation, group.intervention) not in many]
    maps = [_map_of_doses(make, doses)] if doses else []
    beside = controls_of(tables.summary) if show == "difference" else {}
    for key in dict.fromkeys(key for key in ((g.ablation, g.intervention) for g in groups) if key in many):
        members = [
            row
            for group in groups
            if (group.ablation, group.intervention) == key and group.kind == "ablation"
            for row in group.rows
        ]
        maps.append(_map_of_variants(make, _title(*key, many), members, _worst(members, metric), beside))
    return maps


def _map_of_doses(make: _Maker, doses: Sequence[Group]) -> ValueMap:
    """Return a map with a row for each ablation and dose, as many as there is room for."""
    shown = doses[:ROWS_AT_MOST]
    cut = f"{len(shown)} of {len(doses):,} doses" if len(shown) < len(doses) else ""
    rows = [
        (
            CONTROL
            if group.kind == "control" and _is_beside_its_own(shown, i)
            else with_no_ops(group.name, group.rows),
            group.rows,
        )
        for i, group in enumerate(shown)
    ]
    return make("", rows, shown, cut)


def _map_of_variants(
    make: _Maker,
    title: str,
    members: Sequence[Row],
    chosen: Sequence[Row],
    beside: Mapping[str, Sequence[Row]],
) -> ValueMap:
    """Return a map with a row for each chosen variant of an ablation, and one for its controls below it."""
    rows: list[tuple[str, Sequence[Row]]] = []
    for row in chosen:
        rows.append((with_no_ops(_label(row), [row]), [row]))
        if beside.get(row["id"]):
            rows.append((CONTROL, beside[row["id"]]))
    made = make(title, rows, [], "")
    most = f"The {len(chosen)} of {len(members):,} variants that lose most."
    return made._replace(cut=f"{made.cut} {most}".strip()) if len(chosen) < len(members) else made


def class_values(
    tables: StudyTables, metric: str, column: str = "difference"
) -> dict[tuple[str, str], float]:
    """Return a column of the classes' table for one metric, by variant and class; empty if there is no such column."""
    import pyarrow.compute as pc

    if column not in tables.per_class.column_names:
        return {}
    chosen = tables.per_class.filter(pc.equal(tables.per_class["metric"], metric))
    keys = zip(*(chosen[name].to_pylist() for name in ("variant", "category")), strict=True)
    return dict(zip(keys, chosen[column].to_numpy().tolist(), strict=True))


def _is_beside_its_own(groups: Sequence[Group], i: int) -> bool:
    """Return whether the i-th group is the control of the group before it."""
    keys = [(group.question, group.intervention, group.dose) for group in groups[max(0, i - 1) : i + 1]]
    return len(keys) == 2 and keys[0] == keys[1]


def _class_map(
    tables: StudyTables,
    names: list[str],
    n_classes: int,
    columns: tuple[Mapping[tuple[str, str], float], ...],
    title: str,
    rows: Sequence[tuple[str, Sequence[Row]]],
    groups: list[Group],
    cut: str,
) -> ValueMap:
    def of_class(category: str, row: Row) -> tuple[float, float, float]:
        value, low, high, noise = (column.get((row["id"], category), math.nan) for column in columns)
        return value, *_above_noise(value, low, high, noise)

    confidence = confidence_of(tables)
    table = [[_cell(members, partial(of_class, name), confidence) for name in names] for _, members in rows]
    classes = f"{len(names)} of {n_classes:,} classes" if len(names) < n_classes else ""
    first = " and ".join(filter(None, (classes, cut)))
    counts = [len(members) for name, members in rows if name == CONTROL]
    made = _map(title, [name for name, _ in rows], names, table, counts)
    return made._replace(
        groups=groups,
        cut=f"The first {first}." if first else "",
        members=tuple(tuple(members) for _, members in rows),
    )


def _map(
    title: str,
    rows: list[str],
    columns: list[str],
    table: Sequence[Sequence[_Cell]],
    n_controls: Sequence[int],
) -> ValueMap:
    shape = len(rows), len(columns)
    return ValueMap(
        title,
        rows,
        columns,
        np.array([[cell.value for cell in row] for row in table], dtype=np.float64).reshape(shape),
        np.array([[cell.unsure for cell in row] for row in table], dtype=np.bool_).reshape(shape),
        any(cell.has_interval for row in table for cell in row),
        [],
        (min(n_controls, default=0), max(n_controls, default=0)),
        "",
    )


def _of_summary(baseline: Row, metric: str, show: Show, row: Row) -> tuple[float, float, float]:
    if show == "difference":
        change, low, high = (row[f"{metric}_{end}"] for end in ("difference", "low", "high"))
        return change, *_above_noise(change, low, high, row.get(f"{metric}_noise"))
    return (row if show == "ablated" else baseline)[metric], math.nan, math.nan


def _above_noise(change: float, low: float, high: float, noise: float | None) -> tuple[float, float]:
    """Return the interval, widened to include 0 where the change is within the detector's own noise."""
    if noise is not None and abs(change) <= noise:
        return min(low, 0.0), max(high, 0.0)
    return low, high


def _cell(rows: Iterable[Row], lookup: _Lookup, confidence: float) -> _Cell:
    """Return the mean over variants, with the mean of their intervals: as they share images, it is wide enough."""
    known = [numbers for numbers in map(lookup, rows) if math.isfinite(numbers[0])]
    if not known:
        return _Cell()
    values, low, high = np.array(known).T
    intervals = [(float(low.mean()), float(high.mean()))] if np.isfinite(low + high).all() else []
    if intervals and len(values) >= DRAWS_FOR_A_BAND:
        over_draws = summarize_repeats(values, confidence)
        intervals.append((over_draws.low, over_draws.high))
    unsure = any(first <= 0 <= last for first, last in intervals)
    return _Cell(float(values.mean()), unsure, bool(intervals))


def _worst(rows: Sequence[Row], metric: str) -> list[Row]:
    """Return the variants that lose most, in the study's order."""
    if len(rows) <= UNITS_AT_MOST:
        return list(rows)

    def loss(i: int) -> float:
        change = rows[i][f"{metric}_difference"]
        return change if math.isfinite(change) else math.inf

    return [rows[i] for i in sorted(sorted(range(len(rows)), key=loss)[:UNITS_AT_MOST])]


def _label(row: Row) -> str:
    """Return what one of many variants removes: its id without the ablation's name."""
    name = str(row["id"])
    for selection in ("/each/", "/only/", "/pairs/"):
        if selection in name:
            chosen = name.split(selection, 1)[1]
            units = [unit.rpartition(":") for unit in chosen.split("+")]
            if len(units) > 1 and len({path for path, _, _ in units}) == 1 and units[0][0]:
                chosen = f"{units[0][0]}:{'+'.join(number for _, _, number in units)}"
            return f"all but {chosen}" if selection == "/only/" else chosen
    return name.removeprefix(f"{row['ablation']}/")


def _title(ablation: str, intervention: str, keys: Iterable[tuple[str, str]]) -> str:
    several = len({other for _, other in keys}) > 1
    return f"{ablation}: {intervention}" if several else ablation
