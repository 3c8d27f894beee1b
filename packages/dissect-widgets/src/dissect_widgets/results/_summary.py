"""Rows of a study's summary as points of a picture, and what a table needs to search and sort them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..figure import number_text

SummaryRow = Mapping[str, Any]


class PlotPoint(NamedTuple):
    """A point or cell of a picture.

    Attributes
    ----------
    label : str
        Its change, class and variant, to print.
    variant : str
    category : str or None
        The class, where the picture has classes.
    change : float
        Change of the metric against the baseline.
    """

    label: str
    variant: str
    category: str | None
    change: float


def plot_points(
    rows: Sequence[SummaryRow],
    metric: str,
    view: str,
    groups: Mapping[str, Sequence[str]],
    cells: Mapping[tuple[str, str], float],
) -> list[PlotPoint]:
    """Return the points or cells of a view, the largest loss first, without undefined ones.

    Parameters
    ----------
    rows : sequence of mapping
        Rows of the study's summary, the baseline first.
    metric, view : str
    groups : mapping of str to sequence of str
        Ids of the variants of each row of the class map, by the row's name.
    cells : mapping of (variant, class) to float
        Changes of single classes; empty for views without classes.

    Examples
    --------
    >>> rows = [{"id": "baseline", "kind": "baseline"}, {"id": "a", "kind": "ablation", "AP_difference": -0.25}]
    >>> plot_points(rows, "AP", "worst", {}, {})[0].label
    '−0.250  a'
    """
    found = []
    still = {row["id"]: " (changed nothing)" for row in rows if row.get("no_op")}
    if view == "classes":
        for ids in groups.values():
            for category in dict.fromkeys(category for _, category in cells):
                known = {one: cells[one, category] for one in ids if is_number(cells.get((one, category)))}
                if known:
                    worst = min(known, key=lambda one: known[one])
                    text = f"{number_text(known[worst], signed=True)}  {category}: {worst}"
                    found.append(PlotPoint(f"{text}{still.get(worst, '')}", worst, category, known[worst]))
    else:
        for row in rows[1:]:
            change = row[f"{metric}_difference"]
            if row["kind"] != "again" and is_number(change) and _is_shown(row, view):
                text = f"{number_text(change, signed=True)}  {row['id']}{still.get(row['id'], '')}"
                found.append(PlotPoint(text, row["id"], None, change))
    return sorted(found, key=lambda one: one.change)


def _is_shown(row: SummaryRow, view: str) -> bool:
    if view == "units":
        return _is_single(row)
    return view != "worst" or not row.get("no_op")


def _is_single(row: SummaryRow) -> bool:
    removed = row.get("removed") or []
    return row["kind"] == "ablation" and len(removed) == 1 and len(removed[0]["units"]) == 1


def is_number(value: object) -> bool:
    """Return whether a cell holds a finite number."""
    return isinstance(value, (int, float)) and math.isfinite(value)


def is_defined(value: object) -> bool:
    """Return whether a cell holds a value that can be sorted."""
    return isinstance(value, str) or is_number(value)


def matches(row: SummaryRow, pattern: str) -> bool:
    """Return whether all words of a search occur in a row's texts, whatever their case.

    Examples
    --------
    >>> matches({"id": "encoder heads/0.5/1", "kind": "ablation", "dose": 0.5}, "ENCODER 0.5")
    True
    """
    text = " ".join(str(value) for value in row.values() if isinstance(value, str)).lower()
    return all(word in text for word in pattern.lower().split())
