"""A figure with its name and caption, and names of metrics to print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["FigureData", "FigureMark", "NamedFigure", "title_of", "with_no_ops"]

TITLES = {
    "f1": "F1",
    "precision": "precision",
    "recall": "recall",
    "giou": "GIoU of hits",
    "matched_giou": "matched GIoU",
    "matched_f1": "matched F1",
}


class FigureData(NamedTuple):
    """The numbers of a figure as a table: the titles of its columns, and its rows, each with its name first."""

    head: tuple[str, ...] = ()
    rows: tuple[tuple[object, ...], ...] = ()


class FigureMark(NamedTuple):
    """A place in a figure that stands for a variant: a cell, a point, or a row.

    Attributes
    ----------
    axes : int
        Index of its axes in ``figure.axes``.
    box : tuple of float
        Least and greatest x, then y, in the coordinates of the axes; of a point twice the same.
    label : str
        What it is, with its value and interval.
    variant : str
        Id of the variant, or empty.
    category : str
        Name of a class, or empty.
    """

    axes: int
    box: tuple[float, float, float, float]
    label: str
    variant: str = ""
    category: str = ""


class NamedFigure(NamedTuple):
    """A figure, its name (that of its file, without a suffix), its caption, its numbers, and its marks."""

    name: str
    caption: str
    figure: Figure
    data: FigureData = FigureData()
    marks: tuple[FigureMark, ...] = ()


def title_of(metric: str) -> str:
    """Return a metric's name to print."""
    return TITLES.get(metric, metric)


def with_no_ops(name: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the name of a group of variants, followed by how many of them changed nothing.

    Examples
    --------
    >>> rows = [{"no_op": None}, {"no_op": "its detections are those of the baseline on all 5 images."}]
    >>> with_no_ops("heads", rows), with_no_ops("heads", rows[1:]), with_no_ops("heads", rows[:1])
    ('heads (1 of 2 changed nothing)', 'heads (changed nothing)', 'heads')
    """
    still = sum(bool(row.get("no_op")) for row in rows)
    if not still:
        return name
    return (
        f"{name} (changed nothing)"
        if still == len(rows)
        else f"{name} ({still} of {len(rows)} changed nothing)"
    )
