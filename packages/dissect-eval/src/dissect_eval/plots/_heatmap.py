"""A table of numbers as colours: layers by heads, variants by classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import SettingError
from ._style import legend_below, new_figure
from ._text import as_text, drawn, drawn_all

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

__all__ = ["value_heatmap"]

NUMBERS_UP_TO = 150
NUMBERED_COLUMNS = 30
"""Most cells, and most columns, with room for a number in each cell."""
NAMED_ROWS = 48
"""Most rows that are high enough for a name of usual size."""
UNDEFINED = "#BBBBBB"
HATCH = "#808080"


def value_heatmap(
    values: ArrayLike,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    value_label: str,
    diverging: bool = True,
    limits: tuple[float, float] | None = None,
    scale: Literal["linear", "sqrt"] = "linear",
    unsure: ArrayLike | None = None,
    unsure_label: str = "interval includes 0",
    undefined_label: str = "undefined",
    row_label: str | None = None,
    column_label: str | None = None,
    title: str | None = None,
    figure: Figure | None = None,
) -> Figure:
    """Plot numbers as colours, such as the AP that each head of each layer is worth.

    Parameters
    ----------
    values : array-like, shape (R, C)
        NaN is grey.
    rows, columns : sequence of str
        Names of the R rows and the C columns.
    value_label : str
        What the colours show, beside the colour bar.
    diverging : bool
        Whether to use two hues around 0, as for differences: purple above, orange below. If not, one hue grows darker
        from the least value to the greatest.
    limits : tuple of float, optional
        Range of the colour scale, for maps that are compared; by default that of `values`.
    scale : {"linear", "sqrt"}
        How values become colours; "sqrt" shows differences of small values beside large ones, on both sides of 0.
    unsure : array-like of bool, shape (R, C), optional
        Cells to hatch, such as those that may well be 0.
    unsure_label : str
        What the hatching means, in the legend.
    undefined_label : str
        What grey means, in the legend.
    row_label, column_label : str, optional
        What rows and columns are.
    title : str, optional
        Above the plot.
    figure : matplotlib.figure.Figure, optional
        Drawn into after clearing it; by default a new one, large enough.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    SettingError
        If the numbers of names and of rows or columns differ, there is no value, `unsure` has another shape, `limits`
        are not an interval, or `scale` is unknown.
    MissingExtraError
        If matplotlib is not installed.

    Examples
    --------
    >>> figure = value_heatmap([[-0.1, 0.02]], ["layer 0"], ["head 0", "head 1"], value_label="change of AP")
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['−0.100', '+0.020']
    """
    array = np.asarray(values, dtype=np.float64)
    if array.shape != (len(rows), len(columns)) or not array.size:
        raise SettingError(
            f"`values` must have shape ({len(rows)}, {len(columns)}), a row for each of `rows` and a column for each "
            f"of `columns`, got {array.shape}."
        )
    hatched = np.zeros(array.shape, dtype=np.bool_) if unsure is None else np.asarray(unsure, dtype=np.bool_)
    if hatched.shape != array.shape:
        raise SettingError(f"`unsure` must have the shape of `values`, {array.shape}, got {hatched.shape}.")
    hatched = hatched & np.isfinite(array)
    from matplotlib import colormaps

    rows, columns = drawn_all(rows), drawn_all(columns)
    figure = new_figure(figure, _size(rows, columns))
    axes = figure.subplots()
    norm = _norm(array, diverging, limits, scale)
    # Grey for what is undefined: white is a value of the diverging colours.
    colors = colormaps["PuOr" if diverging else "Blues"].with_extremes(bad=UNDEFINED)
    image = axes.imshow(np.ma.masked_invalid(array), cmap=colors, norm=norm, aspect="auto")
    _name_cells(axes, rows, columns)
    _hatch(axes, hatched)
    if array.size <= NUMBERS_UP_TO and len(columns) <= NUMBERED_COLUMNS:
        _number(axes, array, hatched, diverging)
    bar = figure.colorbar(image, ax=axes, label=drawn(value_label), fraction=0.05, pad=0.02)
    if scale == "sqrt":
        _set_ticks(bar, norm, diverging)
    _legend(figure, hatched, array, unsure_label, undefined_label)
    if row_label:
        axes.set_ylabel(drawn(row_label))
    if column_label:
        axes.set_xlabel(drawn(column_label))
    if title:
        axes.set_title(drawn(title))
    return as_text(figure)


def _cell_width(n_columns: int) -> float:
    """Return the width of a cell in inches, small where there are too many columns for numbers."""
    return 0.62 if n_columns <= NUMBERED_COLUMNS else 0.17


def _size(rows: Sequence[str], columns: Sequence[str]) -> tuple[float, float]:
    """Return a figure size in inches with room for cells and names."""
    is_named = len(rows) <= NAMED_ROWS
    height, letter = (0.34, 0.075) if is_named else (0.17, 0.055)
    below = 0.055 * max(0, max(map(len, columns)) - 10)  # long names of columns are written at an angle
    return (
        2.9 + letter * max(map(len, rows)) + max(_cell_width(len(columns)) * len(columns), 2.0),
        1.9 + below + max(height * len(rows), 0.9),
    )


def _name_cells(axes: Axes, rows: Sequence[str], columns: Sequence[str]) -> None:
    """Write the names of rows and columns, long ones at an angle, and draw white lines between the cells."""
    n_rows, n_columns = len(rows), len(columns)
    longest = max(map(len, columns))
    steep = (longest > 4 and n_columns > 3) or longest * 0.09 > max(_cell_width(n_columns), 2.0 / n_columns)
    if n_columns <= NUMBERED_COLUMNS:
        axes.set_xticks(
            range(n_columns), columns, rotation=45 if steep else 0, ha="right" if steep else "center"
        )
    else:
        axes.set_xticks(range(n_columns), columns, rotation=90, fontsize=7)
    axes.set_yticks(range(n_rows), rows, fontsize=None if n_rows <= NAMED_ROWS else 7)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xticks(np.arange(n_columns + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(n_rows + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1)
    axes.tick_params(which="minor", length=0)


def _norm(
    values: NDArray[np.float64], diverging: bool, limits: tuple[float, float] | None, scale: str
) -> Normalize:
    """Return the scale that turns values into colours."""
    from matplotlib.colors import FuncNorm, Normalize

    if scale not in ("linear", "sqrt"):
        raise SettingError(f"`scale` must be 'linear' or 'sqrt', got {scale!r}.")
    if limits is not None and not limits[0] < limits[1]:
        raise SettingError(f"`limits` must be (low, high) with low < high, got {limits}.")
    known = values[np.isfinite(values)]
    low, high = limits or ((float(known.min()), float(known.max())) if known.size else (0.0, 1.0))
    if diverging:
        reach = max(abs(low), abs(high)) or 1.0
        low, high = -reach, reach
    elif low == high:  # a single value needs 0 as the other end of the scale
        low, high = (min(low, 0.0), max(high, 0.0)) if low else (0.0, 1.0)
    if scale == "linear":
        return Normalize(low, high)
    return FuncNorm((lambda x: np.sign(x) * np.sqrt(np.abs(x)), lambda y: np.sign(y) * y**2), low, high)


def _hatch(axes: Axes, hatched: NDArray[np.bool_]) -> None:
    """Hatch cells, all of them as one collection: there may be thousands."""
    from matplotlib.collections import PolyCollection

    square = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
    places = np.argwhere(hatched)[:, ::-1]
    if len(places):
        cells = PolyCollection(
            list(places[:, None] + square), facecolors="none", edgecolors=HATCH, linewidths=0, hatch="///"
        )
        axes.add_collection(cells, autolim=False)


def _number(axes: Axes, values: NDArray[np.float64], hatched: NDArray[np.bool_], diverging: bool) -> None:
    """Write each cell's value into it, in black or white, whichever is easier to read."""
    (image,) = axes.images
    for (row, column), value in np.ndenumerate(values):
        if not np.isfinite(value):
            continue
        color = image.to_rgba(value)
        bright = float(np.dot(color[:3], (0.299, 0.587, 0.114)))
        sign = "+" if diverging and value > 0 else ""
        axes.text(
            column,
            row,
            f"{sign}{value:.3f}".replace("-", "\N{MINUS SIGN}"),
            ha="center",
            va="center",
            fontsize=8,
            color="black" if bright > 0.5 else "white",
            # A frame of the cell's colour keeps the hatching from the number.
            bbox={"facecolor": color, "edgecolor": "none", "pad": 1.0} if hatched[row, column] else None,
        )


def _set_ticks(bar: Any, norm: Normalize, diverging: bool) -> None:
    """Set marks at even steps of the colours, named by their values."""
    steps = np.linspace(0, 1, 9 if diverging else 5)
    ticks = np.asarray(norm.inverse(steps), dtype=np.float64)
    bar.set_ticks(ticks, labels=[f"{tick:.2g}".replace("-", "\N{MINUS SIGN}") for tick in ticks])
    bar.ax.minorticks_off()


def _legend(
    figure: Figure,
    hatched: NDArray[np.bool_],
    values: NDArray[np.float64],
    unsure_label: str,
    undefined_label: str,
) -> None:
    """Say what hatched and grey cells are, where there are any."""
    from matplotlib.patches import Patch

    shown: dict[str, Any] = {}
    if hatched.any():
        shown[unsure_label] = Patch(facecolor="#F4F4F4", edgecolor=HATCH, hatch="///", linewidth=0)
    if not np.isfinite(values).all():
        shown[undefined_label] = Patch(facecolor=UNDEFINED, edgecolor="none")
    if shown:
        legend_below(figure, list(shown.values()), list(shown))
