"""The figures of a study, from its tables."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ...errors import SettingError
from ...plots import Curve, dose_response_grid
from ...statistics import summarize_repeats
from ..measuring import DEFAULT_METRIC
from ..tables import DRAWS_FOR_A_BAND, Group, StudyTables, groups_of, variant_names
from ._captions import (
    confidence_of,
    counted,
    draws_text,
    joined,
    measured_on,
    noise_text,
)
from ._classes import error_bars
from ._layers import layer_maps
from ._maps import class_map
from ._marks import told
from ._named import FigureData, FigureMark, NamedFigure, title_of, with_no_ops
from ._worst import worst_variants

SIGNED = ("giou", "matched_giou")
"""Metrics that go from -1 to 1; all others go from 0 to 1."""
PANELS_AT_MOST = 12
CURVES_NAMED = 4


def figures(tables: StudyTables, metric: str = DEFAULT_METRIC) -> Iterator[NamedFigure]:
    """Draw the figures that the study's variants allow: dose–response, heads, worst variants, classes, error types.

    Parameters
    ----------
    tables : StudyTables
    metric : str
        One of the study's metrics.

    Raises
    ------
    SettingError
        If `metric` is none of them.
    """
    if metric not in tables.metrics:
        raise SettingError(f"`metric` must be one of {', '.join(tables.metrics)}, got {metric!r}.")
    taken: set[str] = set()
    for draw in (dose_curves, layer_maps, worst_variants, class_map, error_bars):
        for one in draw(tables, metric):
            name, number = one.name, 2
            while (
                name in taken
            ):  # names of ablations that differ only in characters that a file name cannot have
                name, number = f"{one.name}-{number}", number + 1
            taken.add(name)
            yield one._replace(name=name)


def dose_curves(tables: StudyTables, metric: str) -> Iterator[NamedFigure]:
    """Draw a metric against the dose: a panel for each ablation with several doses, or for each of its blocks."""
    baseline = tables.summary[0][metric]
    swept = _swept(tables)
    if not swept:
        return
    questions = list(dict.fromkeys(question for question, _ in swept))
    swept = {key: groups for key, groups in swept.items() if key[0] in questions[:PANELS_AT_MOST]}
    confidence = confidence_of(tables)
    panels: dict[str, dict[str, Curve]] = {}
    for (question, label), groups in swept.items():
        name = with_no_ops(label, [row for group in groups for row in group.rows])
        panels.setdefault(question, {})[name] = _curve(groups, metric, baseline, confidence)
    chance = tables.summary[0].get(f"{metric}_chance")
    figure = dose_response_grid(
        panels,
        metric_label=title_of(metric),
        baselines=dict.fromkeys(panels, baseline),
        chance=dict.fromkeys(panels, chance) if chance is not None and math.isfinite(chance) else None,
        columns=2 if len(panels) == 4 else min(3, len(panels)),
    )
    data = FigureData(
        ("ablation", "curve", "dose", "mean", "low", "high", "draws"),
        tuple(
            (question, label, *numbers)
            for question, curves in panels.items()
            for label, one in curves.items()
            for numbers in _numbers(one)
        ),
    )
    caption = joined(
        (
            f"{title_of(metric)} against the share of units that are removed.",
            f"The first {len(panels)} of {len(questions):,} ablations and blocks."
            if len(panels) < len(questions)
            else "",
            _behind_points(swept),
            _spread(swept, f"{confidence:.0%}".replace("%", " %")),
            noise_text(tables, metric),
            measured_on(tables),
        )
    )
    names = variant_names(tables.summary)
    marks = [
        FigureMark(
            i, (group.dose, group.dose, row[metric], row[metric]), told(tables, names, row, metric), row["id"]
        )
        for i, question in enumerate(panels)
        for (of, _), groups in swept.items()
        if of == question
        for group in groups
        for row in group.rows
        if math.isfinite(row[metric])
    ]
    yield NamedFigure("dose-response", caption, figure, data, tuple(marks))


def _swept(tables: StudyTables) -> dict[tuple[str, str], list[Group]]:
    """Return the groups of each curve by rising dose, by the curve's panel and label; no curves of a single dose.

    An ablation that makes one variant for each unit has no doses to sweep and is left out, too.
    """
    several = len({row["intervention"] for row in tables.summary[1:]}) > 1
    curves: dict[tuple[str, str], list[Group]] = {}
    for group in groups_of(tables.summary, tables.selections):
        label = group.intervention if several else "ablated" if group.kind == "ablation" else ""
        if group.kind == "control":
            label = f"{label}{': ' if label else ''}random control"
        curves.setdefault((group.question, label), []).append(group)
    return {
        key: sorted(groups, key=lambda group: group.dose)
        for key, groups in curves.items()
        if len(groups) > 1 and all(group.are_draws or len(group.rows) == 1 for group in groups)
    }


def _behind_points(swept: Mapping[tuple[str, str], Sequence[Group]]) -> str:
    """Say how many draws a point is the mean of, curve by curve where the numbers differ."""
    by_text: dict[str, list[str]] = {}
    for (question, label), groups in swept.items():
        name = question if label == "ablated" else f"{question}, {label}"
        by_text.setdefault(draws_text(groups), []).append(name)
    if len(by_text) == 1:
        return f"A point: {next(iter(by_text))}."
    told = [f"{text} ({_curves(names)})" for text, names in by_text.items()]
    return f"A point: {'; '.join(told)}."


def _curves(names: Sequence[str]) -> str:
    """Return the names of curves, or how many there are."""
    if len(names) <= CURVES_NAMED:
        return "; ".join(names)
    controls = sum(name.endswith("random control") for name in names)
    text = counted(len(names), "curve")
    return (
        text
        if 0 < controls < len(names)
        else f"{text}{' of random controls' if controls else ' of ablations'}"
    )


def _spread(swept: Mapping[tuple[str, str], Sequence[Group]], sure: str) -> str:
    """Say what small marks and bands mean, as far as there are any."""
    drawn = [len(group.rows) for groups in swept.values() for group in groups if group.are_draws]
    most = max(drawn, default=0)
    if most < 2:
        return ""
    marks = "Small marks are single draws, the line goes through their means"
    if most < DRAWS_FOR_A_BAND:
        return f"{marks}; a band needs {DRAWS_FOR_A_BAND} draws or more."
    few = f", where there are {DRAWS_FOR_A_BAND} or more" if min(drawn) < DRAWS_FOR_A_BAND else ""
    return f"{marks}; the band is the {sure} t interval of the mean over draws, on these images{few}."


def _numbers(curve: Curve) -> list[tuple[object, ...]]:
    """Return the dose, mean, interval and number of draws of each point."""
    columns = [
        np.asarray(each, dtype=float).tolist() for each in (curve.doses, curve.values, curve.low, curve.high)
    ]
    draws = np.isfinite(np.asarray(curve.points, dtype=float)).sum(axis=1).tolist()
    return list(zip(*columns, draws, strict=True))


def _curve(groups: Sequence[Group], metric: str, baseline: float, confidence: float) -> Curve:
    """Return the means over draws from the baseline at dose 0 on; an interval needs enough draws, or only one set."""
    most = max(len(group.rows) for group in groups)
    least, greatest = (-1.0, 1.0) if metric in SIGNED else (0.0, 1.0)
    points = [] if groups[0].dose == 0 else [(0.0, baseline, baseline, baseline, [math.nan] * most)]
    for group in groups:
        values = [row[metric] for row in group.rows]
        summary = summarize_repeats(values, confidence)
        low, high = math.nan, math.nan
        if summary.n >= DRAWS_FOR_A_BAND:
            low, high = max(least, summary.low), min(greatest, summary.high)
        elif group.dose in (0, 1):  # there is only one such set of units
            low, high = summary.mean, summary.mean
        points.append((group.dose, summary.mean, low, high, [*values, *[math.nan] * (most - len(values))]))
    return Curve(*zip(*points, strict=True))
