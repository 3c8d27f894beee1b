"""Pictures of object queries: where their boxes are, and where an ablation moves them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .._plot_style import OKABE_ITO, is_dark, new_figure, reference_color
from ._named import NamedFigure
from ._queries import QueryBoxes, QueryChanges

__all__ = ["displacement_map", "query_map"]

SMALL = 0.25
"""Boxes count as small below this square root of their share of the image."""
POINTS_AT_MOST = 3000
"""Points of a query that are drawn: more would hide each other."""

_KINDS = (
    ("small box", "o", OKABE_ITO[2]),
    ("wide box", "_", OKABE_ITO[1]),
    ("tall box", "|", OKABE_ITO[0]),
)


def query_map(boxes: QueryBoxes, queries: Sequence[int], *, columns: int = 5, what: str = "") -> NamedFigure:
    """Centres of the boxes of some queries, a small square for each query, as figure 7 of the DETR paper has them.

    Parameters
    ----------
    boxes : QueryBoxes
    queries : sequence of int
        Which ones, at least one.
    columns : int, optional
        Squares in a row.
    what : str, optional
        Whose boxes, for the caption.

    Returns
    -------
    NamedFigure
        Small boxes (less than a 16th of the image) are green circles, wide ones orange dashes, tall ones blue strokes.

    References
    ----------
    Carion et al., ECCV 2020, arXiv:2005.12872, figure 7, whose red is orange here, for colour-blind eyes.
    """
    n_rows = -(-len(queries) // columns)
    width = min(columns, len(queries))
    figure = new_figure(None, (1.9 * width + 0.3, 2.05 * n_rows + 0.45))
    grid = figure.subplots(n_rows, width, squeeze=False)
    n_cut = 0
    for axes, query in zip(grid.flat, [*queries, *([None] * (n_rows * width - len(queries)))], strict=True):
        axes.set(xlim=(0, 1), ylim=(1, 0), xticks=[], yticks=[], aspect="equal")
        if query is None:
            axes.set_axis_off()
            continue
        one = boxes.of(query)
        n_cut += len(one.scores) > POINTS_AT_MOST
        step = max(1, -(-len(one.scores) // POINTS_AT_MOST))
        drawn, sizes = one.boxes[::step], one.sizes[::step]
        small = np.sqrt(drawn[:, 2] * drawn[:, 3]) < SMALL
        wide = ~small & (sizes[:, 0] >= sizes[:, 1])
        for (name, marker, color), kept in zip(_KINDS, (small, wide, ~small & ~wide), strict=True):
            axes.plot(
                *drawn[kept, :2].T,
                marker,
                color=color,
                markersize=3,
                markeredgewidth=0.8,
                alpha=0.6,
                label=name,
            )
        axes.set_title(f"query {query}: {len(one.scores):,}", fontsize=8)
    handles, names = grid.flat[0].get_legend_handles_labels()
    legend = figure.legend(handles, names, loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    for handle in filter(None, legend.legend_handles):
        handle.set_alpha(1)
    of = f" of {what}" if what else ""
    cut = f" At most {POINTS_AT_MOST:,} points each." if n_cut else ""
    caption = (
        f"Where the boxes{of} of {len(queries)} object queries are centred in the image, with their number: small ones "
        f"as circles, wide ones as dashes, tall ones as upright strokes.{cut}"
    )
    return NamedFigure("queries", caption, figure)


def displacement_map(changes: QueryChanges, *, what: str = "the ablation", name_most: int = 5) -> NamedFigure:
    """Where the centre of each query's boxes is moved, mean over images.

    Parameters
    ----------
    changes : QueryChanges
        Of at least one query.
    what : str, optional
        The ablation, for the caption.
    name_most : int, optional
        How many of the queries that are moved farthest to name.

    Returns
    -------
    NamedFigure
        An arrow for each query, from the baseline's mean centre, in the image's own shares; its colour is the mean
        GIoU of both boxes.
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
        clim=(-1, 1),
    )
    axes.plot(*changes.centers.T, ".", color=reference_color(), markersize=3, zorder=0)
    axes.set(
        xlim=(0, 1), ylim=(1, 0), aspect="equal", xlabel="share of the width", ylabel="share of the height"
    )
    figure.colorbar(arrows, ax=axes, label="mean GIoU of both boxes", shrink=0.8)
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
        f"are named, median length {np.median(lengths):.3f} of the image."
    )
    return NamedFigure("displacement", caption, figure)
