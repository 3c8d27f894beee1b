"""Histograms of weights: how the values of components are spread."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, StrMethodFormatter
from numpy.typing import NDArray

from dissect_core.detectors import model_of
from dissect_core.text import visible
from dissect_eval.study import NamedFigure

from ..figure import number_text

Weights: TypeAlias = Callable[[str], NDArray[Any]]
"""Gives the values of a component by its name."""

BINS = 60
COLUMNS = 2
_BLUE = "#0072B2"


def weights_of(detector: object) -> Weights | None:
    """Return a function that reads a detector's weights, if it has a torch model; it copies only what it is asked for.

    Parameters
    ----------
    detector : object
        With the attribute `model`, if it is one.

    Returns
    -------
    callable or None
        Gives an array of float by a parameter's name; raises `KeyError` for an unknown one.
    """
    model = model_of(detector)
    if not hasattr(model, "named_parameters"):
        return None

    def read(name: str) -> NDArray[Any]:
        return np.asarray(dict(model.named_parameters())[name].detach().float().cpu().numpy())

    return read


def weight_histograms(weights: Mapping[str, NDArray[Any]]) -> NamedFigure:
    """Draw a histogram for each component, with the share of exact zeros.

    Parameters
    ----------
    weights : mapping of str to array
        Values by the component's name, at least one component.

    Returns
    -------
    NamedFigure
        Counts on a logarithmic axis, so that outliers show; values that are not finite are left out, and counted.

    Examples
    --------
    >>> drawn = weight_histograms({"query_embedding.weight": np.array([-1.0, 0.0, 0.0, 1.0])})
    >>> drawn.caption
    'Values of query_embedding.weight: 4 values, mean 0.000, standard deviation 0.707, 50.0% zeros.'
    """
    n_rows, width = -(-len(weights) // COLUMNS), min(COLUMNS, len(weights))
    figure = Figure(figsize=(3.2 * width + 0.4, 2.4 * n_rows), layout="constrained")
    grid = figure.subplots(n_rows, width, squeeze=False)
    told = []
    for axes, (name, values) in zip(grid.flat, weights.items(), strict=False):
        flat = np.asarray(values, dtype=np.float64).ravel()
        finite = flat[np.isfinite(flat)]
        axes.hist(finite, bins=BINS, color=_BLUE, log=True)
        axes.set_title(_short(name), fontsize=9, parse_math=False, usetex=False)
        axes.tick_params(labelsize=8)
        # Plain numbers: as SVG, text stays text, and powers would be TeX.
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.xaxis.set_major_locator(MaxNLocator(3))
        axes.spines[["top", "right"]].set_visible(False)
        told.append(_told(name, flat, finite))
    for axes in grid.flat[len(weights) :]:
        axes.set_axis_off()
    return NamedFigure("weights", f"Values of {'; '.join(told)}.", figure)


def _told(name: str, flat: NDArray[np.float64], finite: NDArray[np.float64]) -> str:
    bad = f", {len(flat) - len(finite):,} not finite" if len(finite) < len(flat) else ""
    if not len(finite):
        return f"{visible(name)}: {len(flat):,} values{bad}"
    return (
        f"{visible(name)}: {len(flat):,} values, mean {number_text(float(finite.mean()))}, standard deviation "
        f"{number_text(float(finite.std()))}, {float((finite == 0).mean()):.1%} zeros{bad}"
    )


def _short(name: str, length: int = 34) -> str:
    """Return the end of a name, which tells it from its neighbours."""
    shown = visible(name)
    return shown if len(shown) <= length else f"…{shown[-length + 1 :]}"
