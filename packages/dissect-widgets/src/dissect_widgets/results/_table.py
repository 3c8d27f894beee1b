"""The table of a study's variants: names for people, what is lost with its interval, and its order."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from dissect_core.text import visible
from dissect_eval.study import StudyTables, change_text, is_unsure, signed_text, title_of, variant_names
from dissect_eval.study.tables import controls_of

from ..figure import number_text
from ..front import Cell, Column, GridRow

__all__ = ["SORTS", "VariantRow", "columns_of", "grid_rows", "order_of", "variant_rows"]

SORTS: dict[str, str] = {
    "name": "name",
    "value": "metric",
    "change": "change",
    "control": "random control",
    "output": "change of output",
    "dose": "dose",
    "flops": "operations saved",
}
"""What the table can be sorted by; a column is left out where all its cells are equal."""


class VariantRow(NamedTuple):
    """A variant of the table.

    Attributes
    ----------
    id, name : str
    words : str
        All texts that a search looks through, in lower case.
    value, change, low, high : float
        The metric, its change against the whole model, and the interval of the change; NaN where undefined.
    is_sure : bool
        Whether the interval leaves out 0.
    control, output, dose, flops : float
        Mean change of its random controls; relative change of the output of what is ablated; share of the units; share
        of the operations that are saved. NaN where undefined.
    note : str
        What else must be read with it, such as that it changed nothing.
    """

    id: str
    name: str
    words: str
    value: float
    change: float
    low: float
    high: float
    is_sure: bool
    control: float
    output: float
    dose: float
    flops: float
    note: str


def variant_rows(tables: StudyTables, metric: str) -> list[VariantRow]:
    """Return the ablated variants of a study in its order; random controls stand beside theirs."""
    names, beside = variant_names(tables.summary), controls_of(tables.summary)
    noise = _number(tables.summary[0].get(f"{metric}_noise"), 0.0)
    rows = []
    for row in tables.summary[1:]:
        if row["kind"] == "control":
            continue
        changes = [_number(one.get(f"{metric}_difference")) for one in beside.get(row["id"], [])]
        known = [change for change in changes if math.isfinite(change)]
        rows.append(
            VariantRow(
                row["id"],
                names[row["id"]],
                " ".join(
                    [names[row["id"]], *(str(value) for value in row.values() if isinstance(value, str))]
                ).lower(),
                _number(row.get(metric)),
                _number(row.get(f"{metric}_difference")),
                _number(row.get(f"{metric}_low")),
                _number(row.get(f"{metric}_high")),
                not is_unsure(row, metric, noise),
                sum(known) / len(known) if known else math.nan,
                _number(row.get("output_change")),
                _number(row.get("dose")),
                _number(row.get("flops_saved")),
                "changed nothing" if row.get("no_op") else "",
            )
        )
    return rows


def columns_of(rows: Sequence[VariantRow], metric: str, confidence: float) -> list[Column]:
    """Return the table's columns, without those that say the same in every row."""
    sure = f"{confidence:.0%}".replace("%", " %")
    ends = [end for row in rows for end in (row.change, row.low, row.high) if math.isfinite(end)]
    low, high = min([0.0, *ends]), max([0.0, *ends])
    made = [
        Column("name", "Variant", sortable=True),
        Column("value", title_of(metric), "number", sortable=True),
        Column("change", "Change", "number", sortable=True),
        Column("interval", f"{sure} interval", "interval", low=low, high=high),
        Column(
            "control", "Random control", "number", sortable=True, help="Mean change of as many random weights"
        ),
        Column(
            "output",
            "Output change",
            "number",
            sortable=True,
            help="Relative change of the output of what is ablated",
        ),
        Column("dose", "Dose", "number", sortable=True, help="Share of the units that are removed"),
        Column("flops", "FLOPs saved", "number", sortable=True, help="If the variant were removed for good"),
        Column("sure", "Sure?", "text", help=f"Whether the {sure} interval leaves out 0"),
    ]
    constant = {
        key
        for key in ("control", "output", "dose", "flops")
        if len({_key(getattr(row, key)) for row in rows}) < 2
    }
    if not any(math.isfinite(row.low) for row in rows):
        constant |= {"interval", "sure"}
    return [one for one in made if one.key not in constant]


def grid_rows(rows: Sequence[VariantRow], columns: Sequence[Column], metric: str) -> list[GridRow]:
    """Return the rows as they are shown."""
    cells: Mapping[str, Callable[[VariantRow], Cell]] = {
        "name": lambda row: {"text": row.name, "note": row.note, "title": visible(row.id)},
        "value": lambda row: number_text(row.value),
        "change": lambda row: signed_text(row.change),
        "interval": lambda row: _interval(row, metric),
        "control": lambda row: signed_text(row.control),
        "output": lambda row: _percent(row.output),
        "dose": lambda row: _percent(row.dose),
        "flops": lambda row: _percent(row.flops),
        "sure": lambda row: {"text": "yes", "look": ""} if row.is_sure else {"text": "–", "look": "faint"},
    }
    return [GridRow(row.id, tuple(cells[one.key](row) for one in columns), row.name) for row in rows]


def order_of(rows: Sequence[VariantRow], search: str, sort: str, descending: bool) -> list[int]:
    """Return which rows hold all words of a search, in order; undefined values come last."""
    words = search.lower().split()
    found = [i for i, row in enumerate(rows) if all(word in row.words for word in words)]
    if sort == "name":
        return sorted(found, key=lambda i: rows[i].name, reverse=descending)
    known = [i for i in found if math.isfinite(getattr(rows[i], sort))]
    unknown = [i for i in found if not math.isfinite(getattr(rows[i], sort))]
    return [*sorted(known, key=lambda i: float(getattr(rows[i], sort)), reverse=descending), *unknown]


def _interval(row: VariantRow, metric: str) -> Cell:
    if not math.isfinite(row.change):
        return None
    ends = {f"{metric}_difference": row.change, f"{metric}_low": row.low, f"{metric}_high": row.high}
    known = math.isfinite(row.low) and math.isfinite(row.high)
    return {
        "value": row.change,
        "low": row.low if known else None,
        "high": row.high if known else None,
        "sure": row.is_sure,
        "text": change_text(ends, metric),
    }


def _number(value: Any, default: float = math.nan) -> float:
    return float(value) if isinstance(value, (int, float)) else default


def _key(value: float) -> Any:
    return value if math.isfinite(value) else None


def _percent(value: float) -> str:
    return f"{value:.0%}" if math.isfinite(value) else "–"
