"""Parts that all plots share: colours for colour-blind readers too, figures without pyplot, and their bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ..errors import MissingExtraError, SettingError
from ._text import as_text, drawn_quietly

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "HATCHES",
    "LineStyle",
    "figure_bytes",
    "is_dark",
    "legend_below",
    "line_style",
    "new_figure",
    "reference_color",
    "tidy",
]

OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<")
DASHES = ("-", (0, (5, 2)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5)), (0, (8, 2)))
HATCHES = ("", "///", "...", "xxx", "\\\\\\", "ooo", "---")


class LineStyle(NamedTuple):
    """Colour, marker and dash of a curve: each of them alone differs from those of its neighbours."""

    color: str
    marker: str
    linestyle: str | tuple[int, tuple[float, ...]]


def line_style(i: int) -> LineStyle:
    """Return the style of the i-th curve; the three cycles differ in length, so that pairs repeat late."""
    return LineStyle(OKABE_ITO[i % len(OKABE_ITO)], MARKERS[i % len(MARKERS)], DASHES[i % len(DASHES)])


def new_figure(figure: Figure | None, size: tuple[float, float]) -> Figure:
    """Return `figure` after clearing it, or a new one that is not registered with pyplot."""
    try:
        from matplotlib.figure import Figure as FigureClass
    except ImportError as exc:
        raise MissingExtraError(
            'Plots need matplotlib, which is not installed: pip install "dissect-eval[plot]"'
        ) from exc
    if figure is None:
        return FigureClass(figsize=size, layout="constrained")
    if not isinstance(figure, FigureClass):
        raise SettingError(
            f"`figure` must be a matplotlib Figure, got {type(figure).__name__}. Leave it out for a new one."
        )
    figure.clear()
    return figure


def figure_bytes(figure: Figure, kind: Literal["png", "svg", "pdf", "jpeg"], *, dpi: float = 150) -> bytes:
    """Return a figure as the content of a file: equal figures give equal bytes.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    kind : {"png", "svg", "pdf", "jpeg"}
        Format of the file.
    dpi : float
        Resolution in pixels per inch; in SVG and PDF, of the parts that are drawn as pixels.

    Returns
    -------
    bytes
        Without a date, and with names inside that do not change from run to run.

    Raises
    ------
    SettingError
        If `kind` is none of these.

    Examples
    --------
    >>> from dissect_eval.plots import value_heatmap
    >>> first, second = (value_heatmap([[0.1]], ["a"], ["b"], value_label="AP") for _ in range(2))
    >>> figure_bytes(first, "svg") == figure_bytes(second, "svg")
    True
    """
    import matplotlib as mpl

    undated: dict[str, dict[str, Any]] = {
        "png": {},
        "svg": {"Date": None},
        "pdf": {"CreationDate": None},
        "jpeg": {},
    }
    if kind not in undated:
        raise SettingError(f"`kind` must be one of {', '.join(undated)}, got {kind!r}.")
    as_text(figure)
    sink = io.BytesIO()
    # Names of an SVG's parts are hashes with this salt, which is random if it is not set.
    with mpl.rc_context({"svg.hashsalt": "deep-dissect"}), drawn_quietly():
        figure.savefig(sink, format=kind, dpi=dpi, metadata=undated[kind] or None)
    return sink.getvalue()


def legend_below(figure: Figure, handles: Sequence[Any], labels: Sequence[str], *, most: int = 4) -> None:
    """Put a legend below all axes, in as many columns as the figure's width has room for."""
    # An average letter of ten points is about 0.085 inches wide; handle and gaps take 0.75 inches of each column.
    widest = 0.75 + 0.085 * max(map(len, labels), default=0)
    columns = max(1, min(most, len(labels), int(figure.get_figwidth() / widest)))
    figure.legend(
        handles,
        labels,
        loc="outside lower center",
        ncols=columns,
        frameon=False,
        handlelength=2.6,
        fontsize=9,
    )


def is_dark() -> bool:
    """Return whether figures are now drawn for a dark page, by matplotlib's own settings."""
    import matplotlib as mpl
    from matplotlib.colors import to_rgb

    face = mpl.rcParams["figure.facecolor"]
    # Without a colour of its own it is drawn as for a light page: whoever shows it elsewhere changes its colours.
    return face != "none" and sum(to_rgb(face)) < 1.5


def reference_color() -> str:
    """Return the colour of lines that mark a baseline or chance level."""
    return "#AAAAAA" if is_dark() else "#555555"


def tidy(axes: Axes, grid_axis: Literal["x", "y"]) -> None:
    """Reduce the frame of axes to two spines and a light grid along one axis."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(True, axis=grid_axis, color="#444444" if is_dark() else "#DDDDDD", linewidth=0.8)
    axes.set_axisbelow(True)
