"""What is said of the chosen variant: how much is lost, where, and by what errors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from dissect_eval.study import StudyTables, class_values, signed_text, title_of
from dissect_eval.tide import ERROR_TYPES

from ..base import counted, html_text
from ..figure import number_text
from ._table import VariantRow

__all__ = ["ChosenVariant", "chosen_html", "chosen_variant", "headline"]

NAMED_AT_MOST = 3
ERRORS = {
    "Cls": "wrong class",
    "Loc": "poorly placed",
    "Both": "wrong class and poorly placed",
    "Dupe": "duplicates",
    "Bkg": "on background",
    "Miss": "missed",
}
"""TIDE's types of error in words."""


class ChosenVariant(NamedTuple):
    """Facts about a variant.

    Attributes
    ----------
    row : VariantRow
    baseline : float
        The metric of the whole model.
    classes : tuple of (str, float)
        The classes that lose most, with their change.
    errors : tuple of (str, int)
        Types of error that grow, with by how many detections or objects.
    """

    row: VariantRow
    baseline: float
    classes: tuple[tuple[str, float], ...]
    errors: tuple[tuple[str, int], ...]


def chosen_variant(tables: StudyTables, metric: str, row: VariantRow) -> ChosenVariant:
    """Return what a study's tables say of a variant."""
    of_class = {
        category: change
        for (variant, category), change in class_values(tables, metric).items()
        if variant == row.id and math.isfinite(change) and change < 0
    }
    worst = sorted(of_class.items(), key=lambda one: one[1])[:NAMED_AT_MOST]
    counts = {one["variant"]: one for one in tables.errors}
    before, after = counts.get(tables.summary[0]["id"], {}), counts.get(row.id, {})
    grown = [
        (kind, int(after.get(f"n_{kind}") or 0) - int(before.get(f"n_{kind}") or 0)) for kind in ERROR_TYPES
    ]
    errors = sorted((one for one in grown if one[1] > 0), key=lambda one: -one[1])[:NAMED_AT_MOST]
    return ChosenVariant(row, float(tables.summary[0][metric]), tuple(worst), tuple(errors))


def chosen_html(chosen: ChosenVariant, metric: str, category: str) -> str:
    """Return the facts as HTML, every name escaped."""
    row, title = chosen.row, title_of(metric)
    sentences = []
    if row.note:
        sentences.append("Its detections are those of the whole model: it changed nothing.")
    elif math.isfinite(row.low):
        sentences.append(
            f"Interval {signed_text(row.low)} to {signed_text(row.high)}: "
            + ("it leaves out 0." if row.is_sure else "it includes 0, so that this may be chance.")
        )
    if math.isfinite(row.control):
        sentences.append(f"As many random weights: {signed_text(row.control)}.")
    if chosen.classes:
        named = ", ".join(f"{name} ({signed_text(change)})" for name, change in chosen.classes)
        sentences.append(f"Lost most: {named}.")
    if chosen.errors:
        sentences.append(
            f"Errors that grow: {', '.join(f'{ERRORS[kind]} +{n:,}' for kind, n in chosen.errors)}."
        )
    of = f'<p class="dd-sub">Class {html_text(category)}</p>' if category else ""
    return (
        f'<span class="dd-chip">chosen</span><h3>{html_text(row.name[:1].upper() + row.name[1:])}</h3>{of}'
        f'<p><span class="dd-big">{signed_text(row.change)}</span> <span class="dd-sub">{html_text(title)}, from '
        f"{number_text(chosen.baseline)} to {number_text(row.value)}</span></p>"
        f"<p>{html_text(' '.join(sentences))}</p>"
        f'<p class="dd-sub" style="overflow-wrap:anywhere;font-size:12px">{html_text(row.id)}</p>'
    )


def headline(tables: StudyTables, metric: str, rows: Sequence[VariantRow]) -> tuple[str, str]:
    """Return the answer of a study as a title, and the line below it."""
    about, title = tables.about, title_of(metric)
    known = [row for row in rows if math.isfinite(row.change)]
    sure = [row for row in known if row.is_sure]
    if tables.at_chance or not known:
        answer = f"No answer in {title}"
    elif not any(math.isfinite(row.low) for row in known):
        worst = min(known, key=lambda row: row.change)
        answer = f"Largest loss: {worst.name}, {signed_text(worst.change)}"
    else:
        losing = sum(row.change < 0 for row in sure)
        answer = f"{losing} of {counted(len(known), 'variant')} lose {title}: interval without 0"
    n = about.get("n_images")
    settings = about.get("settings") or {}
    words = [
        str(about.get("study", "study")),
        counted(int(n), "image") if n is not None else "",
        f"whole model {number_text(float(tables.summary[0][metric]))}",
        f"paired {settings.get('confidence', 0.95):.0%} intervals over images".replace("%", " %")
        if any(math.isfinite(row.low) for row in known)
        else "no intervals",
    ]
    return answer, " \N{MIDDLE DOT} ".join(filter(None, words))
