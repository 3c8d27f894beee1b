"""The AP that each type of error costs, as bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from ..errors import SettingError
from ..tide import ERROR_TYPES, SPECIAL_TYPES
from ._style import HATCHES, is_dark, legend_below, line_style, new_figure, tidy
from ._text import LEGEND_AT_MOST, as_text, drawn, drawn_all

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["error_type_bars"]

MEANINGS = {
    "Cls": "Cls: wrong class",
    "Loc": "Loc: poorly placed",
    "Both": "Both: class and place",
    "Dupe": "Dupe: found twice",
    "Bkg": "Bkg: nothing there",
    "Miss": "Miss: not found",
    "FalsePos": "All false positives",
    "FalseNeg": "All false negatives",
}


class HasErrorTypes(Protocol):
    """Errors that bars can show: those of `ErrorTypes`, or of a row of a table."""

    @property
    def foreground(self) -> float:
        """IoU threshold of a hit."""
        ...

    @property
    def background(self) -> float:
        """IoU threshold under which a detection is background."""
        ...

    @property
    def delta_ap(self) -> Mapping[str, float]:
        """AP to be gained by type of error."""
        ...


def error_type_bars(
    errors: HasErrorTypes | Mapping[str, HasErrorTypes],
    *,
    controls: Mapping[str, HasErrorTypes] | None = None,
    title: str | None = None,
    figure: Figure | None = None,
) -> Figure:
    """Plot the AP to be gained by fixing each type of error alone, one bar per series.

    Parameters
    ----------
    errors : ErrorTypes or mapping of str to ErrorTypes
        From `error_types`, alone or by label, such as baseline and ablated. What is NaN gets no bar but the
        mark "n/a".
    controls : mapping of str to ErrorTypes, optional
        By a label of `errors`, the random control of that series: hollow bars right below it.
    title : str, optional
        Above the plot.
    figure : matplotlib.figure.Figure, optional
        Drawn into after clearing it; by default a new one.

    Returns
    -------
    matplotlib.figure.Figure
        TIDE's six types above, its two special ones below, on one scale.

    Raises
    ------
    SettingError
        If there is no series, a control belongs to none, or series differ in their foreground or background
        threshold.
    MissingExtraError
        If matplotlib is not installed.

    Examples
    --------
    >>> from dissect_eval import Detections, GroundTruth, error_types
    >>> truth = GroundTruth.from_coco(
    ...     {
    ...         "images": [{"id": 1}],
    ...         "categories": [{"id": 1, "name": "cat"}],
    ...         "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 10, 10]}],
    ...     }
    ... )
    >>> found = Detections.from_arrays([([[0, 0, 10, 4]], [0.9], [0])], [1], [1])
    >>> figure = error_type_bars(error_types(truth, found))
    >>> [text.get_text() for text in figure.axes[0].texts]  # nothing is found unless boxes are better placed
    ['n/a', '1.000', 'n/a', 'n/a', 'n/a', 'n/a']
    """
    series = dict(errors) if isinstance(errors, Mapping) else {"": errors}
    if not series:
        raise SettingError("`errors` must hold at least one series.")
    controls = controls or {}
    if stray := sorted(controls.keys() - series.keys()):
        raise SettingError(
            f"`controls` must be of series in `errors`, got {stray}. Series are {list(series)}."
        )
    settings = {(one.foreground, one.background) for one in (*series.values(), *controls.values())}
    if len(settings) > 1:
        raise SettingError(
            f"`errors` must have one foreground and background threshold, got {sorted(settings)}. "
            "Numbers at different thresholds do not compare."
        )
    bars = _bars(series, controls)
    figure = new_figure(figure, (6.4, 1.6 + 8 * max(0.34, 0.2 * len(bars))))
    panels = figure.subplots(2, 1, sharex=True, height_ratios=[len(ERROR_TYPES), len(SPECIAL_TYPES)])
    for axes, names in zip(panels, (ERROR_TYPES, SPECIAL_TYPES), strict=True):
        _draw(axes, names, bars)
    ((foreground, _),) = settings
    panels[1].set_xlim(left=0)
    panels[1].set_xlabel(f"ΔAP at IoU {foreground:g} if fixed")
    if len(bars) > 1:
        legend_below(figure, *panels[0].get_legend_handles_labels(), most=3)
    if title:
        panels[0].set_title(drawn(title))
    return as_text(figure)


class _Bar(NamedTuple):
    """The bars of one series: its name in the legend, its errors, the number of its style, and if it is a control."""

    label: str
    errors: HasErrorTypes
    style: int
    is_control: bool


def _bars(series: Mapping[str, HasErrorTypes], controls: Mapping[str, HasErrorTypes]) -> list[_Bar]:
    """Return the bars of all series, each control right below the series that it belongs to."""
    shown = dict(zip(series, drawn_all(list(series), LEGEND_AT_MOST, legend=True), strict=True))
    bars = []
    for i, (label, errors) in enumerate(series.items()):
        bars.append(_Bar(shown[label], errors, i, False))
        if label in controls:
            name = f"{shown[label]}: random control" if label else "random control"
            bars.append(_Bar(name, controls[label], i, True))
    return bars


def _draw(axes: Axes, names: Sequence[str], bars: Sequence[_Bar]) -> None:
    """Draw the bars of some types of error, with their numbers, or "n/a" where one is undefined."""
    height = 0.8 / len(bars)
    edge = "#1B1B1B" if is_dark() else "white"
    places = np.arange(len(names))
    for k, bar in enumerate(bars):
        values = np.array([bar.errors.delta_ap[name] for name in names])
        at = places - 0.4 + (k + 0.5) * height
        color = line_style(bar.style).color
        axes.barh(
            at,
            np.nan_to_num(values, nan=0.0),
            height=height * (0.8 if bar.is_control else 1.0),
            color="none" if bar.is_control else color,
            hatch="" if bar.is_control else HATCHES[bar.style % len(HATCHES)],
            edgecolor=color if bar.is_control else edge,
            linewidth=1.2 if bar.is_control else 0.5,
            label=bar.label,
        )
        for y, value in zip(at, values, strict=True):
            text, x = ("n/a", 0.0) if np.isnan(value) else (f"{value:.3f}", float(value))
            axes.annotate(text, (x, y), xytext=(3, 0), textcoords="offset points", va="center", fontsize=7)
    axes.set_yticks(places, [MEANINGS[name] for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.margins(x=0.1)
    tidy(axes, "x")
