"""Results of detection frameworks as columns: fields are found by name, and no framework is imported."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import DetectionError
from ._coco_results import collect_arrays
from ._columns import DetectionColumns
from ._fields import array_field, checked_ids, field, items_of, label_field, own_ids
from ._rle import encode_stack

__all__ = [
    "detections_of_outputs",
    "detections_of_samples",
    "detections_of_supervision",
    "detections_of_ultralytics",
]

Triple: TypeAlias = tuple[NDArray[Any], NDArray[Any], NDArray[Any]]

NOTHING: Triple = (np.zeros((0, 4)), np.zeros(0), np.zeros(0, dtype=np.int64))


def detections_of_samples(
    samples: Iterable[Any],
    category_ids_of_labels: ArrayLike,
    image_ids: Iterable[int] | None,
    masks: bool = False,
) -> DetectionColumns:
    """Return the columns of MMDetection's samples."""

    def read(sample: Any, where: str) -> Triple:
        found = field(sample, "pred_instances")
        return _triple(sample if found is None else found, ("bboxes", "scores", "labels"), where)

    many = items_of(samples, "samples", "pred_instances", DetectionError)
    if image_ids is None:
        image_ids = own_ids(many, "samples", "img_id", DetectionError)
    owners = [found if (found := field(one, "pred_instances")) is not None else one for one in many]
    kept = [field(owner, "masks") for owner in owners] if masks else None
    return _detections(many, "samples", image_ids, read, category_ids_of_labels, kept)


def detections_of_outputs(
    outputs: Iterable[Any],
    image_ids: Iterable[int],
    category_ids_of_labels: ArrayLike | None,
    masks: bool = False,
) -> DetectionColumns:
    """Return the columns of torchvision's outputs."""

    def read(output: Any, where: str) -> Triple:
        return _triple(output, ("boxes", "scores", "labels"), where)

    many = items_of(outputs, "outputs", "boxes", DetectionError)
    kept = [field(one, "masks") for one in many] if masks else None
    return _detections(many, "outputs", image_ids, read, category_ids_of_labels, kept)


def detections_of_supervision(
    detections: Iterable[Any],
    image_ids: Iterable[int],
    category_ids_of_labels: ArrayLike,
    masks: bool = False,
) -> DetectionColumns:
    """Return the columns of supervision's objects."""

    def read(item: Any, where: str) -> Triple:
        if not len(array_field(item, "xyxy", where, DetectionError)):
            return NOTHING
        if field(item, "confidence") is None:
            raise DetectionError(
                f"{where}: `confidence` must be given, got None. Annotations have none and go to "
                "`GroundTruth.from_supervision`; for detections set it to the scores."
            )
        return _triple(item, ("xyxy", "confidence", "class_id"), where)

    many = items_of(detections, "detections", "xyxy", DetectionError)
    kept = [field(one, "mask") for one in many] if masks else None
    return _detections(many, "detections", image_ids, read, category_ids_of_labels, kept)


def detections_of_ultralytics(
    results: Iterable[Any], image_ids: Iterable[int], category_ids_of_labels: ArrayLike
) -> DetectionColumns:
    """Return the columns of Ultralytics' results."""

    def read(result: Any, where: str) -> Triple:
        boxes = field(result, "boxes")
        if boxes is None:
            raise DetectionError(
                f"{where}: a result must have `boxes`, got None. Classifiers and oriented-box models give "
                "none: predict with a detection model."
            )
        return _triple(boxes, ("xyxy", "conf", "cls"), where)

    many = items_of(results, "results", "boxes", DetectionError)
    return _detections(many, "results", image_ids, read, category_ids_of_labels)


def _detections(
    items: Sequence[Any],
    name: str,
    image_ids: Iterable[int],
    read: Callable[[Any, str], Triple],
    category_ids_of_labels: ArrayLike | None,
    masks: Sequence[Any] | None = None,
) -> DetectionColumns:
    """Read every item; without `category_ids_of_labels` labels are category ids."""
    wanted = checked_ids(image_ids, items, name, DetectionError).tolist()
    triples = [read(item, f"Image {image}") for item, image in zip(items, wanted, strict=True)]
    encoded = None
    if masks is not None:
        encoded = [
            encode_stack(mask, len(boxes), f"Image {image}", DetectionError) if len(boxes) else []
            for mask, (boxes, _, _), image in zip(masks, triples, wanted, strict=True)
        ]
    if category_ids_of_labels is None:
        used = np.unique(np.concatenate([NOTHING[2], *(labels.ravel() for _, _, labels in triples)]))
        triples = [(boxes, scores, np.searchsorted(used, labels)) for boxes, scores, labels in triples]
        return collect_arrays(triples, wanted, used, encoded)
    return collect_arrays(triples, wanted, category_ids_of_labels, encoded)


def _triple(owner: Any, keys: tuple[str, str, str], where: str) -> Triple:
    boxes, scores = (array_field(owner, key, where, DetectionError) for key in keys[:2])
    return boxes, scores, label_field(owner, keys[2], where, DetectionError)
