"""Images on which a variant lost most: truth, baseline and ablated side by side."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._boxes import pairwise_iou
from ._found import ImageBoxes, StudyDetections
from ._measure import StudyResults
from ._tables import summary_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442")


class Example(NamedTuple):
    """One image, the variant that is shown on it, and the picture."""

    variant: str
    file_name: str
    lost: int
    figure: Figure


def examples(
    results: StudyResults, images: Path, metric: str = "AP50", *, count: int = 4
) -> Iterator[Example]:
    """Draw for the worst variant of each ablation the image on which it lost most objects.

    Parameters
    ----------
    results : StudyResults
    images : Path
        Folder of the study's images.
    metric : str
        By which the worst variant is chosen.
    count : int
        Most pictures.
    """
    found = StudyDetections(results.study, results.truth)
    settings = results.settings
    whole = found.on_images(results.study.variants[0])
    for row in _worst(summary_rows(results), metric)[:count]:
        ablated = found.on_images(row["id"])
        truth = {image: found.truth_on(image) for image in whole}
        losses = {
            image: hits(truth[image], whole[image].above(settings.score_threshold), settings.iou_threshold)
            - hits(truth[image], ablated[image].above(settings.score_threshold), settings.iou_threshold)
            for image in whole
        }
        image = max(losses, key=lambda i: losses[i])
        file_name = results.study.images[image].file_name
        pixels = read_pixels(images / file_name)
        if pixels is None:
            continue  # moved or deleted since: a report without it is a report all the same
        shown = [truth[image], *(one[image].above(settings.score_threshold) for one in (whole, ablated))]
        figure = _draw(pixels, shown, results.study.class_names)
        yield Example(row["id"], file_name, losses[image], figure)


def read_pixels(path: Path) -> NDArray[np.uint8] | None:
    """Decode an image, turned as it says of itself, to RGB of shape (height, width, 3); None where it cannot be."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except (OSError, ValueError, Image.DecompressionBombError):
        return None


def hits(truth: ImageBoxes, found: ImageBoxes, iou_threshold: float) -> int:
    """Count the true boxes with a detection of their class on them."""
    if not len(truth.boxes) or not len(found.boxes):
        return 0
    fits = pairwise_iou(truth.boxes, found.boxes) >= iou_threshold
    return int((fits & (truth.labels[:, None] == found.labels[None])).any(axis=1).sum())


def _worst(rows: Sequence[Mapping[str, Any]], metric: str) -> list[Mapping[str, Any]]:
    """The worst variant of each ablation that leaves something, the worst first."""
    worst: dict[str, Mapping[str, Any]] = {}
    for row in rows[1:]:
        loss = row[f"{metric}_difference"]
        if row["kind"] != "ablation" or not math.isfinite(loss):
            continue
        best = worst.get(row["ablation"])
        if best is None or loss < best[f"{metric}_difference"]:
            worst[row["ablation"]] = row
    return sorted(worst.values(), key=lambda row: row[f"{metric}_difference"])


def _draw(pixels: NDArray[np.uint8], shown: Sequence[ImageBoxes], class_names: Sequence[str]) -> Figure:
    from matplotlib.figure import Figure as FigureClass

    height, width = pixels.shape[:2]
    figure = FigureClass(figsize=(12, 4 * height / width + 0.5), layout="constrained")
    for axes, boxes, title in zip(
        figure.subplots(1, 3), shown, ("truth", "baseline", "ablated"), strict=True
    ):
        axes.imshow(pixels)
        axes.set_title(f"{title} ({len(boxes.boxes)})")
        axes.set_axis_off()
        _draw_boxes(axes, boxes, class_names, with_scores=title != "truth")
    return figure


def _draw_boxes(axes: Axes, shown: ImageBoxes, class_names: Sequence[str], *, with_scores: bool) -> None:
    from matplotlib.patches import Rectangle

    for i, (box, label) in enumerate(zip(shown.boxes, shown.labels.tolist(), strict=True)):
        x, y, right, bottom = box
        colour = COLOURS[label % len(COLOURS)]
        axes.add_patch(Rectangle((x, y), right - x, bottom - y, fill=False, edgecolor=colour, linewidth=1.6))
        name = class_names[label] if 0 <= label < len(class_names) else "other"
        text = f"{name} {shown.scores[i]:.2f}" if with_scores else name
        axes.text(
            x,
            y,
            text,
            fontsize=7,
            color="black",
            va="bottom",
            clip_on=True,
            bbox={"facecolor": colour, "edgecolor": "none", "pad": 0.8, "alpha": 0.75},
        )
