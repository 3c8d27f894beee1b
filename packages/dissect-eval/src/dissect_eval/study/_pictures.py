"""Boxes drawn into images, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .._boxes import pairwise_iou
from .._plot_style import new_figure
from ._found import ImageBoxes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["read_pixels", "side_by_side"]

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442")
TITLES = ("truth", "baseline", "ablated")


def read_pixels(path: Path, *, turned: bool = True) -> NDArray[np.uint8] | None:
    """Decode an image to RGB of shape (height, width, 3); None where it cannot be.

    Parameters
    ----------
    path : Path
    turned : bool, default True
        Whether to turn it as its file says, by the EXIF tag of cameras: boxes lie on the image as the detector saw it
        (`turns_by_exif` of a study).
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            return np.asarray((ImageOps.exif_transpose(image) if turned else image).convert("RGB"))
    except (OSError, ValueError, Image.DecompressionBombError):
        return None


def side_by_side(
    pixels: NDArray[np.uint8],
    shown: Sequence[ImageBoxes],
    class_names: Sequence[str],
    *,
    titles: Sequence[str] = TITLES,
    crop: tuple[float, float, float, float] | None = None,
    opacity: float = 1.0,
    iou_threshold: float = 0.5,
    figure: Figure | None = None,
) -> Figure:
    """Plot truth, baseline and ablated detections of one image, all on the same crop.

    Detections on a true box of their class have a solid outline, others a dotted one; a true box that the last
    panel does not find is dashed.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width, 3)
    shown : sequence of ImageBoxes
        The truth first.
    class_names : sequence of str
        By label.
    titles : sequence of str
        Of the panels.
    crop : tuple of float, optional
        ``x_min, y_min, x_max, y_max`` in pixels; the whole image, if left out.
    opacity : float
        Of the outlines, in [0, 1].
    iou_threshold : float
        IoU from which on a detection is on an object.
    figure : matplotlib.figure.Figure, optional
        Drawn into after clearing it; by default a new one.

    Returns
    -------
    matplotlib.figure.Figure
    """
    height, width = pixels.shape[:2]
    left, top, right, bottom = crop or (0.0, 0.0, float(width), float(height))
    shape = (bottom - top) / max(right - left, 1.0)
    size = 4.0 * len(shown), 4.0 * shape + 0.5
    figure = new_figure(figure, size)
    # The layout is known: to find it would take as long as to draw it, each time the threshold moves.
    figure.set_layout_engine(None)
    figure.subplots_adjust(0.005, 0.05 / size[1], 0.995, 1 - 0.4 / size[1], wspace=0.02)
    truth = shown[0]
    for i, (axes, boxes, title) in enumerate(
        zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, titles, strict=True)
    ):
        axes.imshow(pixels)
        axes.set_title(f"{title} ({len(boxes.boxes)})")
        axes.set_xlim(left, right)
        axes.set_ylim(bottom, top)
        axes.set_axis_off()
        matched = _matched(boxes, shown[-1] if i == 0 else truth, iou_threshold)
        _draw_boxes(axes, boxes, class_names, matched, opacity, is_truth=i == 0)
    return figure


def _matched(boxes: ImageBoxes, others: ImageBoxes, iou_threshold: float) -> NDArray[np.bool_]:
    """Which boxes have another of their class on them."""
    if not len(boxes.boxes) or not len(others.boxes):
        return np.zeros(len(boxes.boxes), dtype=np.bool_)
    on = pairwise_iou(boxes.boxes, others.boxes) >= iou_threshold
    matched: NDArray[np.bool_] = (on & (boxes.labels[:, None] == others.labels)).any(axis=1)
    return matched


def _draw_boxes(
    axes: Axes,
    shown: ImageBoxes,
    class_names: Sequence[str],
    matched: NDArray[np.bool_],
    opacity: float,
    *,
    is_truth: bool,
) -> None:
    from matplotlib.patches import Rectangle

    for i, (box, label) in enumerate(zip(shown.boxes, shown.labels.tolist(), strict=True)):
        x, y, right, bottom = box
        colour = COLOURS[label % len(COLOURS)]
        line = "-" if matched[i] else "--" if is_truth else ":"
        outline: dict[str, Any] = {
            "fill": False,
            "edgecolor": colour,
            "linewidth": 1.8,
            "linestyle": line,
            "alpha": opacity,
        }
        # Not `add_patch`: limits are set already, and to widen them by each box is slow.
        axes.add_artist(Rectangle((x, y), right - x, bottom - y, **outline))
        name = class_names[label] if 0 <= label < len(class_names) else "other"
        axes.text(
            x,
            y,
            name if is_truth else f"{name} {shown.scores[i]:.2f}",
            fontsize=7,
            color="black",
            va="bottom",
            clip_on=True,
            alpha=opacity,
            bbox={"facecolor": colour, "edgecolor": "none", "pad": 0.8, "alpha": 0.75 * opacity},
        )
