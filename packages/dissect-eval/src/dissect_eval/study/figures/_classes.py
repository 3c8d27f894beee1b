"""Figures of classes and of error types, from a study's tables."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ..._text import visible
from ...plots import drawn, drawn_all, error_type_bars, per_class_bars
from ...tide import ERROR_TYPES, SPECIAL_TYPES
from ..tables import Row, StudyTables, controls_of, variant_names
from ._captions import counted, joined, measured_on
from ._marks import signed_text
from ._named import FigureData, FigureMark, NamedFigure, title_of
from ._values import class_values

__all__ = ["class_bars", "error_bars"]

KINDS = (*ERROR_TYPES, *SPECIAL_TYPES)
_BACKGROUND = 0.1  # the default of `error_types`
BARS_AT_MOST = 25
NAME = 40
"""Most characters of a class's name beside its bars."""
ABLATIONS_AT_MOST = 4


def class_bars(tables: StudyTables, metric: str, variant: str) -> Iterator[NamedFigure]:
    """Draw a metric of each class for the baseline and for one variant; the classes that lose most come first."""
    before, after = (
        {
            category: value
            for (one, category), value in class_values(tables, metric, column).items()
            if one == variant
        }
        for column in ("baseline", "value")
    )
    losses = {name: after[name] - before[name] for name in after}
    known = sorted((name for name in losses if math.isfinite(losses[name])), key=lambda name: losses[name])
    if not known:
        return
    names = known[:BARS_AT_MOST]
    label = title_of(metric)
    told = dict(zip(names, drawn_all(names, NAME), strict=True))
    figure = per_class_bars(
        {
            side: {told[name]: of[name] for name in names}
            for side, of in (("baseline", before), ("ablated", after))
        },
        metric_label=label,
    )
    cut = f"{len(names)} of {len(known):,} classes." if len(names) < len(known) else ""
    data = FigureData(
        ("class", "baseline", "ablated", "change"),
        tuple((name, before[name], after[name], losses[name]) for name in names),
    )
    what = f"{label} of each class with and without {variant_names(tables.summary)[variant]}, the largest loss first."
    marks = tuple(
        FigureMark(
            0,
            (*figure.axes[0].get_xlim(), i - 0.5, i + 0.5),
            f"{visible(name)}: {label} {before[name]:.3f} \N{RIGHTWARDS ARROW} {after[name]:.3f} "
            f"({signed_text(losses[name])})",
            variant,
            name,
        )
        for i, name in enumerate(names)
    )
    yield NamedFigure("class-bars", joined((what, cut, measured_on(tables))), figure, data, marks)


class _Errors(NamedTuple):
    """AP that fixing each type of error would gain, from a row of a table."""

    foreground: float
    background: float
    delta_ap: Mapping[str, float]


def error_bars(tables: StudyTables, metric: str) -> Iterator[NamedFigure]:
    """Draw the error types of the baseline, and of the worst variant of each ablation with its random controls."""
    rows = tables.summary
    foreground = float(tables.about["settings"].get("iou_threshold", 0.5))
    errors = {row["variant"]: _Errors(foreground, _BACKGROUND, _changes(row)) for row in tables.errors}
    ablated = [
        r
        for r in rows[1:]
        if r["kind"] == "ablation" and not r.get("no_op") and math.isfinite(r[f"{metric}_difference"])
    ]
    ablations = list(dict.fromkeys(row["ablation"] for row in ablated))
    shown = {"baseline": errors[rows[0]["id"]]}
    controls: dict[str, _Errors] = {}
    told: list[str] = []
    n_controls = 0
    beside = controls_of(rows)
    for ablation in ablations[:ABLATIONS_AT_MOST]:
        members = [row for row in ablated if row["ablation"] == ablation]
        if not members or tables.at_chance:
            continue
        worst = min(members, key=lambda row: row[f"{metric}_difference"])["id"]
        name = _unused(drawn(ablation, 24), shown)
        shown[name] = errors[worst]
        told.append(worst)
        if beside.get(worst):
            n_controls = max(n_controls, len(beside[worst]))
            controls[name] = _mean_of([errors[row["id"]] for row in beside[worst]])
    columns = {**shown, **{f"{name}, random control": one for name, one in controls.items()}}
    undefined = any(math.isnan(change) for one in columns.values() for change in one.delta_ap.values())
    n = len(ablations)
    mean = f"mean over up to {counted(n_controls, 'random set')}" if n_controls > 1 else "a random set"
    caption = joined(
        (
            "AP that fixing each type of error (TIDE) would gain: baseline, and of each ablation the variant with the "
            f"lowest {title_of(metric)}: {', '.join(told)}."
            if told
            else "AP that fixing each type of error (TIDE) would gain: baseline.",
            f"The first {ABLATIONS_AT_MOST} of {n} ablations." if n > ABLATIONS_AT_MOST else "",
            f"Hollow bars: {mean} as large as the variant's." if controls else "",
            "n/a: undefined, because no detection is a hit and fixing these errors makes none, or no truth remains."
            if undefined
            else "",
            "The variants were chosen on the same images." if told and len(ablated) > 1 else "",
            measured_on(tables),
        )
    )
    data = FigureData(
        ("type of error", *columns),
        tuple((kind, *(one.delta_ap[kind] for one in columns.values())) for kind in KINDS),
    )
    yield NamedFigure("errors", caption, error_type_bars(shown, controls=controls), data)


def _changes(row: Row) -> dict[str, float]:
    """Return the AP that fixing each type gains; NaN where nothing is found (older tables have 0 there)."""
    found: dict[str, float] = {kind: row.get(f"d_{kind}", math.nan) for kind in KINDS}
    nothing = row.get("ap") == 0
    return {kind: math.nan if nothing and not change > 0 else change for kind, change in found.items()}


def _mean_of(errors: list[_Errors]) -> _Errors:
    """Return the mean of each type, over the rows where it is defined."""
    means = {}
    for kind in KINDS:
        known = [one.delta_ap[kind] for one in errors if math.isfinite(one.delta_ap[kind])]
        means[kind] = sum(known) / len(known) if known else math.nan
    return errors[0]._replace(delta_ap=means)


def _unused(name: str, names: Mapping[str, Any]) -> str:
    """Return the name, followed by a number if it is taken."""
    number = 2
    wanted = name
    while name in names:
        name, number = f"{wanted} ({number})", number + 1
    return name
