"""Boxes drawn into images, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...boxes import pairwise_iou
from ...plots import as_text, drawn, drawn_all, drawn_quietly, is_dark, new_figure
from ..stored import ImageBoxes
from ._label_places import LabelPlace, label_places

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["side_by_side"]

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442")
TITLES = ("truth", "baseline", "ablated")
LINES: dict[str, tuple[Literal["-", ":", "--"] | tuple[int, tuple[float, ...]], float]] = {
    "hit": ("-", 1.8),
    "false": (":", 1.8),
    "missed": ("--", 1.2),
    "lost": ((0, (2.2, 0.7)), 3.6),
}
"""Dashes and width of the outline of each kind of box."""
NAME = 24
"""Most characters of a class's name in a label."""
PANEL = 4.0
"""Width of a panel in inches."""
ABOVE, BELOW, BETWEEN = 26.0, 34.0, 6.0
"""Points above, below and between panels."""
FONT, PAD = 7.0, 1.0
NAMED_AT_MOST = 80
"""Most labels in a panel, for the boxes with the best scores."""


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

    Detections on a true box of their class have a solid outline, others a dotted one; a true box that is not found in
    the last panel is dashed, and thick if it is found in the second: it is lost. A legend says so. Labels cover no true
    box; those that find no place stand in a margin.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width, 3)
    shown : sequence of ImageBoxes
        The truth first.
    class_names : sequence of str
        Name of each class, by label.
    titles : sequence of str
        Titles of the panels.
    crop : tuple of float, optional
        ``x_min, y_min, x_max, y_max`` in pixels; the whole image, if left out.
    opacity : float
        Opacity of the outlines, in [0, 1].
    iou_threshold : float
        Least IoU at which a detection lies on an object.
    figure : matplotlib.figure.Figure, optional
        Drawn into after clearing it; by default a new one.

    Returns
    -------
    matplotlib.figure.Figure
    """
    height, width = pixels.shape[:2]
    left, top, right, bottom = crop or (0.0, 0.0, float(width), float(height))
    scale = 72 * PANEL / max(right - left, 1.0)  # points to a pixel
    panel = 72 * PANEL, scale * max(bottom - top, 1.0)
    truth = shown[0]
    names = drawn_all(class_names, NAME)
    panels = [
        _Panel.of(boxes, names, truth, (left, top, right, bottom), scale, is_truth=i == 0)
        for i, boxes in enumerate(shown)
    ]
    widths = [panel[0] + one.margin + BETWEEN for one in panels]
    size = sum(widths) / 72, (panel[1] + ABOVE + BELOW) / 72
    figure = new_figure(figure, size)
    # The axes have fixed places: a layout engine would take as long as drawing, each time the threshold moves.
    figure.set_layout_engine(None)
    lost = _lost(shown, iou_threshold)
    kinds_drawn: set[str] = set()
    for i, (boxes, one, title) in enumerate(zip(shown, panels, titles, strict=True)):
        corner = (sum(widths[:i]) + BETWEEN / 2) / 72 / size[0], BELOW / 72 / size[1]
        axes = figure.add_axes((*corner, panel[0] / 72 / size[0], panel[1] / 72 / size[1]))
        axes.imshow(pixels)
        unnamed = sum(place is None for place in one.places)
        more = f", {unnamed} without a name" if unnamed else ""
        axes.set_title(f"{drawn(title, NAME)} ({len(boxes.boxes)}{more})")
        axes.set_xlim(left, right)
        axes.set_ylim(bottom, top)
        axes.set_axis_off()
        matched = _matched(boxes, shown[-1] if i == 0 else truth, iou_threshold)
        kinds = _kinds(matched, lost if i == 0 else np.zeros_like(matched), is_truth=i == 0)
        kinds_drawn |= set(kinds)
        _draw_boxes(axes, boxes, kinds, opacity)
        one.draw(axes, (left, top), scale, opacity)
    _legend(figure, [kind for kind in LINES if kind in kinds_drawn], [drawn(title, NAME) for title in titles])
    return as_text(figure)


class _Panel(NamedTuple):
    """Labels of a panel's boxes and their places; `margin` is the width they need to the right of it, in points."""

    labels: list[tuple[str, str, NDArray[np.float64]]]
    places: list[LabelPlace | None]
    margin: float

    @classmethod
    def of(
        cls,
        boxes: ImageBoxes,
        class_names: Sequence[str],
        truth: ImageBoxes,
        crop: tuple[float, float, float, float],
        scale: float,
        *,
        is_truth: bool,
    ) -> _Panel:
        left, top, right, bottom = crop
        x, y, x2, y2 = boxes.boxes.T
        within = np.flatnonzero((x < right) & (x2 > left) & (y < bottom) & (y2 > top))
        order = within[np.argsort(-boxes.scores[within], kind="stable")]
        labels = []
        for k in order.tolist():
            label = int(boxes.labels[k])
            name = class_names[label] if 0 <= label < len(class_names) else "other"
            text = name if is_truth else f"{name} {boxes.scores[k]:.2f}"
            labels.append((text, COLOURS[label % len(COLOURS)], boxes.boxes[k]))
        frame = np.array([left, top, left, top])
        ends = np.array([right, bottom, right, bottom])
        inside = (np.clip(boxes.boxes[order], frame, ends) - frame) * scale
        objects = (np.clip(truth.boxes, frame, ends) - frame) * scale
        sizes = np.array([_text_size(text) for text, *_ in labels]).reshape(-1, 2)
        named = min(len(order), NAMED_AT_MOST)
        panel = scale * (right - left), scale * (bottom - top)
        places = label_places(inside[:named], sizes[:named], objects, panel)
        wide = [size[0] for size, place in zip(sizes, places, strict=False) if place and place.in_margin]
        return cls(
            labels, [*places, *[None] * (len(order) - named)], max(wide, default=0.0) + (6.0 if wide else 0.0)
        )

    def draw(self, axes: Axes, corner: tuple[float, float], scale: float, opacity: float) -> None:
        """Write the labels, those in the margin with a line to their box."""
        for (text, colour, box), place in zip(self.labels, self.places, strict=True):
            if place is None:
                continue
            x, y = corner[0] + place.x / scale, corner[1] + place.y / scale
            if place.in_margin:
                half = _text_size(text)[1] / scale / 2
                line = [min(max(float(box[2]), corner[0]), x), x], [float(box[1] + box[3]) / 2, y + half]
                axes.plot(*line, color=colour, linewidth=0.7, alpha=opacity, clip_on=False)
            axes.text(
                x + PAD / scale,
                y + PAD / scale,
                text,
                fontsize=FONT,
                color="black",
                va="top",
                alpha=opacity,
                parse_math=False,
                bbox={"facecolor": colour, "edgecolor": "none", "pad": PAD, "alpha": 0.75 * opacity},
            )


@cache
def _text_size(text: str) -> tuple[float, float]:
    """Return the width and height of a label in points, with its frame."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    with drawn_quietly():
        width, _, _ = text_to_path.get_text_width_height_descent(
            text, FontProperties(size=FONT), ismath=False
        )
    return float(width) + 2 * PAD + 1.0, 1.35 * FONT + 2 * PAD


def _lost(shown: Sequence[ImageBoxes], iou_threshold: float) -> NDArray[np.bool_]:
    """Return which true boxes the second panel finds and the last does not."""
    if len(shown) < 3:
        return np.zeros(len(shown[0].boxes), dtype=np.bool_)
    before, after = (_matched(shown[0], found, iou_threshold) for found in (shown[1], shown[-1]))
    lost: NDArray[np.bool_] = before & ~after
    return lost


def _matched(boxes: ImageBoxes, others: ImageBoxes, iou_threshold: float) -> NDArray[np.bool_]:
    """Return which boxes overlap another one of their class."""
    if not len(boxes.boxes) or not len(others.boxes):
        return np.zeros(len(boxes.boxes), dtype=np.bool_)
    on = pairwise_iou(boxes.boxes, others.boxes) >= iou_threshold
    matched: NDArray[np.bool_] = (on & (boxes.labels[:, None] == others.labels)).any(axis=1)
    return matched


def _kinds(matched: NDArray[np.bool_], lost: NDArray[np.bool_], *, is_truth: bool) -> list[str]:
    """Return for each box the key of `LINES` that it is drawn with."""
    if not is_truth:
        return ["hit" if one else "false" for one in matched.tolist()]
    return ["lost" if gone else "hit" if one else "missed" for one, gone in zip(matched, lost, strict=True)]


def _draw_boxes(axes: Axes, shown: ImageBoxes, kinds: Sequence[str], opacity: float) -> None:
    from matplotlib.patches import Rectangle

    for (x, y, right, bottom), label, kind in zip(shown.boxes, shown.labels.tolist(), kinds, strict=True):
        line, thick = LINES[kind]
        outline: dict[str, Any] = {
            "fill": False,
            "edgecolor": COLOURS[label % len(COLOURS)],
            "linewidth": thick,
            "linestyle": line,
            "alpha": opacity,
        }
        # Not `add_patch`: it would widen the limits box by box, which is slow and not needed, as they are set.
        box = Rectangle((x, y), right - x, bottom - y, **outline)
        axes.add_artist(box)
        box.set_clip_path(axes.patch)


def _legend(figure: Figure, kinds: Sequence[str], titles: Sequence[str]) -> None:
    """Add a legend of the kinds of outlines that are drawn."""
    from matplotlib.patches import Patch

    last = titles[-1]
    meanings = {
        "hit": "true box that is found, detection on a true box of its class",
        "false": "detection on no true box of its class",
        "missed": f"true box not found ({last})",
        "lost": f"true box lost: found ({titles[min(1, len(titles) - 1)]}), not found ({last})",
    }
    color = "#E8E8E8" if is_dark() else "#333333"
    handles = [
        Patch(fill=False, edgecolor=color, linestyle=LINES[kind][0], linewidth=0.8 * LINES[kind][1])
        for kind in kinds
    ]
    if handles:
        figure.legend(
            handles,
            [meanings[kind] for kind in kinds],
            loc="lower center",
            ncols=len(kinds) if figure.get_figwidth() > 3.1 * len(kinds) else 2,
            frameon=False,
            fontsize=8,
            handlelength=2.6,
            borderaxespad=0.2,
        )
