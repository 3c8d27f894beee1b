"""The pictures of a study, from its results."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .._dose_curve import Curve
from .._intervals import summarize_repeats
from .._plot_doses import dose_response_grid
from .._plot_errors import error_type_bars
from .._plot_heatmap import value_heatmap
from .._tide_fix import ERROR_TYPES, SPECIAL_TYPES
from ..errors import SettingError
from ._tables import StudyTables

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLES = {
    "f1": "F1",
    "precision": "precision",
    "recall": "recall",
    "giou": "GIoU of hits",
    "matched_giou": "matched GIoU",
    "matched_f1": "matched F1",
}
_BACKGROUND = 0.1  # of `error_types`
ROWS_AT_MOST = 40
CLASSES_AT_MOST = 30


class NamedFigure(NamedTuple):
    """A figure, the name of its file, and what it shows, in a sentence."""

    name: str
    caption: str
    figure: Figure


def title_of(metric: str) -> str:
    """A metric's name for people."""
    return TITLES.get(metric, metric)


def figures(tables: StudyTables, metric: str = "AP50") -> Iterator[NamedFigure]:
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
        panels.setdefault(ablation, {})[label] = _curve(by_dose, baseline)
    if not panels:
        return
    chance = rows[0].get(f"{metric}_chance")
    figure = dose_response_grid(
        panels,
        metric_label=title_of(metric),
        baselines=dict.fromkeys(panels, baseline),
        chance=dict.fromkeys(panels, chance) if chance is not None and math.isfinite(chance) else None,
        columns=min(3, len(panels)),
    )
    confidence = float(tables.about["settings"].get("confidence", 0.95))
    yield NamedFigure(
        "dose-response",
        f"{title_of(metric)} against the share of units that are removed: mean over random draws, each draw as a small "
        f"mark, and the {confidence:.0%} t interval of the mean as a band.",
        figure,
    )


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


def head_maps(tables: StudyTables, metric: str) -> Iterator[NamedFigure]:
    """One map of blocks by units for each ablation that takes out single heads, levels or points."""
    rows = tables.summary
    found: dict[tuple[str, str], dict[tuple[str, int], float]] = {}
    removed = {row["id"]: row["removed"] for row in rows if row.get("removed")}
    for row in rows[1:]:
        places = removed.get(row["id"], [])
        single = len(places) == 1 and len(places[0]["units"]) == 1
        if row["kind"] == "ablation" and single and row["unit"] in ("head", "level", "point"):
            place = places[0]
            key = row["ablation"], row["intervention"]
            found.setdefault(key, {})[place["path"], place["units"][0]] = row[f"{metric}_difference"]
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
            value_label=f"change of {title_of(metric)}",
            column_label="unit removed",
            title=name,
        )
        yield NamedFigure(
            _file(f"units-{name}"),
            f"{name}: change of {title_of(metric)} when one unit alone is removed. Orange is a loss.",
            figure,
        )


def worst_variants(tables: StudyTables, metric: str) -> Iterator[NamedFigure]:
    """The variants that lose most, with their paired intervals."""
    from matplotlib.figure import Figure as FigureClass

    rows = tables.summary
    known = [r for r in rows[1:] if r["kind"] == "ablation" and math.isfinite(r[f"{metric}_difference"])]
    worst = sorted(known, key=lambda r: r[f"{metric}_difference"])[:15]
    if not worst or not math.isfinite(worst[0][f"{metric}_low"]):
        return
    figure = FigureClass(figsize=(8.6, 1.2 + 0.3 * len(worst)), layout="constrained")
    axes = figure.subplots()
    change = np.array([r[f"{metric}_difference"] for r in worst])
    low, high = (np.array([r[f"{metric}_{end}"] for r in worst]) for end in ("low", "high"))
    reach = np.maximum([change - low, high - change], 0)
    axes.errorbar(change, range(len(worst)), xerr=reach, fmt="o", color="#0072B2", markersize=5, capsize=2)
    axes.set_yticks(range(len(worst)), [_short(r["id"], 80) for r in worst], fontsize=8)
    axes.invert_yaxis()
    axes.axvline(0, color="#555555", linestyle="--", linewidth=1)
    axes.set_xlabel(f"change of {title_of(metric)}, with its paired 95 % interval")
    axes.grid(True, axis="x", color="#DDDDDD", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    yield NamedFigure("worst", f"The variants that lose most of {title_of(metric)}.", figure)


def class_map(tables: StudyTables, metric: str) -> Iterator[NamedFigure]:
    """Mean difference of each class over the draws of each ablation and dose."""
    import pyarrow.compute as pc

    rows = tables.summary
    chosen = tables.per_class.filter(pc.equal(tables.per_class["metric"], metric))
    variants, categories = (chosen[name].to_pylist() for name in ("variant", "category"))
    differences = chosen["difference"].to_numpy().tolist()
    names = list(dict.fromkeys(categories))[:CLASSES_AT_MOST]
    by_id = dict(zip(zip(variants, categories, strict=True), differences, strict=True))
    several = len({row["intervention"] for row in rows[1:]}) > 1
    groups: dict[str, list[str]] = {}
    for row in rows[1:]:
        if row["kind"] == "ablation":
            dose = f"{row['dose']:.0%}" if row["dose"] >= 0.01 else f"{row['dose']:.1%}"
            what = f", {row['intervention']}" if several else ""
            groups.setdefault(f"{row['ablation']}{what}, {dose}", []).append(row["id"])
    if not names or not groups:
        return
    shown = dict(list(groups.items())[:ROWS_AT_MOST])
    values = [[_mean([by_id[one, name] for one in ids]) for name in names] for ids in shown.values()]
    figure = value_heatmap(values, list(shown), names, value_label=f"change of {title_of(metric)}")
    yield NamedFigure(
        "classes", f"Change of {title_of(metric)} of each class, mean over draws. Orange is a loss.", figure
    )


class _Errors(NamedTuple):
    """What mending each type of error would give, as it stands in a table."""

    foreground: float
    background: float
    delta_ap: Mapping[str, float]


def error_bars(tables: StudyTables, metric: str) -> Iterator[NamedFigure]:
    """Error types of the baseline, and of the variant that loses most in each ablation."""
    rows = tables.summary
    foreground = float(tables.about["settings"].get("iou_threshold", 0.5))
    errors = {
        row["variant"]: _Errors(
            foreground,
            _BACKGROUND,
            {kind: row.get(f"d_{kind}", math.nan) for kind in (*ERROR_TYPES, *SPECIAL_TYPES)},
        )
        for row in tables.errors
    }
    chosen = {"baseline": errors[rows[0]["id"]]}
    for ablation in list(dict.fromkeys(row["ablation"] for row in rows[1:]))[:4]:
        members = [r for r in rows if r["ablation"] == ablation and math.isfinite(r[f"{metric}_difference"])]
        if members:
            worst = min(members, key=lambda r: r[f"{metric}_difference"])
            chosen[_short(ablation, 24)] = errors[worst["id"]]
    yield NamedFigure(
        "errors",
        "AP that mending each type of error (TIDE) would give: baseline, and the variant of each ablation that loses "
        "most.",
        error_type_bars(chosen),
    )


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return sum(known) / len(known) if known else math.nan


def _short(name: str, length: int = 60) -> str:
    return name if len(name) <= length else f"{name[: length // 2 - 1]}…{name[-length // 2 :]}"


def _file(name: str) -> str:
    """A name as that of a file.

    >>> _file("units-encoder heads: zero")
    'units-encoder-heads-zero'
    """
    return re.sub(r"[^\w]+", "-", name.lower()).strip("-")
