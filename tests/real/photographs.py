"""Photographs of COCO val2017 with their truth, and pycocotools' word on detections in them."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

import deep_dissect as dd
from dissect_core.detectors import ImageDetections
from dissect_eval import label_to_category

FOLDER = "data/coco_val158"


def photographs(folder: Path, limit: int | None = None) -> dd.CocoSplit:
    """Return the photographs, or the first of them."""
    return dd.CocoSplit(folder / "instances_val158.json", folder / "images", limit=limit)


def coco_classes(data: dd.CocoSplit) -> tuple[str, ...]:
    """Return the names of COCO's classes in the order of their ids, which is that of a detector's labels."""
    return tuple(data.truth.category_names[number] for number in sorted(data.truth.category_names))


def results_list(
    data: dd.CocoSplit, found: Sequence[ImageDetections], class_names: Sequence[str]
) -> list[dict[str, Any]]:
    """Return detections as COCO's results list, written by hand."""
    categories = label_to_category(data.truth, class_names).tolist()
    return [
        {
            "image_id": image,
            "category_id": categories[label],
            "bbox": [x0, y0, x1 - x0, y1 - y0],
            "score": score,
        }
        for image, one in zip(data.ids, found, strict=True)
        for (x0, y0, x1, y1), score, label in zip(
            one.boxes.tolist(), one.scores.tolist(), one.labels.tolist(), strict=True
        )
    ]


def pycocotools_numbers(data: dd.CocoSplit, results: list[dict[str, Any]], folder: Path) -> list[float]:
    """Return pycocotools' 12 numbers, from files as its users have them."""
    annotations, detections = folder / "annotations.json", folder / "detections.json"
    annotations.write_text(json.dumps(data.truth.to_coco()))
    detections.write_text(json.dumps(results))
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(annotations)
        evaluation = COCOeval(truth, truth.loadRes(str(detections)), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return [float(number) for number in evaluation.stats]


def same(one: Sequence[ImageDetections], other: Sequence[ImageDetections]) -> bool:
    """Return whether two lists of detections are equal bit for bit."""
    return len(one) == len(other) and all(
        np.array_equal(a.boxes, b.boxes)
        and np.array_equal(a.scores, b.scores)
        and np.array_equal(a.labels, b.labels)
        for a, b in zip(one, other, strict=True)
    )
