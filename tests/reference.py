"""Small COCO data sets, their results by dissect-eval, and pycocotools as it is: what these are held to."""

import contextlib
import copy
import io
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

from dissect_eval import Detections, GroundTruth, coco_ap, detection_metrics
from dissect_eval.coco import CocoAP

Record = dict[str, Any]


def box(number: Any, bbox: Sequence[float], category: Any = 1, image: Any = 1, **more: Any) -> Record:
    """A true box, with its area and not of a crowd."""
    area = bbox[2] * bbox[3]
    record = {"id": number, "image_id": image, "category_id": category, "bbox": bbox, "area": area}
    return {**record, "iscrowd": 0, **more}


def hit(bbox: Sequence[float], score: Any, category: Any = 1, image: Any = 1) -> Record:
    """A detection."""
    return {"image_id": image, "category_id": category, "bbox": bbox, "score": score}


def split(boxes: Iterable[Record], images: Sequence[Any] = (1,), categories: Sequence[Any] = (1,)) -> Record:
    """Content of an annotation file."""
    return {
        "info": {},
        "images": [{"id": i, "width": 640, "height": 480} for i in images],
        "categories": [{"id": k, "name": f"class {k}"} for k in categories],
        "annotations": list(boxes),
    }


BOXES = ([10, 10, 50, 50], [100, 100, 60, 60], [300, 200, 80, 80])
THREE = split(box(i + 1, bbox) for i, bbox in enumerate(BOXES))
HITS = [hit(bbox, 0.9 - i / 10) for i, bbox in enumerate(BOXES)]
MISS = [400, 10, 20, 20]


def load(content: Record, rows: Sequence[Record]) -> tuple[GroundTruth, Detections]:
    """Truth and detections as the package reads them."""
    truth = GroundTruth.from_coco(content)
    return truth, Detections.from_results(rows, truth)


def ap(content: Record, rows: Sequence[Record], **more: Any) -> CocoAP:
    """COCO AP of records."""
    return coco_ap(*load(content, rows), **more)


def score(content: Record, rows: Sequence[Record], **more: Any) -> float:
    """AP alone."""
    return ap(content, rows, **more).AP


def counts(content: Record, rows: Sequence[Record], **more: Any) -> tuple[int, int, int]:
    """True positives, false positives and false negatives of detection mode."""
    result = detection_metrics(*load(content, rows), **more)
    return result.n_true_positives, result.n_false_positives, result.n_false_negatives


def cocoeval(content: Record, rows: Sequence[Record], iou_type: str = "bbox", **params: Any) -> Any:
    """A ``COCOeval`` that has run, with nothing done for it. It cannot read an empty results list.

    Where `params` are set, it is not summarised: pycocotools prints its own twelve lines only.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # pycocotools' own, on masks
        truth = COCO()
        truth.dataset = copy.deepcopy(content)
        truth.createIndex()
        run = COCOeval(truth, truth.loadRes(copy.deepcopy(list(rows))), iou_type)
        for name, value in params.items():
            setattr(run.params, name, value)
        run.evaluate()
        run.accumulate()
        if not params:
            run.summarize()
    return run


def pycocotools(content: Record, rows: Sequence[Record]) -> float:
    """AP alone, by the original."""
    return float(cocoeval(content, rows).stats[0])
