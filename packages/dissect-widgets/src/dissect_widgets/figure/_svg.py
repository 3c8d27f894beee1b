"""Figures of matplotlib as SVG whose colours are those of the page, light or dark, without drawing them again."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from dissect_eval.plots import figure_bytes
from dissect_eval.study import NamedFigure

from ..front import Mark
from ._html import figure_html, number_text, table_html
from .plots import drawing

__all__ = ["Picture", "page_colours", "picture_html", "picture_of", "shares_of", "svg_of"]

PIXELS_PER_INCH = 96

FOREGROUND, MUTED, LINE, BACKGROUND = "#1d2431", "#5b6578", "#dfe3ea", "#fffffe"
"""Colours that are drawn in place of the page's own: no other part of a picture has exactly these."""
_VARIABLES = {
    FOREGROUND: "var(--dd-fg,#1d2430)",
    MUTED: "var(--dd-muted,#5b6577)",
    LINE: "var(--dd-line,#dfe3e9)",
    BACKGROUND: "var(--dd-bg,#fff)",
    "#000000": "var(--dd-fg,#1d2430)",
    # Those of plots: lines that mark a level, and the grid.
    "#555555": "var(--dd-muted,#5b6577)",
    "#dddddd": "var(--dd-line,#dfe3e9)",
}
_COLOUR = re.compile("|".join(_VARIABLES), re.IGNORECASE)


@contextmanager
def page_colours() -> Iterator[None]:
    """Draw figures within a block for `svg_of`: no background, and text and lines in the page's colours."""
    settings: dict[str, Any] = {
        **{f"{part}.facecolor": "none" for part in ("figure", "axes", "savefig", "legend")},
        **{f"{part}.color": FOREGROUND for part in ("text", "xtick", "ytick")},
        **{f"axes.{part}color": FOREGROUND for part in ("label", "title")},
        "axes.edgecolor": MUTED,
        "grid.color": LINE,
        "svg.fonttype": "none",
    }
    with drawing(settings):
        yield


def svg_of(figure: Any) -> str:
    """Return a figure that was drawn within `page_colours` as SVG, in the colours of whatever page shows it.

    Parameters
    ----------
    figure : matplotlib.figure.Figure

    Returns
    -------
    str
        Text stays text; colours are variables of the page's style sheet, with those of a light page where it has none.

    Examples
    --------
    >>> from dissect_eval.plots import value_heatmap
    >>> with page_colours():
    ...     text = svg_of(value_heatmap([[0.1]], ["layer 0"], ["head 0"], value_label="AP"))
    >>> text.startswith("<svg") and "var(--dd-fg,#1d2430)" in text and "layer 0" in text
    True
    """
    with page_colours():
        text = figure_bytes(figure, "svg", dpi=96).decode()
    return _COLOUR.sub(lambda found: _VARIABLES[found[0].lower()], text[text.index("<svg") :])


def shares_of(
    figure: Any, axes: Any, boxes: Sequence[tuple[float, float, float, float]]
) -> list[tuple[float, float, float, float]]:
    """Return boxes in the coordinates of a figure's axes as shares of its picture: left, top, width, height.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Laid out: drawn once, for instance by `svg_of`.
    axes : matplotlib.axes.Axes
    boxes : sequence of tuple of float
        Least and greatest x, then least and greatest y.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> figure = Figure()
    >>> axes = figure.add_axes((0.0, 0.5, 0.5, 0.5))
    >>> shares_of(figure, axes, [(0.0, 1.0, 0.0, 0.5)])
    [(0.0, 0.25, 0.5, 0.25)]
    """
    width, height = figure.bbox.width, figure.bbox.height
    found = []
    for left, right, low, high in boxes:
        (x0, y0), (x1, y1) = axes.transData.transform([(left, low), (right, high)])
        x0, x1, y0, y1 = min(x0, x1), max(x0, x1), min(y0, y1), max(y0, y1)
        found.append(
            (
                float(x0 / width),
                float(1 - y1 / height),
                float((x1 - x0) / width),
                float((y1 - y0) / height),
            )
        )
    return found


class Picture(NamedTuple):
    """A figure as it is shown: drawn once, with its marks, and what each of them stands for.

    Attributes
    ----------
    named : NamedFigure
    svg : str
    marks : tuple of Mark
        The id of a mark is its place among them.
    """

    named: NamedFigure
    svg: str
    marks: tuple[Mark, ...]

    @property
    def width(self) -> float:
        """Return its width in pixels."""
        return float(self.named.figure.get_figwidth()) * PIXELS_PER_INCH

    def stands_for(self, mark: str) -> tuple[str, str]:
        """Return the variant and the class that a mark stands for, by its id."""
        found = self.named.marks[int(mark)]
        return found.variant, found.category

    def mark_of(self, variant: str, category: str) -> str:
        """Return the id of the mark that stands for a variant and a class; empty if there is none."""
        for i, one in enumerate(self.named.marks):
            if variant and (one.variant, one.category) == (variant, category if one.category else ""):
                return str(i)
        return ""


def picture_of(named: NamedFigure) -> Picture:
    """Return a figure that was drawn within `page_colours` as a picture."""
    svg = svg_of(named.figure)
    marks = []
    axes = list(named.figure.axes)
    for i, one in enumerate(named.marks):
        (box,) = shares_of(named.figure, axes[one.axes], [one.box])
        is_point = one.box[0] == one.box[1] and one.box[2] == one.box[3]
        marks.append(Mark(str(i), one.label, box, shape="point" if is_point else "rect"))
    return Picture(named, svg, tuple(marks))


def picture_html(named: NamedFigure) -> str:
    """Return a figure that was drawn within `page_colours` as plain HTML: an image on white, words, and its numbers."""
    figure = named.figure
    figure.set_facecolor("white")
    try:
        head, rows = named.data
        cells = [[number_text(cell) for cell in row] for row in rows]
        table = table_html(head, cells, f"Numbers of the picture {named.name}") if head else ""
        return figure_html(figure, named.caption, table)
    finally:
        figure.set_facecolor("none")
