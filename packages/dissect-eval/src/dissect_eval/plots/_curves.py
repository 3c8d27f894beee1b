"""Precision–recall curves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..coco import PrecisionRecall
from ..errors import SettingError
from ._style import line_style, new_figure, tidy
from ._text import LEGEND_AT_MOST, as_text, drawn, drawn_all

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["precision_recall"]


def precision_recall(
    curves: Mapping[str, PrecisionRecall | tuple[ArrayLike, ArrayLike]],
    *,
    title: str | None = None,
    figure: Figure | None = None,
) -> Figure:
    """Plot interpolated precision against recall, one curve per model or class, with AP in the legend.

    Parameters
    ----------
    curves : mapping of str to PrecisionRecall or (recall, precision)
        By label, in the order of the legend: from `precision_recall_curve`, or two arrays of equal length.
        Recall goes in even steps from 0 to 1, such as COCO's 101, so that the mean of precision is AP;
        precision is in [0, 1], NaN where it is undefined.
    title : str, optional
        Above the plot.
    figure : matplotlib.figure.Figure, optional
        Drawn into after clearing it; by default a new one that is not registered with pyplot.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    SettingError
        If there is no curve, or one is not sampled as described.
    MissingExtraError
        If matplotlib is not installed.

    Examples
    --------
    >>> recall = np.linspace(0, 1, 101)
    >>> figure = precision_recall({"intact": (recall, 1 - recall), "ablated": (recall, 0 * recall)})
    >>> [text.get_text() for text in figure.legends[0].get_texts()]
    ['intact (AP 0.500)', 'ablated (AP 0.000)']
    """
    if not curves:
        raise SettingError("`curves` must hold at least one curve.")
    pairs = {
        label: (curve.recall, curve.precision) if isinstance(curve, PrecisionRecall) else curve
        for label, curve in curves.items()
    }
    told = drawn_all(list(pairs), LEGEND_AT_MOST, legend=True)
    points = {shown: _checked(label, *pair) for shown, (label, pair) in zip(told, pairs.items(), strict=True)}
    columns = 2 if max(len(label) for label in points) <= 18 else 1
    figure = new_figure(figure, (6.4, 4.4 + 0.22 * -(-len(points) // columns)))
    axes = figure.subplots()
    for i, (label, (recall, precision)) in enumerate(points.items()):
        style = line_style(i)
        # The mean over all recalls: a curve with a gap has no AP.
        ap = precision.mean()
        every = max(len(recall) // 10, 1)
        axes.plot(
            recall,
            precision,
            color=style.color,
            linestyle=style.linestyle,
            linewidth=2,
            marker=style.marker,
            markersize=5,
            # Marks of curves that coincide stand beside each other.
            markevery=(i * every // max(len(points), 1), every),
            label=f"{label} (AP {'n/a' if np.isnan(ap) else format(ap, '.3f')})",
        )
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.03)
    axes.set_xlabel("Recall")
    axes.set_ylabel("Precision")
    tidy(axes, "y")
    figure.legend(loc="outside lower center", ncols=columns, frameon=False, handlelength=3)
    if title:
        axes.set_title(drawn(title))
    return as_text(figure)


def _checked(
    label: str, recall: ArrayLike, precision: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    r, p = np.asarray(recall, dtype=np.float64), np.asarray(precision, dtype=np.float64)
    if r.ndim != 1 or len(r) < 2 or not np.allclose(r, np.linspace(0, 1, len(r)), rtol=0, atol=1e-6):
        raise SettingError(
            f"`curves` {label!r}: recall must go from 0 to 1 in even steps, got shape {r.shape}. "
            "Sample precision at np.linspace(0, 1, 101), as COCO does."
        )
    if p.shape != r.shape or ((p < 0) | (p > 1)).any():
        raise SettingError(
            f"`curves` {label!r}: precision must have one value in [0, 1] per recall, {len(r)}, got shape "
            f"{p.shape}{f' and values from {np.nanmin(p)} to {np.nanmax(p)}' if p.shape == r.shape else ''}. "
            "Write NaN where precision is undefined."
        )
    return r, p
