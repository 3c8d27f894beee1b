"""What all plots share: colours safe for colour-blind eyes, and a figure without pyplot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from .errors import MissingExtraError, SettingError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["HATCHES", "LineStyle", "is_dark", "line_style", "new_figure", "reference_color", "tidy"]

OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<")
DASHES = ("-", (0, (5, 2)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5)), (0, (8, 2)))
HATCHES = ("", "///", "...", "xxx", "\\\\\\", "ooo", "---")


class LineStyle(NamedTuple):
    """Colour, marker and dash of a curve: any one of them tells it from its neighbours."""

    color: str
    marker: str
    linestyle: str | tuple[int, tuple[float, ...]]


def line_style(i: int) -> LineStyle:
    """Return the style of the i-th curve; the three cycles differ in length, so that pairs repeat late."""
    return LineStyle(OKABE_ITO[i % len(OKABE_ITO)], MARKERS[i % len(MARKERS)], DASHES[i % len(DASHES)])


def new_figure(figure: Figure | None, size: tuple[float, float]) -> Figure:
    """Return an emptied `figure`, or a new one that pyplot knows nothing of."""
    try:
        from matplotlib.figure import Figure as FigureClass
    except ImportError as exc:
        raise MissingExtraError(
            'Plots need matplotlib, which is not installed: pip install "dissect-eval[plot]"'
        ) from exc
    if figure is None:
        return FigureClass(figsize=size, layout="constrained")
    if not isinstance(figure, FigureClass):
        raise SettingError(f"`figure` must be a matplotlib Figure, got {type(figure).__name__}.")
    figure.clear()
    return figure


def is_dark() -> bool:
    """Whether figures are drawn for a dark page at the moment, by matplotlib's own settings."""
    import matplotlib as mpl
    from matplotlib.colors import to_rgb

    return sum(to_rgb(mpl.rcParams["figure.facecolor"])) < 1.5


def reference_color() -> str:
    """Colour of lines that mark a baseline or chance level."""
    return "#AAAAAA" if is_dark() else "#555555"


def tidy(axes: Axes, grid_axis: Literal["x", "y"]) -> None:
    """Leave of an axes what carries data: two spines, and a light grid along one axis."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(True, axis=grid_axis, color="#444444" if is_dark() else "#DDDDDD", linewidth=0.8)
    axes.set_axisbelow(True)
