"""The figure of the variants that lose most, with intervals that hold for all variants together."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ...plots import as_text, drawn_all, legend_below, reference_color, tidy
from ..tables import StudyTables, controls_of, variant_names
from ._captions import confidence_of, joined, measured_on, noise_of_detector, noise_text, resamples
from ._marks import told
from ._named import FigureData, FigureMark, NamedFigure, title_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["widened", "worst_variants"]

WORST_AT_MOST = 15


def worst_variants(tables: StudyTables, metric: str) -> Iterator[NamedFigure]:
    """Draw the variants that lose most, with intervals that hold for all variants together, and their random controls.

    Nothing is drawn if the baseline is no better than chance, or if no variant has an interval.
    """
    from matplotlib.figure import Figure as FigureClass

    change_of = f"{metric}_difference"
    if tables.at_chance:
        return  # a baseline at chance has nothing to lose
    known = [
        row
        for row in tables.summary[1:]
        if row["kind"] == "ablation" and not row.get("no_op") and math.isfinite(row[change_of])
    ]
    worst = sorted(known, key=lambda row: row[change_of])[:WORST_AT_MOST]
    if not worst or not math.isfinite(worst[0][f"{metric}_low"]):
        return
    confidence = confidence_of(tables)
    change = np.array([row[change_of] for row in worst])
    low, high = np.array(
        [
            widened(row[change_of], row[f"{metric}_low"], row[f"{metric}_high"], len(known), confidence)
            for row in worst
        ]
    ).T
    beside = controls_of(tables.summary)
    controls = [
        (each[change_of], i + 0.25) for i, row in enumerate(worst) for each in beside.get(row["id"], [])
    ]
    sure = f"{confidence:.0%}".replace("%", " %")
    figure = FigureClass(figsize=(8.6, 1.5 + 0.3 * len(worst)), layout="constrained")
    axes = figure.subplots()
    names = variant_names(tables.summary)
    _draw(
        axes,
        [names[row["id"]] for row in worst],
        change,
        low,
        high,
        controls,
        noise_of_detector(tables, metric),
    )
    together = f" for {len(known):,} together" if len(known) > 1 else ""
    axes.set_xlabel(f"change of {title_of(metric)}, with its {sure} interval{together}")
    if controls:
        squares, dots = axes.get_legend_handles_labels()[0]  # lines come before error bars
        legend_below(figure, [dots, squares], ["ablation", "its random controls"])
    data = FigureData(
        ("variant", "change", "low", "high"),
        tuple(
            (row["id"], *numbers)
            for row, *numbers in zip(worst, *(c.tolist() for c in (change, low, high)), strict=True)
        ),
    )
    caption = _caption(tables, metric, change, len(known), sure, has_controls=bool(controls))
    reach = axes.get_xlim()
    marks = tuple(
        FigureMark(0, (*reach, i - 0.45, i + 0.45), told(tables, names, row, metric), row["id"])
        for i, row in enumerate(worst)
    )
    yield NamedFigure("worst", caption, as_text(figure), data, marks)


def _draw(
    axes: Axes,
    names: Sequence[str],
    change: NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    controls: Sequence[tuple[float, float]],
    noise: float,
) -> None:
    """Draw a row for each variant: its change with the interval, and its controls as hollow squares."""
    reach = np.maximum([change - low, high - change], 0)
    axes.errorbar(
        change,
        range(len(names)),
        xerr=reach,
        fmt="o",
        color="#0072B2",
        markersize=5,
        capsize=2,
        label="ablation",
    )
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
    axes.set_yticks(range(len(names)), drawn_all(names, 80), fontsize=8)
    axes.invert_yaxis()
    axes.axvline(0, color=reference_color(), linestyle="--", linewidth=1)
    if noise:
        axes.axvspan(-noise, noise, color=reference_color(), alpha=0.15, linewidth=0)
    tidy(axes, "x")


def _caption(
    tables: StudyTables,
    metric: str,
    change: NDArray[np.float64],
    n_known: int,
    sure: str,
    *,
    has_controls: bool,
) -> str:
    """Say which variants are shown, what their intervals are, and what else is in the figure."""
    intervals = f"{sure} intervals (paired bootstrap over the images{resamples(tables)})"
    jointly = f"are widened to hold for all {n_known:,} variants together (Bonferroni)"
    if n_known == 1:
        said = f"{intervals}."
    elif len(change) < n_known:
        said = f"They were chosen on the same images: the {intervals} {jointly}."
    else:
        said = f"The {intervals} {jointly}."
    noise = noise_text(tables, metric)
    return joined(
        (
            _which(change, n_known, title_of(metric)),
            said,
            "Hollow squares: random sets as large as the variant's, without intervals."
            if has_controls
            else "",
            f"{noise} The grey band is as wide, to either side." if noise else "",
            measured_on(tables),
        )
    )


def _which(changes: NDArray[np.float64], n_known: int, metric: str) -> str:
    """Say which variants are shown: those that lose most, as far as they lose anything."""
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
    """Widen an interval, by Bonferroni's rule, so that the intervals of several changes hold together.

    Parameters
    ----------
    change, low, high : float
        A change and the ends of its own interval.
    n_together : int
        Number of changes among which this one was chosen.
    confidence : float
        Confidence of the interval alone, and of all intervals together once they are widened.

    Returns
    -------
    tuple of float
        Low and high end. Their distances from the change grow by the ratio of the normal quantiles: percentiles of such
        small tails would need far more resamples than there are.

    Examples
    --------
    >>> low, high = widened(-0.3, -0.35, -0.26, 20)
    >>> round(low, 3), round(high, 3)
    (-0.377, -0.238)
    """
    alone, together = special.ndtri([(1 + confidence) / 2, 1 - (1 - confidence) / (2 * max(1, n_together))])
    ratio = float(together / alone)
    return change - ratio * (change - low), change + ratio * (high - change)
