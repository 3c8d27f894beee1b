"""Images on which a variant lost most: truth, baseline and ablated side by side."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ._changes import image_hits
from ._found import StudyDetections
from ._measure import StudyResults
from ._pictures import read_pixels, side_by_side
from ._settings import DEFAULT_METRIC
from ._tables import summary_rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Example(NamedTuple):
    """One image, the variant that is shown on it, and the picture."""

    variant: str
    file_name: str
    lost: int
    figure: Figure


def examples(
    results: StudyResults, images: Path, metric: str = DEFAULT_METRIC, *, count: int = 4
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
    settings = results.settings
    found = StudyDetections(
        results.study,
        results.truth,
        common_classes=settings.common_classes,
        class_map=settings.class_map,
    )
    threshold = settings.score_threshold
    whole = found.on_images(results.study.variants[0])
    truth = {image: found.truth_on(image) for image in whole}
    before = image_hits(truth, whole, settings.iou_threshold).found(threshold)
    rows = [] if results.better_than_chance.at_chance else _worst(summary_rows(results), metric)
    for row in rows[:count]:
        ablated = found.on_images(row["id"])
        lost = before - image_hits(truth, ablated, settings.iou_threshold).found(threshold)
        image = list(truth)[int(np.argmax(lost))]
        file_name = results.study.images[image].file_name
        pixels = read_pixels(images / file_name, turned=results.study.turns_by_exif)
        if pixels is None:
            continue  # moved or deleted since: a report without it is a report all the same
        shown = [truth[image], *(one[image].above(threshold) for one in (whole, ablated))]
        figure = side_by_side(pixels, shown, found.class_names, iou_threshold=settings.iou_threshold)
        yield Example(row["id"], file_name, int(lost.max()), figure)


def _worst(rows: Sequence[Mapping[str, Any]], metric: str) -> list[Mapping[str, Any]]:
    """The worst variant of each ablation that leaves something, the worst first."""
    worst: dict[str, Mapping[str, Any]] = {}
    for row in rows[1:]:
        loss = row[f"{metric}_difference"]
        if row["kind"] != "ablation" or row["no_op"] or not math.isfinite(loss):
            continue
        best = worst.get(row["ablation"])
        if best is None or loss < best[f"{metric}_difference"]:
            worst[row["ablation"]] = row
    return sorted(worst.values(), key=lambda row: row[f"{metric}_difference"])
