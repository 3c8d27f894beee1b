"""The pictures of a study, from its results."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ..errors import SettingError
from ..plots import Curve, as_text, dose_response_grid, drawn_all, legend_below, reference_color, tidy
from ..statistics import summarize_repeats
from ._captions import (
    confidence_of,
    counted,
    draws_text,
    joined,
    measured_on,
    noise_of_detector,
    noise_text,
    resamples,
)
from ._figures_classes import error_bars
from ._figures_maps import class_map, head_maps
from ._groups import DRAWS_FOR_A_BAND, Group, controls_of, groups_of
from ._named import FigureData, NamedFigure, title_of, with_no_ops
from ._settings import DEFAULT_METRIC
from ._tables import StudyTables

SIGNED = ("giou", "matched_giou")
"""Metrics that go from -1 to 1; all others go from 0 to 1."""
WORST_AT_MOST = 15
PANELS_AT_MOST = 12
CURVES_NAMED = 4


def figures(tables: StudyTables, metric: str = DEFAULT_METRIC) -> Iterator[NamedFigure]:
    """Draw what the study's variants allow: curves where doses grow, heatmaps of heads, classes, error types.

    Parameters
    ----------
    tables : StudyTables
    metric : str
        Of the study's metrics.

    Raises
    ------
    SettingError
        If `metric` is none of them.
    """
    if metric not in tables.metrics:
        raise SettingError(f"`metric` must be one of {', '.join(tables.metrics)}, got {metric!r}.")
    taken: set[str] = set()
    for draw in (dose_curves, head_maps, worst_variants, class_map, error_bars):
        for one in draw(tables, metric):
            name, number = one.name, 2
            while name in taken:  # ablations whose names differ in what no file's name has
                name, number = f"{one.name}-{number}", number + 1
            taken.add(name)
            yield one._replace(name=name)


def dose_curves(tables: StudyTables, metric: str) -> Iterator[NamedFigure]:
    """A metric against the dose, a panel for each ablation that has several doses, or for each of its blocks."""
    baseline = tables.summary[0][metric]
    several = len({row["intervention"] for row in tables.summary[1:]}) > 1
    curves: dict[tuple[str, str], list[Group]] = {}
    for group in groups_of(tables.summary, tables.selections):
        label = group.intervention if several else "ablated" if group.kind == "ablation" else ""
        if group.kind == "control":
            label = f"{label}{': ' if label else ''}random control"
        curves.setdefault((group.question, label), []).append(group)
    # One variant for each unit is no sweep over doses, nor is one dose.
    swept = {
        key: sorted(groups, key=lambda group: group.dose)
        for key, groups in curves.items()
        if len(groups) > 1 and all(group.are_draws or len(group.rows) == 1 for group in groups)
    }
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
    yield NamedFigure("dose-response", caption, figure, data)


def _behind_points(swept: Mapping[tuple[str, str], Sequence[Group]]) -> str:
    """How many draws a point is of, curve by curve where they differ."""
    by_text: dict[str, list[str]] = {}
    for (question, label), groups in swept.items():
        name = question if label == "ablated" else f"{question}, {label}"
        by_text.setdefault(draws_text(groups), []).append(name)
    if len(by_text) == 1:
        return f"A point: {next(iter(by_text))}."
    told = [f"{text} ({_curves(names)})" for text, names in by_text.items()]
    return f"A point: {'; '.join(told)}."


def _curves(names: Sequence[str]) -> str:
    """Names of curves, or how many there are of them."""
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
    """What small marks and bands are, as far as there are any."""
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
    """Dose, mean, interval and number of draws of each point."""
    columns = [
        np.asarray(each, dtype=float).tolist() for each in (curve.doses, curve.values, curve.low, curve.high)
    ]
    draws = np.isfinite(np.asarray(curve.points, dtype=float)).sum(axis=1).tolist()
    return list(zip(*columns, draws, strict=True))


def _curve(groups: Sequence[Group], metric: str, baseline: float, confidence: float) -> Curve:
    """Means over draws from dose 0, the baseline, on; with a band where there are draws enough, or nothing to draw."""
    most = max(len(group.rows) for group in groups)
    least, greatest = (-1.0, 1.0) if metric in SIGNED else (0.0, 1.0)
    points = [] if groups[0].dose == 0 else [(0.0, baseline, baseline, baseline, [math.nan] * most)]
    for group in groups:
        values = [row[metric] for row in group.rows]
        summary = summarize_repeats(values, confidence)
        low, high = math.nan, math.nan
        if summary.n >= DRAWS_FOR_A_BAND:
            low, high = max(least, summary.low), min(greatest, summary.high)
        elif group.dose in (0, 1):  # nothing is left to chance
            low, high = summary.mean, summary.mean
        points.append((group.dose, summary.mean, low, high, [*values, *[math.nan] * (most - len(values))]))
    return Curve(*zip(*points, strict=True))


def worst_variants(tables: StudyTables, metric: str) -> Iterator[NamedFigure]:
    """The variants that lose most, with intervals that allow for their choice, and their random controls."""
    from matplotlib.figure import Figure as FigureClass

    rows = tables.summary
    if tables.at_chance:
        return  # nothing can be lost from nothing
    known = [
        r
        for r in rows[1:]
        if r["kind"] == "ablation" and not r.get("no_op") and math.isfinite(r[f"{metric}_difference"])
    ]
    worst = sorted(known, key=lambda r: r[f"{metric}_difference"])[:WORST_AT_MOST]
    if not worst or not math.isfinite(worst[0][f"{metric}_low"]):
        return
    confidence = confidence_of(tables)
    figure = FigureClass(figsize=(8.6, 1.5 + 0.3 * len(worst)), layout="constrained")
    axes = figure.subplots()
    change = np.array([r[f"{metric}_difference"] for r in worst])
    low, high = np.array(
        [
            widened(
                r[f"{metric}_difference"], r[f"{metric}_low"], r[f"{metric}_high"], len(known), confidence
            )
            for r in worst
        ]
    ).T
    reach = np.maximum([change - low, high - change], 0)
    axes.errorbar(
        change,
        range(len(worst)),
        xerr=reach,
        fmt="o",
        color="#0072B2",
        markersize=5,
        capsize=2,
        label="ablation",
    )
    beside = controls_of(rows)
    controls = [
        (each[f"{metric}_difference"], i + 0.25)
        for i, r in enumerate(worst)
        for each in beside.get(r["id"], [])
    ]
    if controls:
        axes.plot(
            *np.array(controls).T,
            linestyle="none",
            marker="s",
            markersize=4,
            markerfacecolor="none",
            color="#D55E00",
            label="its random controls",
        )
    axes.set_yticks(range(len(worst)), drawn_all([r["id"] for r in worst], 80), fontsize=8)
    axes.invert_yaxis()
    axes.axvline(0, color=reference_color(), linestyle="--", linewidth=1)
    noise = noise_of_detector(tables, metric)
    if noise:
        axes.axvspan(-noise, noise, color=reference_color(), alpha=0.15, linewidth=0)
    sure = f"{confidence:.0%}".replace("%", " %")
    together = f" for {len(known):,} together" if len(known) > 1 else ""
    axes.set_xlabel(f"change of {title_of(metric)}, with its {sure} interval{together}")
    tidy(axes, "x")
    if controls:
        squares, dots = axes.get_legend_handles_labels()[0]  # lines come before error bars
        legend_below(figure, [dots, squares], ["ablation", "its random controls"])
    data = FigureData(
        ("variant", "change", "low", "high"),
        tuple(
            (r["id"], *numbers)
            for r, *numbers in zip(worst, *(c.tolist() for c in (change, low, high)), strict=True)
        ),
    )
    intervals = f"{sure} intervals (paired bootstrap over the images{resamples(tables)})"
    jointly = f"are widened to hold for all {len(known):,} variants together (Bonferroni)"
    caption = joined(
        (
            _which(change, len(known), title_of(metric)),
            f"{intervals}."
            if len(known) == 1
            else f"They were chosen on the same images: the {intervals} {jointly}."
            if len(worst) < len(known)
            else f"The {intervals} {jointly}.",
            "Hollow squares: random sets as large as the variant's, without intervals." if controls else "",
            f"{noise_text(tables, metric)} The grey band is as wide, to either side." if noise else "",
            measured_on(tables),
        )
    )
    yield NamedFigure("worst", caption, as_text(figure), data)


def _which(changes: NDArray[np.float64], n_known: int, metric: str) -> str:
    """Which variants are shown: those that lose most, as far as they lose anything."""
    shown, losing = len(changes), int((changes < 0).sum())
    if shown == n_known:
        which = (
            "the one variant that changed something"
            if shown == 1
            else f"all {shown} variants that changed something"
        )
        first = ", the lowest first" if shown > 1 else ""
        return f"Change of {metric} of {which}{first}."
    if losing == shown:
        return f"The {shown} of {n_known:,} variants that lose most of {metric}."
    return (
        f"The {shown} of {n_known:,} variants with the lowest change of {metric}; {losing} of them lose any."
    )


def widened(
    change: float, low: float, high: float, n_together: int, confidence: float = 0.95
) -> tuple[float, float]:
    """Widen an interval so that it and those of others hold together: Bonferroni's, for the worst of many.

    Parameters
    ----------
    change, low, high : float
        A change and the ends of its own interval.
    n_together : int
        Among how many it was chosen.
    confidence : float
        Of the interval alone, and of all of them together once they are widened.

    Returns
    -------
    tuple of float
        Each end moved away from the change by the ratio of the normal quantiles: so many resamples as percentiles of
        such small tails need are hardly ever there.

    Examples
    --------
    >>> low, high = widened(-0.3, -0.35, -0.26, 20)
    >>> round(low, 3), round(high, 3)
    (-0.377, -0.238)
    """
    alone, together = special.ndtri([(1 + confidence) / 2, 1 - (1 - confidence) / (2 * max(1, n_together))])
    ratio = float(together / alone)
    return change - ratio * (change - low), change + ratio * (high - change)
