"""Dose–response curves, one panel or small multiples."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..errors import SettingError
from ._dose_curve import Curve
from ._style import legend_below, line_style, new_figure, reference_color, tidy
from ._text import LEGEND_AT_MOST, as_text, drawn, drawn_all

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["dose_response", "dose_response_grid"]


BASELINE = "baseline (no ablation)"
CHANCE = "chance (random boxes)"


def dose_response(
    curves: Mapping[str, Curve],
    *,
    metric_label: str,
    baseline: float | None = None,
    title: str | None = None,
    figure: Figure | None = None,
) -> Figure:
    """Plot a metric against the share of units ablated, one curve per component or intervention.

    Parameters
    ----------
    curves : mapping of str to Curve
        By label, in the order of the legend.
    metric_label : str
        What the vertical axis shows, with its unit if it has one.
    baseline : float, optional
        The metric of the intact model, drawn as a dashed horizontal line.
    title : str, optional
        Above the plot.
    figure : matplotlib.figure.Figure, optional
        Drawn into after clearing it; by default a new one that is not registered with pyplot.

    Returns
    -------
    matplotlib.figure.Figure
        Save it with ``figure.savefig(path)``.

    Raises
    ------
    SettingError
        If there is no curve.
    MissingExtraError
        If matplotlib is not installed.

    Examples
    --------
    >>> curves = {"encoder": Curve([0, 0.1, 0.5], [0.42, 0.30, 0.05])}
    >>> figure = dose_response(curves, metric_label="AP", baseline=0.42)
    >>> figure.axes[0].get_ylabel()
    'AP'
    """
    return dose_response_grid(
        {title or "": curves},
        metric_label=metric_label,
        baselines=None if baseline is None else {title or "": baseline},
        figure=figure,
    )


def dose_response_grid(
    panels: Mapping[str, Mapping[str, Curve]],
    *,
    metric_label: str,
    baselines: Mapping[str, float] | None = None,
    chance: Mapping[str, float] | None = None,
    title: str | None = None,
    columns: int = 3,
    figure: Figure | None = None,
) -> Figure:
    """Plot dose–response curves in small multiples, such as one panel per detector, on common axes.

    Parameters
    ----------
    panels : mapping of str to mapping of str to Curve
        By panel title, then by label. A label has the same colour, marker and dash in every panel.
    metric_label : str
        What the vertical axes show.
    baselines : mapping of str to float, optional
        Per panel the metric of its intact model, drawn as a dashed horizontal line.
    chance : mapping of str to float, optional
        Per panel what random boxes reach (`dissect_eval.chance_level`), drawn as a dotted line.
    title : str, optional
        Above all panels.
    columns : int
        Most panels in a row.
    figure : matplotlib.figure.Figure, optional
        Drawn into after clearing it; by default a new one.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    SettingError
        If there is no panel or a panel has no curve, or a baseline or chance level belongs to no panel.
    MissingExtraError
        If matplotlib is not installed.

    Examples
    --------
    >>> curves = {"encoder": Curve([0, 0.5], [0.42, 0.05])}
    >>> figure = dose_response_grid({"DETR": curves, "DINO": curves}, metric_label="AP")
    >>> [axes.get_title() for axes in figure.axes]
    ['DETR', 'DINO']
    """
    if columns < 1 or not panels or not all(panels.values()):
        raise SettingError(
            "`panels` must hold panels with at least one curve each, and `columns` must be >= 1, got "
            f"{len(panels)} panels and columns={columns}."
        )
    baselines, chance = baselines or {}, chance or {}
    for name, levels in (("baselines", baselines), ("chance", chance)):
        if stray := sorted(levels.keys() - panels.keys()):
            raise SettingError(f"`{name}` must name panels, got {stray}. Panels are {sorted(panels)}.")
    names = list(dict.fromkeys(label for curves in panels.values() for label in curves))
    labels = drawn_all(names, LEGEND_AT_MOST, legend=True)
    told = dict(zip(names, labels, strict=True))
    n_columns = min(columns, len(panels))
    n_rows = -(-len(panels) // n_columns)
    size = (6.4, 4.6) if len(panels) == 1 else (1.2 + 3.2 * n_columns, 0.9 + 2.7 * n_rows)
    figure = new_figure(figure, size)
    grid = figure.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False)
    for i, (name, curves) in enumerate(panels.items()):
        row, column = divmod(i, n_columns)
        axes = grid[row, column]
        if name in chance:
            axes.axhline(
                chance[name], color=reference_color(), linestyle=":", linewidth=1.2, label=CHANCE, zorder=1
            )
        _draw(axes, {told[label]: curve for label, curve in curves.items()}, labels, baselines.get(name))
        axes.set_title(_wrapped(name, 30 if len(panels) > 1 else 54))
        if column == 0:
            axes.set_ylabel(drawn(metric_label))
        if i + n_columns >= len(panels):
            axes.set_xlabel("Dose (share of units ablated)")
            axes.tick_params(labelbottom=True)
    for axes in list(grid.flat)[len(panels) :]:
        axes.remove()
    handles = {
        label: handle
        for axes in figure.axes
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    keys = [label for label in [*labels, BASELINE, CHANCE] if label in handles]
    legend_below(figure, [handles[key] for key in keys], keys, most=3 if len(panels) == 1 else 4)
    if title:
        figure.suptitle(drawn(title))
    return as_text(figure)


def _wrapped(name: str, width: int) -> str:
    """Break a panel's title into lines as wide as the panel."""
    return textwrap.fill(drawn(name, 4 * width), width, break_long_words=True, max_lines=4, placeholder=" …")


def _draw(axes: Axes, curves: Mapping[str, Curve], labels: Sequence[str], baseline: float | None) -> None:
    from matplotlib.ticker import PercentFormatter

    if baseline is not None:
        axes.axhline(
            baseline, color=reference_color(), linestyle="--", linewidth=1.2, label=BASELINE, zorder=1
        )
    for label, curve in curves.items():
        style = line_style(labels.index(label))
        doses = np.asarray(curve.doses, dtype=np.float64)
        if curve.low is not None and curve.high is not None:
            low, high = np.asarray(curve.low, dtype=np.float64), np.asarray(curve.high, dtype=np.float64)
            known = np.isfinite(low + high)
            linked = known[1:] & known[:-1]
            if linked.any():
                axes.fill_between(doses, low, high, color=style.color, alpha=0.18, linewidth=0)
            # A band between points needs two neighbouring intervals: one alone is drawn as a bar.
            alone = known & ~np.append(linked, False) & ~np.append(False, linked) & (low < high)
            if alone.any():
                axes.vlines(doses[alone], low[alone], high[alone], color=style.color, alpha=0.35, linewidth=4)
        if curve.points is not None:
            points = np.asarray(curve.points, dtype=np.float64)
            axes.plot(
                np.repeat(doses, points.shape[1]),
                points.ravel(),
                linestyle="none",
                marker=style.marker,
                markersize=3,
                color=style.color,
                alpha=0.45,
            )
        axes.plot(
            doses,
            np.asarray(curve.values, dtype=np.float64),
            color=style.color,
            marker=style.marker,
            linestyle=style.linestyle,
            linewidth=2,
            markersize=6,
            label=label,
        )
    axes.xaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=None))
    tidy(axes, "y")
