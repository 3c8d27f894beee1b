"""A table of numbers as colours: layers by heads, variants by classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from ._plot_style import new_figure
from .errors import SettingError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["value_heatmap"]

NUMBERS_UP_TO = 150
NUMBERED_COLUMNS = 30
"""Cells that still have room for their number."""


def value_heatmap(
    values: ArrayLike,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    value_label: str,
    diverging: bool = True,
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
        Two hues around 0, as for differences: blue above, orange below. Else one hue from the least value on.
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
        If there are not as many names as rows and columns, or nothing to show.
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
    from matplotlib import colormaps
    from matplotlib.colors import Normalize

    n_rows, n_columns = array.shape
    cell = 0.62 if n_columns <= NUMBERED_COLUMNS else 0.17  # an overview, where there are many
    size = (2.9 + 0.075 * max(map(len, rows)) + max(cell * n_columns, 2.0), 1.6 + max(0.34 * n_rows, 0.9))
    figure = new_figure(figure, size)
    axes = figure.subplots()
    known = array[np.isfinite(array)]
    if diverging:
        reach = float(np.abs(known).max()) if known.size else 0.0
        scale, name = Normalize(-(reach or 1.0), reach or 1.0), "PuOr"
    else:
        low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
        if low == high:  # one value alone says nothing without 0
            low, high = (min(low, 0.0), max(high, 0.0)) if low else (0.0, 1.0)
        scale, name = Normalize(low, high), "Blues"
    # Grey for what is undefined: white is a value of the diverging colours.
    image = axes.imshow(
        np.ma.masked_invalid(array),
        cmap=colormaps[name].with_extremes(bad="#BBBBBB"),
        norm=scale,
        aspect="auto",
    )
    steep = max(map(len, columns)) > 4 and n_columns > 3
    if n_columns <= NUMBERED_COLUMNS:
        axes.set_xticks(
            range(n_columns), columns, rotation=45 if steep else 0, ha="right" if steep else "center"
        )
    else:
        axes.set_xticks(range(n_columns), columns, rotation=90, fontsize=7)
    axes.set_yticks(range(n_rows), rows)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xticks(np.arange(n_columns + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(n_rows + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1)
    axes.tick_params(which="minor", length=0)
    if array.size <= NUMBERS_UP_TO and n_columns <= NUMBERED_COLUMNS:
        for (row, column), value in np.ndenumerate(array):
            if np.isfinite(value):
                dark = abs(float(scale(value)) - 0.5) > 0.32 if diverging else float(scale(value)) > 0.6
                sign = "+" if diverging and value > 0 else ""
                text = f"{sign}{value:.3f}".replace("-", "\N{MINUS SIGN}")
                axes.text(
                    column,
                    row,
                    text,
                    ha="center",
                    va="center",
                    fontsize=8,
                    color="white" if dark else "black",
                )
    figure.colorbar(image, ax=axes, label=value_label, fraction=0.05, pad=0.02)
    if row_label:
        axes.set_ylabel(row_label)
    if column_label:
        axes.set_xlabel(column_label)
    if title:
        axes.set_title(title)
    return figure
