"""The pictures of a study, from its results."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from .._dose_curve import Curve
from .._intervals import summarize_repeats
from .._plot_doses import dose_response_grid
from .._plot_heatmap import value_heatmap
from .._plot_style import reference_color, tidy
from ..errors import SettingError
from ._figures_classes import class_map, error_bars
from ._named import FigureData, NamedFigure, short, title_of, with_no_ops
from ._settings import DEFAULT_METRIC
from ._tables import StudyTables


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
    for one in (dose_curves, head_maps, worst_variants, class_map, error_bars):
        yield from one(tables, metric)


def dose_curves(tables: StudyTables, metric: str) -> Iterator[NamedFigure]:
    """A metric against the dose, a panel for each ablation that has several doses."""
    rows = tables.summary
    baseline = rows[0][metric]
    panels: dict[str, dict[str, Curve]] = {}
    several = len({row["intervention"] for row in rows[1:]}) > 1
    groups: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for row in rows[1:]:
        groups.setdefault((row["ablation"], row["kind"], row["intervention"]), []).append(row)
    for (ablation, kind, intervention), members in groups.items():
        doses = sorted({row["dose"] for row in members})
        # One variant for each unit is no sweep over doses, nor is one draw.
        if len(doses) < 2:
            continue
        by_dose = {dose: [row[metric] for row in members if row["dose"] == dose] for dose in doses}
        label = "random control" if kind == "control" else intervention if several else "ablated"
        panels.setdefault(ablation, {})[with_no_ops(label, members)] = _curve(by_dose, baseline)
    if not panels:
        return
    chance = rows[0].get(f"{metric}_chance")
    figure = dose_response_grid(
        panels,
        metric_label=title_of(metric),
        baselines=dict.fromkeys(panels, baseline),
        chance=dict.fromkeys(panels, chance) if chance is not None and math.isfinite(chance) else None,
        columns=2 if len(panels) == 4 else min(3, len(panels)),
    )
    confidence = float(tables.about["settings"].get("confidence", 0.95))
    yield NamedFigure(
        "dose-response",
        f"{title_of(metric)} against the share of units that are removed: mean over random draws, each draw as a small "
        f"mark, and the {confidence:.0%} t interval of the mean as a band.",
        figure,
        FigureData(
            ("ablation", "curve", "dose", "mean", "low", "high", "draws"),
            tuple(
                (ablation, label, *numbers)
                for ablation, curves in panels.items()
                for label, one in curves.items()
                for numbers in _numbers(one)
            ),
        ),
    )


def _numbers(curve: Curve) -> list[tuple[object, ...]]:
    """Dose, mean, interval and number of draws of each point."""
    columns = [
        np.asarray(each, dtype=float).tolist() for each in (curve.doses, curve.values, curve.low, curve.high)
    ]
    draws = np.isfinite(np.asarray(curve.points, dtype=float)).sum(axis=1).tolist()
    return list(zip(*columns, draws, strict=True))


def _curve(by_dose: Mapping[float, Sequence[float]], baseline: float) -> Curve:
    most = max(map(len, by_dose.values()))
    doses, values, low, high, points = [0.0], [baseline], [baseline], [baseline], [[math.nan] * most]
    for dose, found in by_dose.items():
        summary = summarize_repeats(found)
        spread = summary.n > 1
        doses.append(dose)
        values.append(summary.mean)
        low.append(max(0.0, summary.low) if spread else summary.mean)
        high.append(min(1.0, summary.high) if spread else summary.mean)
        points.append([*found, *[math.nan] * (most - len(found))])
    if doses[1] == 0:  # a dose that rounds to no unit
        doses, values, low, high, points = (each[1:] for each in (doses, values, low, high, points))  # type: ignore[assignment]
    return Curve(doses, values, low, high, points)


def head_maps(
    tables: StudyTables, metric: str, *, show: Literal["difference", "ablated", "baseline"] = "difference"
) -> Iterator[NamedFigure]:
    """One map of blocks by units for each ablation that takes out single heads, levels or points."""
    rows = tables.summary
    column = f"{metric}_difference" if show == "difference" else metric
    found: dict[tuple[str, str], dict[tuple[str, int], float]] = {}
    still: dict[tuple[str, str], int] = {}
    removed = {row["id"]: row["removed"] for row in rows if row.get("removed")}
    for row in rows[1:]:
        places = removed.get(row["id"], [])
        single = len(places) == 1 and len(places[0]["units"]) == 1
        if row["kind"] == "ablation" and single and row["unit"] in ("head", "level", "point"):
            place = places[0]
            key = row["ablation"], row["intervention"]
            value = (rows[0] if show == "baseline" else row)[column]
            if row.get("no_op"):
                value, still[key] = math.nan, still.get(key, 0) + 1
            found.setdefault(key, {})[place["path"], place["units"][0]] = value
    several = len({intervention for _, intervention in found}) > 1
    for (ablation, intervention), cells in found.items():
        paths = list(dict.fromkeys(path for path, _ in cells))
        units = sorted({unit for _, unit in cells})
        if len(cells) < 2:
            continue
        values = [[cells.get((path, unit), math.nan) for unit in units] for path in paths]
        name = f"{ablation}: {intervention}" if several else ablation
        figure = value_heatmap(
            values,
            paths,
            [str(unit) for unit in units],
            value_label=f"change of {title_of(metric)}" if show == "difference" else title_of(metric),
            diverging=show == "difference",
            column_label="unit removed",
            title=name,
        )
        caption = {
            "difference": f"change of {title_of(metric)} when one unit alone is removed. Orange is a loss.",
            "ablated": f"{title_of(metric)} when one unit alone is removed.",
            "baseline": f"{title_of(metric)} of the whole model, whatever unit is removed then.",
        }[show]
        if n := still.get((ablation, intervention)):
            caption += f" Grey: {n} variant{'s' if n > 1 else ''} that changed nothing."
        table = tuple((path, *cells) for path, cells in zip(paths, values, strict=True))
        data = FigureData(("block", *(f"unit {unit}" for unit in units)), table)
        yield NamedFigure(_file(f"units-{name}"), f"{name}: {caption}", figure, data)


def worst_variants(tables: StudyTables, metric: str) -> Iterator[NamedFigure]:
    """The variants that lose most, with their paired intervals."""
    from matplotlib.figure import Figure as FigureClass

    rows = tables.summary
    if tables.at_chance:
        return  # nothing can be lost from nothing
    known = [
        r
        for r in rows[1:]
        if r["kind"] == "ablation" and not r.get("no_op") and math.isfinite(r[f"{metric}_difference"])
    ]
    worst = sorted(known, key=lambda r: r[f"{metric}_difference"])[:15]
    if not worst or not math.isfinite(worst[0][f"{metric}_low"]):
        return
    figure = FigureClass(figsize=(8.6, 1.2 + 0.3 * len(worst)), layout="constrained")
    axes = figure.subplots()
    change = np.array([r[f"{metric}_difference"] for r in worst])
    low, high = (np.array([r[f"{metric}_{end}"] for r in worst]) for end in ("low", "high"))
    reach = np.maximum([change - low, high - change], 0)
    axes.errorbar(change, range(len(worst)), xerr=reach, fmt="o", color="#0072B2", markersize=5, capsize=2)
    axes.set_yticks(range(len(worst)), [short(r["id"], 80) for r in worst], fontsize=8)
    axes.invert_yaxis()
    axes.axvline(0, color=reference_color(), linestyle="--", linewidth=1)
    axes.set_xlabel(f"change of {title_of(metric)}, with its paired 95 % interval")
    tidy(axes, "x")
    n = f" {len(worst)} of {len(known):,}" if len(known) > len(worst) else ""
    data = FigureData(
        ("variant", "change", "low", "high"),
        tuple((r["id"], *(r[f"{metric}_{end}"] for end in ("difference", "low", "high"))) for r in worst),
    )
    yield NamedFigure("worst", f"The{n} variants that lose most of {title_of(metric)}.", figure, data)


def _file(name: str) -> str:
    """A name as that of a file.

    >>> _file("units-encoder heads: zero")
    'units-encoder-heads-zero'
    """
    return re.sub(r"[^\w]+", "-", name.lower()).strip("-")
