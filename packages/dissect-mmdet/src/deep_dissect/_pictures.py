"""Two pictures of what object queries have learnt, after figure 7 of the DETR paper (arXiv:2005.12872)."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib.pyplot as plt
import torch

from dissect_core import UnitError

N_QUERIES = 20
N_COLUMNS = 5
# COCO calls an object large from 96² px on; its images are mostly 640 × 480.
LARGE_AREA = 96**2 / (640 * 480)


def visualize_query_distribution(preds: Any, zero_rows: Collection[int] | None = None) -> list[list[str]]:
    """Show where in the image each of the first 20 object queries puts its boxes.

    Parameters
    ----------
    preds : torch.Tensor, shape (images, queries, 4)
        Predicted boxes in the order of the queries: centre x, centre y, width, height, all in [0, 1]. For
        DETR the sigmoid of the first result of `compute_mmdet_results_unsorted`.
    zero_rows : collection of int, optional
        Queries whose titles become red: those that were ablated.

    Returns
    -------
    list of list of str
        For each query the colour of each image's box: ``"green"`` for small boxes (below 3 % of the image),
        ``"red"`` for large horizontal and ``"blue"`` for large vertical ones.

    Raises
    ------
    dissect_core.UnitError
        If the shape is another one.

    Examples
    --------
    >>> boxes = torch.tensor([[[0.5, 0.5, 0.8, 0.4], [0.5, 0.5, 0.4, 0.8], [0.5, 0.5, 0.1, 0.1]]])
    >>> visualize_query_distribution(boxes, zero_rows=[2])
    [['red'], ['blue'], ['green']]
    """
    boxes = _by_query(preds, "preds")
    colours = [[_colour(width, height) for width, height in query[:, 2:].tolist()] for query in boxes]
    red_titles = {int(row) for row in zero_rows} if zero_rows is not None else set()
    with _panels(len(boxes)) as panels:
        for number, (panel, query, colour) in enumerate(zip(panels, boxes, colours, strict=True)):
            panel.scatter(query[:, 0], query[:, 1], s=2, c=colour)
            panel.set_title(f"Query {number}", color="red" if number in red_titles else "black", fontsize=8)
    return colours


def visualize_vector_field_distributions_query_ids(
    preds_baseline: Any, preds_ablations: Any, color_list: Sequence[Sequence[str]]
) -> None:
    """Show how an ablation moves the boxes of each of the first 20 object queries, as arrows between centres.

    Parameters
    ----------
    preds_baseline, preds_ablations : torch.Tensor, shape (images, queries, 4)
        Boxes of the whole and of the ablated model as logits, as `compute_mmdet_results_unsorted` gives them.
    color_list : sequence of sequence of str
        Colours of the arrows, from `visualize_query_distribution`.

    Raises
    ------
    dissect_core.UnitError
        If the shapes are others, or not the same, or the colours are for fewer queries.
    """
    start, end = _by_query(preds_baseline, "preds_baseline"), _by_query(preds_ablations, "preds_ablations")
    if start.shape != end.shape or len(color_list) < len(start):
        raise UnitError(
            "`preds_baseline`, `preds_ablations` and `color_list` must be of the same images and queries, "
            f"got {start.shape[1]} × {len(start)}, {end.shape[1]} × {len(end)} and {len(color_list)} queries."
        )
    start, end = start.sigmoid(), end.sigmoid()
    moves = end - start
    with _panels(len(start)) as panels:
        for number, panel in enumerate(panels):
            x, y, u, v = start[number, :, 0], start[number, :, 1], moves[number, :, 0], moves[number, :, 1]
            panel.quiver(x, y, u, v, color=list(color_list[number]), angles="xy", scale_units="xy", scale=1)
            panel.set_title(f"Query {number}", fontsize=8)


def _by_query(preds: Any, name: str) -> torch.Tensor:
    """Boxes of the first queries, shape (queries, images, 4) on the CPU."""
    boxes = torch.as_tensor(preds).detach().cpu()
    if boxes.ndim != 3 or boxes.shape[2] != 4:
        raise UnitError(f"`{name}` must have shape (images, queries, 4), got {tuple(boxes.shape)}.")
    return boxes[:, :N_QUERIES].transpose(0, 1)


def _colour(width: float, height: float) -> str:
    if width * height < LARGE_AREA:
        return "green"
    return "red" if width >= height else "blue"


@contextmanager
def _panels(count: int) -> Iterator[list[Any]]:
    """Yield one square panel per query, in image coordinates; then show the figure and let it go."""
    n_rows = -(-count // N_COLUMNS)
    figure, axes = plt.subplots(n_rows, N_COLUMNS, figsize=(2 * N_COLUMNS, 2 * n_rows), squeeze=False)
    try:
        for panel in axes.flat[count:]:
            panel.set_visible(False)
        for panel in axes.flat[:count]:
            panel.set(xlim=(0, 1), ylim=(1, 0), xticks=[], yticks=[], aspect="equal")
        yield list(axes.flat[:count])
        figure.tight_layout()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*non-interactive")
            plt.show()
    finally:
        # A window that does not block stays with its owner; everything else has been shown by now.
        if not (plt.isinteractive() and figure.canvas.required_interactive_framework):
            plt.close(figure)
