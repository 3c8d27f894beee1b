"""Images on which a variant lost most: truth, baseline and ablated side by side."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dissect_core.detectors import ImageDetections
from dissect_eval import GroundTruth, pairwise_iou

from .._images import read_image
from ..errors import ImageError
from ._found import StudyDetections
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


class _Boxes(NamedTuple):
    """Boxes to draw, with their labels and, of detections, their scores."""

    boxes: NDArray[np.float64]
    labels: NDArray[np.int64]
    scores: NDArray[np.float64] | None


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
    whole = results.study.found(results.study.variants[0]).by_image()
    for row in _worst(summary_rows(results), metric)[:count]:
        ablated = results.study.found(row["id"]).by_image()
        losses = {
            image: _hits(results, found, image, whole[image]) - _hits(results, found, image, ablated[image])
            for image in whole
        }
        image = max(losses, key=lambda i: losses[i])
        file_name = results.study.images[image].file_name
        try:
            pixels = read_image(images / file_name)[:, :, ::-1]
        except ImageError:
            continue  # moved or deleted since: a report without it is a report all the same
        truth = _truth(results.truth, found, results.study.images[image].image_id)
        shown = [truth, _above(whole[image], results), _above(ablated[image], results)]
        figure = _draw(pixels, shown, results.study.class_names)
        yield Example(row["id"], file_name, losses[image], figure)


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


def _above(found: ImageDetections, results: StudyResults) -> _Boxes:
    kept = found.scores >= results.settings.score_threshold
    return _Boxes(found.boxes[kept], found.labels[kept], found.scores[kept])


def _truth(truth: GroundTruth, found: StudyDetections, image_id: int) -> _Boxes:
    at = int(np.flatnonzero(truth.image_ids == image_id)[0])
    part = slice(*truth.image_splits[at : at + 2])
    label_of = {category: label for label, category in enumerate(found.categories.tolist())}
    labels = [label_of.get(category, -1) for category in truth.category_ids[part].tolist()]
    return _Boxes(truth.boxes[part], np.array(labels, dtype=np.int64), None)


def _hits(results: StudyResults, found: StudyDetections, image: int, given: ImageDetections) -> int:
    """True boxes with a detection of their class on them, at or above the score threshold."""
    truth = _truth(results.truth, found, results.study.images[image].image_id)
    boxes = _above(given, results)
    if not len(truth.boxes) or not len(boxes.boxes):
        return 0
    fits = pairwise_iou(truth.boxes, boxes.boxes) >= results.settings.iou_threshold
    return int((fits & (truth.labels[:, None] == boxes.labels[None])).any(axis=1).sum())


def _draw(pixels: NDArray[np.uint8], shown: Sequence[_Boxes], class_names: Sequence[str]) -> Figure:
    from matplotlib.figure import Figure as FigureClass

    height, width = pixels.shape[:2]
    figure = FigureClass(figsize=(12, 4 * height / width + 0.5), layout="constrained")
    for axes, boxes, title in zip(
        figure.subplots(1, 3), shown, ("truth", "baseline", "ablated"), strict=True
    ):
        axes.imshow(pixels)
        axes.set_title(f"{title} ({len(boxes.boxes)})")
        axes.set_axis_off()
        _draw_boxes(axes, boxes, class_names)
    return figure


def _draw_boxes(axes: Axes, shown: _Boxes, class_names: Sequence[str]) -> None:
    from matplotlib.patches import Rectangle

    for i, (box, label) in enumerate(zip(shown.boxes, shown.labels.tolist(), strict=True)):
        x, y, right, bottom = box
        colour = COLOURS[label % len(COLOURS)]
        axes.add_patch(Rectangle((x, y), right - x, bottom - y, fill=False, edgecolor=colour, linewidth=1.6))
        name = class_names[label] if 0 <= label < len(class_names) else "other"
        text = name if shown.scores is None else f"{name} {shown.scores[i]:.2f}"
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
