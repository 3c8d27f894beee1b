"""Images on which a variant lost most: truth, baseline and ablated side by side."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...errors import StudyDataError
from ..figures import counted
from ..measuring import DEFAULT_METRIC, StudyResults
from ..stored import ImageBoxes, StudyDetections
from ..tables import summary_rows
from ._changes import ImageHits, image_hits, lost_objects
from ._pixels import Pictures
from ._side_by_side import side_by_side

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TRIED_AT_MOST = 20
"""Most images that are tried for an example: files may have been moved or deleted since the run."""


class Example(NamedTuple):
    """One image, the variant that is shown on it, and the figure.

    Attributes
    ----------
    variant : str
    file_name : str
        Empty where the variant loses no object on any image.
    lost : int
        Objects of the image that the baseline finds and the variant does not.
    figure : matplotlib.figure.Figure or None
        None where nothing is lost, or where no image with a lost object can be read.
    caption : str
        What the figure shows, or why there is none.
    """

    variant: str
    file_name: str
    lost: int
    figure: Figure | None
    caption: str


def examples(
    results: StudyResults, images: Path | Pictures, metric: str = DEFAULT_METRIC, *, count: int = 4
) -> Iterator[Example]:
    """Draw for the worst variant of each ablation the image on which it lost most objects.

    Parameters
    ----------
    results : StudyResults
    images : Path or Pictures
        Folder of the study's images. What is shown lies below it: names that lead elsewhere are not followed.
    metric : str
        Metric by which the worst variant is chosen.
    count : int
        Most examples.

    Yields
    ------
    Example
        Without a figure where the variant loses no object that the baseline finds, or where no image can be read.
    """
    pictures = images if isinstance(images, Pictures) else Pictures(images)
    settings = results.settings
    measured = set(results.truth.image_ids.tolist())
    found = StudyDetections(
        results.study,
        results.truth,
        common_classes=settings.common_classes,
        class_map=settings.class_map,
        images=measured,
    )

    def boxes_of(variant: str) -> dict[int, ImageBoxes]:
        everywhere = found.on_images(variant).items()
        return {image: one for image, one in everywhere if results.study.images[image].image_id in measured}

    whole = boxes_of(results.study.variants[0])
    truth = {image: found.truth_on(image) for image in whole}
    before = image_hits(truth, whole, settings.iou_threshold)
    rows = [] if results.better_than_chance.at_chance else _worst(summary_rows(results), metric)
    for row in rows[:count]:
        ablated = boxes_of(row["id"])
        after = image_hits(truth, ablated, settings.iou_threshold)
        yield _example(results, found, pictures, row["id"], (truth, whole, ablated), (before, after))


def _example(
    results: StudyResults,
    found: StudyDetections,
    pictures: Pictures,
    variant: str,
    boxes: tuple[Mapping[int, ImageBoxes], ...],
    hits: tuple[ImageHits, ImageHits],
) -> Example:
    """Return the example of a variant, on the readable image on which it loses most objects."""
    threshold, iou = results.settings.score_threshold, results.settings.iou_threshold
    truth, whole, ablated = boxes
    before, after = hits
    lost, anew = lost_objects(before, after, threshold), lost_objects(after, before, threshold)
    at = f"at score ≥ {threshold:g} and IoU ≥ {iou:g}"
    order = np.argsort(-lost, kind="stable")
    order = order[lost[order] > 0]
    if not len(order):
        every = counted(len(lost), "image")
        nothing = f"{variant} loses no object that the baseline finds {at}, on any of {every}."
        return Example(variant, "", 0, None, nothing)
    reasons: list[str] = []
    for place in order[:TRIED_AT_MOST].tolist():
        image = list(truth)[place]
        file_name = results.study.images[image].file_name
        try:
            pixels = pictures.read(file_name, turned=results.study.turns_by_exif)
        except StudyDataError as error:
            reasons.append(str(error))
            continue
        shown = [truth[image], *(one[image].above(threshold) for one in (whole, ablated))]
        figure = side_by_side(pixels, shown, found.class_names, iou_threshold=iou)
        n_found = int(before.found(threshold)[place])
        caption = (
            f"{file_name}, {variant}: {int(lost[place])} of the {counted(n_found, 'object')} that the baseline finds "
            f"{at} {'is' if lost[place] == 1 else 'are'} lost, {int(anew[place])} found anew. The image with most lost "
            f"of {counted(len(lost), 'image')}, {len(order):,} with any."
        )
        return Example(variant, file_name, int(lost[place]), figure, caption)
    first = results.study.images[list(truth)[int(order[0])]].file_name
    return Example(
        variant,
        first,
        int(lost[order[0]]),
        None,
        f"{variant} loses {counted(int(lost[order[0]]), 'object')} on {first}, which cannot be shown: {reasons[0]}.",
    )


def _worst(rows: Sequence[Mapping[str, Any]], metric: str) -> list[Mapping[str, Any]]:
    """Return the worst variant of each ablation, the worst first; variants that changed nothing do not count."""
    worst: dict[str, Mapping[str, Any]] = {}
    for row in rows[1:]:
        loss = row[f"{metric}_difference"]
        if row["kind"] != "ablation" or row["no_op"] or not math.isfinite(loss):
            continue
        best = worst.get(row["ablation"])
        if best is None or loss < best[f"{metric}_difference"]:
            worst[row["ablation"]] = row
    return sorted(worst.values(), key=lambda row: row[f"{metric}_difference"])
