"""Figures of object queries: where their boxes are, and where an ablation moves them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...plots import OKABE_ITO, is_dark, new_figure, reference_color
from ..figures import FigureData, FigureMark, NamedFigure, counted, span
from ._queries import QueryChanges
from ._query_pairs import MOST_OF_AN_IMAGE, SAME_PLACE, QueryBoxes

__all__ = ["displacement_map", "query_map"]

SMALL = 0.25
"""Boxes whose share of the image has a square root below this count as small."""
POINTS_AT_MOST = 3000
"""Most points that are drawn for a query: more would hide each other."""

CHOSEN = " The detector chooses its queries from each image: number k is the k-th proposal, not one query."
_PITCH = (1.04, 1.15)
_SQUARE = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0], [np.nan, np.nan]])
_KINDS = (
    ("small box", "o", OKABE_ITO[2]),
    ("wide box", "_", OKABE_ITO[1]),
    ("tall box", "|", OKABE_ITO[0]),
)


def query_map(
    boxes: QueryBoxes, queries: Sequence[int], *, columns: int = 5, what: str = "", chosen: bool = False
) -> NamedFigure:
    """Draw the centres of the boxes of some queries, a small square for each, as in figure 7 of the DETR paper.

    Parameters
    ----------
    boxes : QueryBoxes
    queries : sequence of int
        Which ones, at least one.
    columns : int, optional
        Squares in a row.
    what : str, optional
        What the boxes are of, for the caption, such as a variant.
    chosen : bool, optional
        Whether the detector chooses its queries from each image: the caption says what their numbers are then.

    Returns
    -------
    NamedFigure
        Small boxes (less than a 16th of the image) are green circles, wide ones orange dashes, tall ones blue strokes.

    References
    ----------
    Carion et al., ECCV 2020, arXiv:2005.12872, figure 7, whose red is orange here, for colour-blind readers.
    """
    width = min(columns, len(queries))
    n_rows = -(-len(queries) // width)
    size = 1.9 * width + 0.3, 2.05 * n_rows + 0.45
    figure = new_figure(None, size)
    # One pair of axes for all squares, at a known place: many axes would take seconds.
    figure.set_layout_engine(None)
    figure.subplots_adjust(0.01, 0.35 / size[1], 0.99, 1 - 0.05 / size[1])
    axes = figure.subplots()
    corners = [np.array([i % width * _PITCH[0], i // width * _PITCH[1]]) for i in range(len(queries))]
    points: list[list[NDArray[np.float64]]] = [[np.zeros((0, 2))] for _ in _KINDS]
    n_cut, rows = 0, []
    for query, corner in zip(queries, corners, strict=True):
        one = boxes.of(query)
        n_cut += len(one.scores) > POINTS_AT_MOST
        step = max(1, -(-len(one.scores) // POINTS_AT_MOST))
        small = np.sqrt(one.boxes[:, 2] * one.boxes[:, 3]) < SMALL
        wide = ~small & (one.sizes[:, 0] >= one.sizes[:, 1])
        for kind, kept in zip(points, (small, wide, ~small & ~wide), strict=True):
            kind.append(corner + np.clip(one.boxes[::step][kept[::step], :2], 0, 1))
        mean = one.boxes[:, :2].mean(axis=0) if len(one.boxes) else np.full(2, np.nan)
        counts = (len(small), int(small.sum()), int(wide.sum()), int((~small & ~wide).sum()))
        rows.append((f"query {query}", *counts, *mean.tolist()))
        axes.text(
            corner[0] + 0.5, corner[1] - 0.03, f"query {query}: {len(one.scores):,}", fontsize=8, ha="center"
        )
    for (name, marker, color), kind in zip(_KINDS, points, strict=True):
        axes.plot(
            *np.concatenate(kind).T,
            marker,
            color=color,
            markersize=3,
            markeredgewidth=0.8,
            alpha=0.6,
            label=name,
        )
    squares = np.concatenate([corner + _SQUARE for corner in corners])
    axes.plot(*squares.T, color=reference_color(), linewidth=0.8)
    axes.set(
        xlim=(-0.01, (width - 1) * _PITCH[0] + 1.01),
        ylim=((n_rows - 1) * _PITCH[1] + 1.01, -0.15),
        aspect="equal",
    )
    axes.set_axis_off()
    legend = figure.legend(loc="lower center", ncols=3, frameon=False, fontsize=8)
    for handle in filter(None, legend.legend_handles):
        handle.set_alpha(1)
    of = f" of {what}" if what else ""
    cut = f" At most {POINTS_AT_MOST:,} points each." if n_cut else ""
    caption = (
        f"Where the boxes{of} of {len(queries)} object queries are centred in the image, with their number: small ones "
        f"as circles, wide ones as dashes, tall ones as upright strokes.{cut}{CHOSEN if chosen else ''} "
        f"n = {counted(len(np.unique(boxes.images)), 'image')} with a box of any query."
    )
    head = ("query", "boxes", "small", "wide", "tall", "mean x", "mean y")
    marks = tuple(
        FigureMark(0, (x, x + 1, y, y + 1), f"query {query}: {row[1]:,} boxes", str(query))
        for query, row, (x, y) in zip(queries, rows, (corner.tolist() for corner in corners), strict=True)
    )
    return NamedFigure("queries", caption, figure, FigureData(head, tuple(rows)), marks)


def displacement_map(changes: QueryChanges, *, what: str = "the ablation", name_most: int = 5) -> NamedFigure:
    """Draw where the centre of each query's boxes moves, as a mean over images.

    Parameters
    ----------
    changes : QueryChanges
        Of at least one query.
    what : str, optional
        The ablation, for the caption.
    name_most : int, optional
        Most queries that are named: those with the longest mean shift.

    Returns
    -------
    NamedFigure
        An arrow for each query, from the baseline's mean centre, in shares of the image; its colour is the mean GIoU of
        both boxes.
    """
    figure = new_figure(None, (6.2, 5.4))
    axes = figure.subplots()
    arrows = axes.quiver(
        *changes.centers.T,
        *changes.shifts.T,
        np.clip(changes.giou, -1, 1),
        angles="xy",
        scale_units="xy",
        scale=1,
        width=0.004,
        cmap="viridis",
        clim=(0, 1),  # the same for all variants
    )
    axes.plot(*changes.centers.T, ".", color=reference_color(), markersize=3, zorder=0)
    axes.set(
        xlim=(0, 1), ylim=(1, 0), aspect="equal", xlabel="share of the width", ylabel="share of the height"
    )
    below = bool((changes.giou < 0).any())
    figure.colorbar(
        arrows,
        ax=axes,
        label="mean GIoU of both boxes",
        shrink=0.8,
        extend="min" if below else "neither",
        extendfrac=0.03,
    )
    lengths = np.hypot(*changes.shifts.T)
    for i in np.argsort(-lengths, kind="stable")[:name_most]:
        axes.annotate(
            str(changes.queries[i]),
            changes.centers[i] + changes.shifts[i],
            fontsize=8,
            color="white" if is_dark() else "black",
        )
    caption = (
        f"Mean way of the boxes of {len(changes.queries):,} object queries from the baseline to {what}: the longest "
        f"are named, median length {np.median(lengths):.3f} of the image. {_paired(changes)}"
    )
    columns = (
        changes.centers[:, 0],
        changes.centers[:, 1],
        changes.shifts[:, 0],
        changes.shifts[:, 1],
        changes.giou,
    )
    data = FigureData(
        ("query", "x", "y", "shift of x", "shift of y", "GIoU"),
        tuple(
            (f"query {query}", *numbers)
            for query, *numbers in zip(changes.queries.tolist(), *(c.tolist() for c in columns), strict=True)
        ),
    )
    marks = tuple(
        FigureMark(
            0,
            (x, x, y, y),
            f"query {query}: moves by {distance:.3f} of the image, GIoU {giou:.3f}",
            str(query),
        )
        for query, (x, y), distance, giou in zip(
            changes.queries.tolist(),
            changes.centers.tolist(),
            changes.distances.tolist(),
            changes.giou.tolist(),
            strict=True,
        )
    )
    return NamedFigure("displacement", caption, figure, data, marks)


def _paired(changes: QueryChanges) -> str:
    """Return which boxes are compared, and over how many images."""
    n = span(changes.n_images)
    if not changes.by_place:
        return f"n = {n} for each query, in which both gave a box of it."
    alone, both = int(changes.n_alone.sum()), int(changes.n_images.sum())
    return (
        f"Boxes are paired by their place (IoU of {SAME_PLACE:g} at least, one to one, the best {MOST_OF_AN_IMAGE} of "
        f"an image), since query k is the k-th proposal of an image, another one in each variant. {alone:,} of "
        f"{alone + both:,} boxes have no partner and are left out. n = {n} for each query."
    )
