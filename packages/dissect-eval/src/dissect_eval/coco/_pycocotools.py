"""Compute COCO AP with pycocotools, on data sets in memory, with ids for which its numbers are right."""

from __future__ import annotations

import contextlib
import io
import threading
from typing import Any

import numpy as np

from .._arrays import canonical_order
from ..data import Detections, GroundTruth
from ..errors import MissingExtraError
from ._ap_numpy import mean_of_defined
from ._index import TieBreak
from ._mask_overlap import areas_of, detection_masks, order_of, truth_masks
from ._settings import DEFAULT, CocoSettings, Number

__all__ = ["evaluate"]

_SILENT = threading.Lock()
"""One at a time: `sys.stdout` is one for all threads, and two that restore it crosswise leave it redirected."""


def evaluate(
    truth: GroundTruth, aligned: Detections, tie_break: TieBreak, settings: CocoSettings = DEFAULT
) -> tuple[dict[str, float], list[float]]:
    """Return all numbers by name, and AP per category in the order of the truth's categories; NaN where undefined."""
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            'backend="pycocotools" needs pycocotools, which is not installed. Run `pip install "dissect-eval[coco]"`.',
            name="pycocotools",
        ) from error

    masks = (
        [truth_masks(truth), detection_masks(aligned, truth.image_sizes)]
        if settings.iou_type == "segm"
        else None
    )
    if tie_break == "canonical":
        last = [None, None] if masks is None else [order_of(part) for part in masks]
        truth_rows = canonical_order(truth.image_index, truth.category_ids, truth.boxes, last=last[0])
        rows = canonical_order(
            aligned.image_index, aligned.category_ids, aligned.boxes, aligned.scores, last[1]
        )
    else:
        truth_rows, rows = np.arange(truth.n_boxes), np.arange(aligned.n_boxes)
    images = [{"id": i} for i in truth.image_ids.tolist()]
    truth_records, detection_records = _truth_records(truth, truth_rows), _detection_records(aligned, rows)
    if masks is not None:
        for records, part in ((truth_records, masks[0][truth_rows]), (detection_records, masks[1][rows])):
            for record, mask in zip(records, part.tolist(), strict=True):
                record["segmentation"] = mask
        for record, area in zip(detection_records, areas_of(masks[1][rows]).tolist(), strict=True):
            record["area"] = area
        images = [{**image, "width": 0, "height": 0} for image in images]  # needed for polygons only
    categories = [{"id": key} for key in truth.category_names]
    with _SILENT, contextlib.redirect_stdout(io.StringIO()):
        sets = []
        for annotations in (truth_records, detection_records):
            coco = COCO()
            coco.dataset = {"images": images, "categories": categories, "annotations": annotations}
            coco.createIndex()
            sets.append(coco)
        run = COCOeval(*sets, settings.iou_type)
        run.params.iouThrs = settings.thresholds
        run.params.maxDets = list(settings.max_detections)
        run.params.areaRng, run.params.areaRngLbl = (
            settings.areas.tolist(),
            [n for n, _ in settings.area_ranges],
        )
        run.evaluate()
        run.accumulate()
    precision, recall = (
        np.where(run.eval[key] > -1, run.eval[key], np.nan) for key in ("precision", "recall")
    )

    def value(number: Number) -> float:
        cut = settings.max_detections.index(number.cut)
        if number.is_recall:
            return mean_of_defined(recall[:, :, number.area, cut])
        return mean_of_defined(precision[number.thresholds, :, :, number.area, cut])

    per_class = [mean_of_defined(precision[:, :, k, 0, -1]) for k in range(len(categories))]
    return {name: value(number) for name, number in settings.numbers.items()}, per_class


def _truth_records(truth: GroundTruth, rows: np.ndarray[Any, Any]) -> list[dict[str, Any]]:
    """Return annotations with ids from 1: pycocotools takes a match with id 0 for no match."""
    image_ids = truth.image_ids[truth.image_index]
    columns = zip(
        image_ids[rows].tolist(),
        truth.category_ids[rows].tolist(),
        np.concatenate([truth.boxes[:, :2], truth.sizes], axis=1)[rows].tolist(),
        truth.area[rows].tolist(),
        truth.is_region[rows].astype(int).tolist(),
        strict=True,
    )
    return [
        {"id": i, "image_id": image, "category_id": category, "bbox": bbox, "area": area, "iscrowd": crowd}
        for i, (image, category, bbox, area, crowd) in enumerate(columns, start=1)
    ]


def _detection_records(aligned: Detections, rows: np.ndarray[Any, Any]) -> list[dict[str, Any]]:
    records = aligned.to_results()
    sizes = aligned.sizes
    return [
        {**records[row], "id": i, "area": float(sizes[row, 0] * sizes[row, 1]), "iscrowd": 0}
        for i, row in enumerate(rows.tolist(), start=1)
    ]
