"""A confusion matrix as a heat map, readable up to COCO's 80 classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .._arrays import Ints, ratio
from ..errors import SettingError
from ..matching import ConfusionMatrix, Normalize
from ._style import new_figure, reference_color
from ._text import as_text, drawn, drawn_all

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["confusion_heatmap"]

NUMBERS_UP_TO = 16
"""With more rows than this the cells are too small for numbers."""

SCALES = {
    None: "Count",
    "truth": "Share of the true class",
    "predicted": "Share of the predicted class",
}


def confusion_heatmap(
    matrix: ConfusionMatrix,
    *,
    normalize: Normalize | None = "truth",
    max_classes: int = 80,
    title: str | None = None,
    figure: Figure | None = None,
) -> Figure:
    """Plot a confusion matrix: rows are true, columns predicted, the last of each is background.

    Parameters
    ----------
    matrix : ConfusionMatrix
        From `confusion_matrix`.
    normalize : {"truth", "predicted"} or None
        Shares of each row, of each column, or counts, on a square-root scale. Rows or columns without counts
        are grey.
    max_classes : int
        With more classes than this, those with the most truth and detections are shown, in the order of the
        matrix, and all others together as one class, "other (n)".
    title : str, optional
        Above the plot.
    figure : matplotlib.figure.Figure, optional
        Drawn into after clearing it; by default a new one, large enough for the classes.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    SettingError
        If `normalize` is unknown or `max_classes` less than 1.
    MissingExtraError
        If matplotlib is not installed.

    Examples
    --------
    >>> matrix = ConfusionMatrix(
    ...     np.array([[3, 1, 0], [0, 2, 2], [1, 0, 0]]), (1, 2), ("cat", "dog"), 0.5, 0.3, 0, 0, 0
    ... )
    >>> figure = confusion_heatmap(matrix)
    >>> [text.get_text() for text in figure.axes[0].get_yticklabels()]
    ['cat', 'dog', 'background']
    """
    if normalize not in SCALES:
        raise SettingError(f"`normalize` must be 'truth', 'predicted' or None, got {normalize!r}.")
    if max_classes < 1:
        raise SettingError(f"`max_classes` must be at least 1, got {max_classes}.")
    counts, names = _pooled(matrix, max_classes)
    n = len(counts)
    values = counts.astype(np.float64)
    if normalize is not None:
        values = ratio(counts, counts.sum(axis=1 if normalize == "truth" else 0, keepdims=True))
    side = max(3.2, 0.5 * n) if n <= NUMBERS_UP_TO else max(8.0, 0.17 * n)
    given = figure
    figure = new_figure(figure, (side + 2.4, side + 1.4))
    if given is None:
        # Cells are square: in the default layout the labels would stay at the edge of the figure.
        figure.set_layout_engine("compressed")
    axes = _draw(figure, values, drawn_all(names), normalize)
    if title:
        axes.set_title(drawn(title))
    return as_text(figure)


def _pooled(matrix: ConfusionMatrix, max_classes: int) -> tuple[Ints, list[str]]:
    """Return counts and names of the classes shown, the others as one, then background."""
    n = len(matrix.names)
    if n <= max_classes:
        return matrix.counts, [*matrix.names, "background"]
    busy = matrix.counts.sum(axis=0)[:n] + matrix.counts.sum(axis=1)[:n]
    shown = np.sort(np.argsort(-busy, kind="stable")[:max_classes])
    place = np.full(n + 1, max_classes)
    place[shown], place[n] = np.arange(max_classes), max_classes + 1
    counts = np.zeros((max_classes + 2, max_classes + 2), dtype=np.int64)
    np.add.at(counts, (place[:, None], place[None, :]), matrix.counts)
    return counts, [*(matrix.names[i] for i in shown), f"other ({n - max_classes})", "background"]


def _draw(figure: Figure, values: NDArray[np.float64], names: list[str], normalize: Normalize | None) -> Axes:
    from matplotlib import colormaps
    from matplotlib.colors import Normalize as Linear, PowerNorm

    n = len(values)
    axes = figure.subplots()
    # One hue from light to dark reads the same for all eyes, and in grey.
    colors = colormaps["Blues"].with_extremes(bad="#E8E8E8")
    scale = Linear(0, 1) if normalize else PowerNorm(0.5, 0, max(values.max(), 1))
    image = axes.imshow(values, cmap=colors, norm=scale, aspect="equal", interpolation="nearest")
    font = 9 if n <= NUMBERS_UP_TO else 8 if n <= 40 else 7
    axes.set_xticks(range(n), names, rotation=90 if n > 4 else 0, fontsize=font)
    axes.set_yticks(range(n), names, fontsize=font)
    axes.set_xlabel("Predicted")
    axes.set_ylabel("True")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xticks(np.arange(n + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(n + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white" if n <= NUMBERS_UP_TO else "#EEEEEE", linewidth=0.8)
    axes.tick_params(which="minor", length=0)
    for line in (axes.axhline, axes.axvline):
        line(n - 1.5, color=reference_color(), linewidth=1.2)
    if n <= NUMBERS_UP_TO:
        for (row, column), value in np.ndenumerate(values):
            if value > 0:
                text = f"{value:.2f}" if normalize else f"{value:.0f}"
                color = "white" if scale(value) > 0.55 else "black"
                axes.text(column, row, text, ha="center", va="center", fontsize=8, color=color)
    figure.colorbar(image, ax=axes, shrink=0.7, aspect=30, pad=0.02, label=SCALES[normalize])
    return axes
