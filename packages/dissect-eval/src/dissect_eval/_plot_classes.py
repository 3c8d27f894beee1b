"""A metric per class as horizontal bars."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ._plot_style import HATCHES, line_style, new_figure, tidy
from .errors import SettingError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["per_class_bars"]


def per_class_bars(
    values: Mapping[str, Mapping[str, float]],
    *,
    metric_label: str,
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
        If there is no series or no class.
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
    n = len(values)
    figure = new_figure(figure, (6.4, 1.4 + len(classes) * max(0.28, 0.2 * n)))
    axes = figure.subplots()
    height = 0.8 / n
    places = np.arange(len(classes))
    for i, (label, series) in enumerate(values.items()):
        numbers = np.array([series.get(name, np.nan) for name in classes], dtype=np.float64)
        at = places - 0.4 + (i + 0.5) * height
        axes.barh(
            at,
            np.nan_to_num(numbers, nan=0.0),
            height=height,
            color=line_style(i).color,
            hatch=HATCHES[i % len(HATCHES)],
            edgecolor="white",
            linewidth=0.5,
            label=label,
        )
        for y in at[np.isnan(numbers)]:
            axes.annotate("n/a", (0, y), xytext=(3, 0), textcoords="offset points", va="center", fontsize=7)
    axes.set_yticks(places, classes)
    axes.invert_yaxis()
    axes.set_xlabel(metric_label)
    tidy(axes, "x")
    if n > 1:
        figure.legend(loc="outside lower center", ncols=min(4, n), frameon=False)
    if title:
        axes.set_title(title)
    return figure
