"""A metric per class as horizontal bars, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from ..errors import SettingError
from ._style import HATCHES, legend_below, line_style, new_figure, tidy
from ._text import LEGEND_AT_MOST, as_text, drawn, drawn_all

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["per_class_bars"]


def per_class_bars(
    values: Mapping[str, Mapping[str, float]],
    *,
    metric_label: str,
    intervals: Mapping[str, Mapping[str, tuple[float, float]]] | None = None,
    title: str | None = None,
    figure: Figure | None = None,
) -> Figure:
    """Plot a metric per class as horizontal bars, one bar per series, such as baseline and ablated.

    Parameters
    ----------
    values : mapping of str to mapping of str to float
        Per series the metric by class name. Classes are ordered as in the first series; a class that is
        missing or NaN gets no bar but the mark "n/a".
    metric_label : str
        What the bars show.
    intervals : mapping of str to mapping of str to (low, high), optional
        Per series the ends of an interval by class name, such as of a bootstrap, drawn as an error bar. It
        need not hold the value; one with a NaN end is left out.
    title : str, optional
        Above the plot.
    figure : matplotlib.figure.Figure, optional
        Drawn into after clearing it; by default a new one, high enough for the classes.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    SettingError
        If there is no series or no class, an interval belongs to no bar, or its ends are swapped.
    MissingExtraError
        If matplotlib is not installed.

    Examples
    --------
    >>> figure = per_class_bars({"baseline": {"cat": 0.5, "dog": 0.4}}, metric_label="AP")
    >>> [text.get_text() for text in figure.axes[0].get_yticklabels()]
    ['cat', 'dog']
    """
    classes = list(dict.fromkeys(name for series in values.values() for name in series))
    if not classes:
        raise SettingError("`values` must hold at least one series with one class.")
    _check_intervals(intervals or {}, values)
    n = len(values)
    figure = new_figure(figure, (6.4, 1.4 + len(classes) * max(0.28, 0.2 * n)))
    axes = figure.subplots()
    height = 0.8 / n
    places = np.arange(len(classes))
    labels = drawn_all(list(values), LEGEND_AT_MOST, legend=True)
    for i, (label, series) in enumerate(values.items()):
        at = places - 0.4 + (i + 0.5) * height
        numbers = np.array([series.get(name, np.nan) for name in classes], dtype=np.float64)
        axes.barh(
            at,
            np.nan_to_num(numbers, nan=0.0),
            height=height,
            color=line_style(i).color,
            hatch=HATCHES[i % len(HATCHES)],
            edgecolor="white",
            linewidth=0.5,
            label=labels[i],
        )
        for y in at[np.isnan(numbers)]:
            axes.annotate("n/a", (0, y), xytext=(3, 0), textcoords="offset points", va="center", fontsize=7)
        ranges = (intervals or {}).get(label, {})
        _draw_intervals(axes, at, height, [ranges.get(name, (np.nan, np.nan)) for name in classes])
    axes.set_yticks(places, drawn_all(classes))
    axes.invert_yaxis()
    axes.set_xlabel(drawn(metric_label))
    tidy(axes, "x")
    if n > 1:
        legend_below(figure, *axes.get_legend_handles_labels())
    if title:
        axes.set_title(drawn(title))
    return as_text(figure)


def _draw_intervals(axes: Axes, at: ArrayLike, height: float, ranges: Sequence[tuple[float, float]]) -> None:
    """Draw the intervals of a series over its bars, as far as they are defined."""
    low, high = np.array(ranges, dtype=np.float64).T
    if not np.isfinite(low + high).any():
        return
    # Dark lines with a light rim show on every colour and hatch.
    for color, width in (("white", 3.0), ("#222222", 1.2)):
        axes.errorbar(
            (low + high) / 2,
            at,
            xerr=(high - low) / 2,
            fmt="none",
            ecolor=color,
            elinewidth=width,
            capsize=min(3.0, 10 * height),
            capthick=width,
        )


def _check_intervals(
    intervals: Mapping[str, Mapping[str, tuple[float, float]]], values: Mapping[str, Mapping[str, float]]
) -> None:
    for label, ranges in intervals.items():
        stray = sorted(ranges.keys() - values.get(label, {}).keys())
        if label not in values or stray:
            raise SettingError(
                f"`intervals` must be of series and classes in `values`, got {[label, *stray]}. "
                f"Series are {sorted(values)}."
            )
        for name, (low, high) in ranges.items():
            if low > high:
                raise SettingError(
                    f"`intervals` must be (low, high), got ({low}, {high}) for {label!r}, {name!r}. Swap them."
                )
