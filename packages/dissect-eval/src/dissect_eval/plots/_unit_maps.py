"""Maps of single units beside each other: a map for each kind of block, layers as rows, one colour scale for all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import SettingError
from ._style import new_figure
from ._text import as_text, drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["UnitMap", "unit_map_figure"]

CELL = (0.62, 0.38)
"""Width and height of a cell, in inches."""
WIDEST = 8.4
LOSS, NOTHING, GAIN = (178 / 255, 84 / 255, 20 / 255), (1.0, 1.0, 1.0), (70 / 255, 88 / 255, 170 / 255)
UNDEFINED = "#BBBBBB"
_LEFT, _GAP, _TITLE, _BELOW = 0.5, 0.45, 0.4, 0.5
_INK, _PALE = "#1c1c1c", "#fdfdfd"


class UnitMap(NamedTuple):
    """Numbers of a map.

    Attributes
    ----------
    title, unit : str
        What the map is of, and what its columns are, such as "head".
    rows, columns : sequence of str
        Names of layers, and of units.
    values : ndarray of float64, shape (R, C)
        NaN where there is none, or where the variant changed nothing.
    unsure : ndarray of bool, shape (R, C)
        Cells that may well be 0: their numbers are faint, all others bold.
    """

    title: str
    unit: str
    rows: Sequence[str]
    columns: Sequence[str]
    values: NDArray[np.float64]
    unsure: NDArray[np.bool_]


def unit_map_figure(
    maps: Sequence[UnitMap], *, metric_label: str, reach: float | None = None, figure: Figure | None = None
) -> Figure:
    """Plot changes of single units as maps beside each other, on one colour scale.

    Parameters
    ----------
    maps : sequence of UnitMap
    metric_label : str
        Name of the metric.
    reach : float, optional
        End of the colour scale on both sides of 0; by default the largest value of all maps.
    figure : matplotlib.figure.Figure, optional
        Drawn into after clearing it.

    Returns
    -------
    matplotlib.figure.Figure
        Axes i is that of map i; the last is the scale.

    Raises
    ------
    SettingError
        If there is no map.

    Examples
    --------
    >>> one = UnitMap("encoder", "head", ["0"], ["0", "1"], np.array([[-0.1, 0.02]]), np.array([[False, True]]))
    >>> figure = unit_map_figure([one], metric_label="AP")
    >>> [(text.get_text(), text.get_fontweight()) for text in figure.axes[0].texts]
    [('−0.100', 'bold'), ('+0.020', 'normal')]
    """
    if not maps:
        raise SettingError("`maps` must hold at least one map, got none.")
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    known = np.concatenate([one.values[np.isfinite(one.values)] for one in maps])
    reach = reach or (float(np.abs(known).max()) if known.size else 0.0) or 1.0
    colors = LinearSegmentedColormap.from_list("loss-gain", [LOSS, NOTHING, GAIN]).with_extremes(
        bad=UNDEFINED
    )
    norm = Normalize(-reach, reach)
    places, (width, height) = _placed(maps)
    figure = new_figure(figure, (width, height))
    figure.set_layout_engine("none")
    for one, (left, top) in zip(maps, places, strict=True):
        n_rows, n_columns = one.values.shape
        box = (
            left / width,
            1 - (top + n_rows * CELL[1]) / height,
            n_columns * CELL[0] / width,
            n_rows * CELL[1] / height,
        )
        _draw(figure.add_axes(box), one, colors, norm)
    _scale(figure, colors, norm, metric_label)
    return as_text(figure)


def _placed(maps: Sequence[UnitMap]) -> tuple[list[tuple[float, float]], tuple[float, float]]:
    """Return left and top of each map in inches, in lines as wide as a page, and the size of the figure."""
    left, top, line, right = 0.0, 0.0, 0.0, 0.0
    places = []
    for one in maps:
        wide = _LEFT + max(one.values.shape[1] * CELL[0], 0.1 * len(one.title))
        high = _TITLE + one.values.shape[0] * CELL[1] + _BELOW
        if left and left + wide > WIDEST:
            left, top, line = 0.0, top + line, 0.0
        places.append((left + _LEFT, top + _TITLE))
        left, line = left + wide + _GAP, max(line, high)
        right = max(right, left - _GAP)
    return places, (max(right, 5.6) + 0.1, top + line + 0.42)


def _draw(axes: Axes, one: UnitMap, colors: Any, norm: Any) -> None:
    n_rows, n_columns = one.values.shape
    axes.pcolormesh(
        np.arange(n_columns + 1) - 0.5,
        np.arange(n_rows + 1) - 0.5,
        np.ma.masked_invalid(one.values),
        cmap=colors,
        norm=norm,
    )
    axes.invert_yaxis()
    axes.set_title(drawn(one.title), loc="left", fontsize=10.5, fontweight="bold", pad=8)
    axes.set_xticks(range(n_columns), list(one.columns), fontsize=8.5)
    axes.set_yticks(range(n_rows), list(one.rows), fontsize=8.5)
    axes.set_xlabel(one.unit, fontsize=8.5, labelpad=1)
    axes.set_ylabel(
        "layer" if all(row and row[0].isdecimal() for row in one.rows) else "", fontsize=8.5, labelpad=1
    )
    axes.tick_params(length=0, pad=2)
    axes.spines[:].set_visible(False)
    for edge in np.arange(n_columns - 1) + 0.5:
        axes.axvline(edge, color=_gap_color(), linewidth=2.5)
    for edge in np.arange(n_rows - 1) + 0.5:
        axes.axhline(edge, color=_gap_color(), linewidth=2.5)
    for (row, column), value in np.ndenumerate(one.values):
        if not np.isfinite(value):
            axes.text(column, row, "–", ha="center", va="center", fontsize=8.5, color=_INK)
            continue
        sure = not one.unsure[row, column]
        bright = float(np.dot(colors(norm(value))[:3], (0.299, 0.587, 0.114)))
        axes.text(
            column,
            row,
            f"{value:+.3f}".replace("-", "\N{MINUS SIGN}"),
            ha="center",
            va="center",
            fontsize=8.5,
            fontweight="bold" if sure else "normal",
            alpha=1.0 if sure else 0.75,
            color=_INK if bright > 0.55 else _PALE,
        )


def _gap_color() -> str:
    """Return the colour of the page behind the cells."""
    import matplotlib as mpl

    face = mpl.rcParams["figure.facecolor"]
    return "#fffffe" if face == "none" else str(face)


def _scale(figure: Figure, colors: Any, norm: Any, metric_label: str) -> None:
    """Draw the scale below all maps: a strip of colours between its two ends in words."""
    width, height = figure.get_size_inches()
    axes = figure.add_axes((1.75 / width, 0.14 / height, 1.6 / width, 0.12 / height))
    axes.imshow(np.linspace(norm.vmin, norm.vmax, 64)[None], aspect="auto", cmap=colors, norm=norm)
    axes.set_axis_off()
    ends = f"{norm.vmax:.2g}"
    figure.text(
        1.68 / width,
        0.2 / height,
        f"loss of {drawn(metric_label)} {ends}",
        ha="right",
        va="center",
        fontsize=9,
    )
    figure.text(
        3.42 / width,
        0.2 / height,
        f"gain {ends} \N{MIDDLE DOT} one scale for all maps",
        va="center",
        fontsize=9,
    )
