"""Two pictures of what object queries have learnt, after figure 7 of the DETR paper (arXiv:2005.12872)."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch

from dissect_core import UnitError
from dissect_eval import BoxError

from . import _lazy

__all__ = [
    "defaultdict",
    "display",
    "np",
    "plt",
    "torch",
    "visualize_query_distribution",
    "visualize_vector_field_distributions_query_ids",
    "widgets",
]

N_QUERIES = 20
widgets = _lazy.LazyModule("ipywidgets.widgets")


def display(*arguments: Any, **options: Any) -> Any:
    """Show something in a notebook by IPython's function of this name, which takes the same arguments."""
    return _lazy.imported("IPython.display", "display").display(*arguments, **options)


def visualize_query_distribution(preds: Any, zero_rows: Collection[int] | None = None) -> list[torch.Tensor]:
    """Show where in the image each of the first 20 object queries puts its boxes.

    Each query has a panel, in which each image's box is a dot at its centre, y upwards: the larger the box, the larger
    the dot; the wider, the redder; the higher, the bluer; the smaller, the greener.

    Parameters
    ----------
    preds : torch.Tensor, shape (images, queries, 4)
        Predicted boxes in the order of the queries: centre x, centre y, width, height, all in [0, 1]. For
        DETR the sigmoid of the first result of `compute_mmdet_results_unsorted`.
    zero_rows : collection of int, optional
        Queries that were ablated: their titles become red, and those of the others green.

    Returns
    -------
    list of torch.Tensor, each of shape (images, 3)
        For each query the colour of each image's box: red is its width, green 1 - √(width · height), blue its height.

    Raises
    ------
    dissect_core.UnitError
        If the shape is another one.
    dissect_eval.BoxError
        If a value is not in [0, 1].

    Examples
    --------
    >>> boxes = torch.tensor([[[0.5, 0.5, 0.8, 0.2], [0.5, 0.5, 0.2, 0.8]]])
    >>> visualize_query_distribution(boxes, zero_rows=[1])
    [tensor([[0.8000, 0.6000, 0.2000]]), tensor([[0.2000, 0.6000, 0.8000]])]
    """
    boxes = _by_query(preds, "preds")
    if not ((boxes >= 0) & (boxes <= 1)).all():
        raise BoxError(
            "`preds` must be normalised boxes, every value from 0 to 1; of a DETR's raw outputs take the sigmoid first."
        )
    ablated = None if zero_rows is None else {int(row) for row in zero_rows}
    colours = []
    figure = plt.figure(figsize=(25, 10))
    for number, query in enumerate(boxes):
        x, y, width, height = query.unbind(-1)
        side = (width * height).sqrt()
        colours.append(torch.stack((width, 1 - side, height), dim=1))
        panel = figure.add_subplot(4, 10, number + 1)
        panel.scatter(x, y, s=10 * side, c=colours[-1].numpy(), alpha=0.75)
        panel.set(xlim=(0, 1), ylim=(0, 1), xticks=[], yticks=[])
        title = "black" if ablated is None else "red" if number in ablated else "green"
        panel.set_title(f"Query {number}", color=title)
    _show(figure)
    return colours


def visualize_vector_field_distributions_query_ids(
    preds_baseline: Any, preds_ablations: Any, color_list: Sequence[Any]
) -> None:
    """Show how an ablation moves the boxes of each of the first 20 object queries, as arrows between centres.

    Parameters
    ----------
    preds_baseline, preds_ablations : torch.Tensor, shape (images, queries, 4)
        Boxes of the whole and of the ablated model as logits, as `compute_mmdet_results_unsorted` gives them.
    color_list : sequence of torch.Tensor, each of shape (images, 3)
        Colours of the arrows, from `visualize_query_distribution`.

    Raises
    ------
    dissect_core.UnitError
        If the shapes are others, or not the same, or the colours are for fewer queries.

    Notes
    -----
    Arrows are in units of the image: each begins where the box's centre was and ends where it is now, y upwards.
    """
    start, end = _by_query(preds_baseline, "preds_baseline"), _by_query(preds_ablations, "preds_ablations")
    if start.shape != end.shape or len(color_list) < len(start):
        raise UnitError(
            "`preds_baseline`, `preds_ablations` and `color_list` must be of the same images and queries, "
            f"got {start.shape[1]} × {len(start)}, {end.shape[1]} × {len(end)} and {len(color_list)} queries."
        )
    start, end = start.sigmoid(), end.sigmoid()
    moves = end - start
    figure, panels = plt.subplots(4, 5, figsize=(40, 32))
    for number, panel in enumerate(panels.flat[: len(start)]):
        x, y, u, v = start[number, :, 0], start[number, :, 1], moves[number, :, 0], moves[number, :, 1]
        colours = np.asarray(color_list[number])
        panel.quiver(x, y, u, v, color=colours, angles="xy", scale_units="xy", scale=1)
        panel.set(xlim=(0, 1), ylim=(0, 1), title=f"Query {number}")
    for panel in panels.flat[len(start) :]:
        panel.set_visible(False)
    _show(figure)


def _by_query(preds: Any, name: str) -> torch.Tensor:
    """Return the boxes of the first queries, shape (queries, images, 4) on the CPU."""
    boxes = torch.as_tensor(preds).detach().cpu()
    if boxes.ndim != 3 or boxes.shape[2] != 4:
        raise UnitError(f"`{name}` must have shape (images, queries, 4), got {tuple(boxes.shape)}.")
    return boxes[:, :N_QUERIES].transpose(0, 1)


def _show(figure: Any) -> None:
    """Show a figure. It stays open, so that `plt.savefig` and `plt.gcf` find it, as in version 1.0."""
    figure.tight_layout()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*non-interactive")
        plt.show()
