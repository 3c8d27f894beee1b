"""Ground truth for MMDetection's detection samples; their truth and detections in the form of `dissect_eval`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dissect_core.storage.files import read_regular
from dissect_eval import Detections, GroundTruth, xywh_to_xyxy

from ..errors import AnnotationError, AnnotationsNotFoundError, PickleRefusedError
from ._reading import Record

Annotation = Mapping[str, Any]
CLASS_NAMES_FIELD = "class_names"
CATEGORY_NAMES_FIELD = "category_names"


@dataclass(frozen=True)
class Naming:
    """Names of the labels of both sides of a sample: of its detections and of its truth.

    Attributes
    ----------
    class_names : tuple of str
        Name of each predicted label; labels are contiguous.
    category_names : mapping of int to str
        Name of each category id of the truth; ids may have gaps.
    """

    class_names: tuple[str, ...]
    category_names: Mapping[int, str]

    @property
    def names(self) -> tuple[str, ...]:
        """Return every name once: the detector's classes, then categories that it does not know."""
        return tuple(dict.fromkeys((*self.class_names, *self.category_names.values())))


def read_annotations(path: Path | str) -> dict[str, Any]:
    """Read a COCO annotation file, unchanged.

    Raises
    ------
    AnnotationError
        If the file is missing, is not JSON, or lacks a list of images or of annotations.
    """
    try:
        content = json.loads(read_regular(path).decode("utf-8-sig"))
    except FileNotFoundError as error:
        raise AnnotationsNotFoundError(
            f"annotations {path}: no such file. Give the COCO annotation file of the images."
        ) from error
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        why = getattr(error, "strerror", None) or " ".join(str(error).split())[:200]
        raise AnnotationError(f"annotations {path} cannot be read: {why}.") from error
    if not isinstance(content, dict):
        raise AnnotationError(
            f"annotations {path}: must hold a JSON object, holds a {type(content).__name__}. Give a COCO annotation "
            "file."
        )
    for key in ("images", "annotations"):
        if not isinstance(content.get(key), list):
            raise AnnotationError(
                f"annotations {path}: must hold a list `{key}`, holds none. Give a COCO annotation file."
            )
    return content


def annotations_by_image(annotations: Iterable[Annotation]) -> dict[int, list[Annotation]]:
    """Return the annotations of each image id, in the order of the file.

    Examples
    --------
    >>> annotations_by_image([{"image_id": 7, "id": 1}, {"image_id": 7, "id": 2}])
    {7: [{'image_id': 7, 'id': 1}, {'image_id': 7, 'id': 2}]}
    """
    found: dict[int, list[Annotation]] = {}
    for annotation in annotations:
        found.setdefault(annotation["image_id"], []).append(annotation)
    return found


def set_truth(sample: Any, annotations: Sequence[Annotation]) -> Any:
    """Give a sample its ground truth, on the device of its predictions.

    Parameters
    ----------
    sample : mmdet.structures.DetDataSample
        Gets ``gt_instances`` with ``bboxes`` (n, 4) of float32, xyxy in pixels, and ``labels`` (n,) of int64,
        the category ids as the file has them.
    annotations : sequence of mapping
        All annotations of the image, crowd included.

    Returns
    -------
    mmdet.structures.DetDataSample
        The same sample.

    Raises
    ------
    dissect_eval.BoxError
        If a box is not finite or has a negative size.
    """
    from mmengine.structures import InstanceData

    predicted = sample.get("pred_instances")
    device = predicted.bboxes.device if predicted is not None and "bboxes" in predicted else "cpu"
    boxes = xywh_to_xyxy([annotation["bbox"] for annotation in annotations])
    sample.gt_instances = InstanceData(
        bboxes=torch.tensor(boxes, dtype=torch.float32, device=device),
        labels=torch.tensor(
            [annotation["category_id"] for annotation in annotations], dtype=torch.int64, device=device
        ),
    )
    return sample


def set_naming(samples: Iterable[Any], naming: Naming) -> None:
    """Store the names in the samples, so that a pickle of them can be scored without the detector."""
    # Tuples, because a sample copies what it is given, and copies of a tuple of constants are the tuple itself.
    pairs = tuple(naming.category_names.items())
    fields = {CLASS_NAMES_FIELD: naming.class_names, CATEGORY_NAMES_FIELD: pairs}
    for sample in samples:
        sample.set_metainfo(fields)


def naming_of(samples: Sequence[Record], default: Naming) -> Naming:
    """Return the names stored in the samples, or the default if there are none."""
    fields = (CLASS_NAMES_FIELD, CATEGORY_NAMES_FIELD)
    class_names, pairs = (samples[0].get(field) if samples else None for field in fields)
    if not isinstance(class_names, tuple) or not isinstance(pairs, tuple):
        return default
    if not all(type(pair) is tuple and len(pair) == 2 and type(pair[0]) is int for pair in pairs):
        raise PickleRefusedError(
            f"samples: `{CATEGORY_NAMES_FIELD}` must hold pairs of a category id and a name. Run the inference again."
        )
    return Naming(tuple(str(name) for name in class_names), {number: str(name) for number, name in pairs})


def truth_and_detections(samples: Sequence[Record], naming: Naming) -> tuple[GroundTruth, Detections]:
    """Return truth and detections of samples, with categories numbered as in ``naming.names``.

    A category id without a name becomes ``len(naming.names)``, a label without one ``len(naming.names) + 1``.

    Parameters
    ----------
    samples : sequence of Record
        See `load_samples`. Samples without truth or predictions count as images without boxes.
    naming : Naming
        Connects the predicted labels with the category ids of the truth.

    Returns
    -------
    truth : dissect_eval.GroundTruth
        Images are numbered in the order of the samples; crowd boxes are ordinary ones, as samples do not mark them.
    detections : dissect_eval.Detections

    Raises
    ------
    AnnotationError
        If the two sides have no name in common.
    dissect_eval.DetectionError, dissect_eval.BoxError
        If a box is not finite.
    """
    if not set(naming.class_names) & set(naming.category_names.values()):
        raise AnnotationError(
            f"the detector's classes ({', '.join(naming.class_names[:3])}, …) and the annotation file's "
            "categories have no name in common: is it the annotation file of another data set?"
        )
    numbers = {name: number for number, name in enumerate(naming.names)}
    by_id = {category_id: numbers[name] for category_id, name in naming.category_names.items()}
    no_truth, no_label = len(numbers), len(numbers) + 1
    truths = [_rows(sample.get("gt_instances")) for sample in samples]
    boxes, ids = [truth[0] for truth in truths], [truth[1] for truth in truths]
    flat_boxes = np.concatenate([np.zeros((0, 4)), *boxes])
    flat_ids = np.concatenate([np.zeros(0, dtype=np.int64), *ids])
    sizes = flat_boxes[:, 2:] - flat_boxes[:, :2]
    truth = GroundTruth(
        image_ids=np.arange(len(samples)),
        image_sizes=np.full((len(samples), 2), np.nan),
        file_names=("",) * len(samples),
        image_splits=np.cumsum([0, *(len(rows) for rows in boxes)]),
        annotation_ids=np.arange(len(flat_boxes)),
        boxes=flat_boxes,
        sizes=sizes,
        category_ids=np.array([by_id.get(int(i), no_truth) for i in flat_ids], dtype=np.int64),
        iscrowd=np.zeros(len(flat_boxes), dtype=np.bool_),
        ignore=np.zeros(len(flat_boxes), dtype=np.bool_),
        area=sizes.prod(axis=1),
        category_names=dict(enumerate((*naming.names, "truth without a name", "label without a name"))),
    )
    n_classes = len(naming.class_names)
    predicted = [_predicted(sample.get("pred_instances"), n_classes) for sample in samples]
    labels = np.array([*(numbers[name] for name in naming.class_names), no_label], dtype=np.int64)
    return truth, Detections.from_arrays(predicted, range(len(samples)), labels)


def _predicted(instances: object, n_classes: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return the boxes, scores and labels of an image; the label `n_classes` stands for all that have no name."""
    boxes, labels = _rows(instances)
    scores = _array(instances, "scores", np.float64)
    if scores.shape != labels.shape:
        raise _odd("scores", f"{len(labels)} numbers", scores)
    return boxes, scores, np.where((labels >= 0) & (labels < n_classes), labels, n_classes)


def _rows(instances: object) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the boxes and labels of a sample's instances."""
    boxes, labels = _array(instances, "bboxes", np.float64), _array(instances, "labels", np.int64)
    if labels.ndim != 1:
        raise _odd("labels", "a row of numbers", labels)
    if boxes.shape != (len(labels), 4) and (boxes.size or len(labels)):
        raise _odd("bboxes", f"{len(labels)} rows of 4 numbers, one for each label", boxes)
    return boxes.reshape(-1, 4), labels


def _array(instances: object, field: str, kind: type[np.generic]) -> NDArray[Any]:
    """Return a field of a sample's instances as an array, empty if there is none."""
    if instances is not None and not isinstance(instances, Record):
        raise _odd("instances", "data elements", instances)
    value = instances.get(field) if instances is not None else None
    if isinstance(value, Record):  # HorizontalBoxes wrap their tensor
        value = value.get("tensor")
    if value is None:
        return np.zeros(0, dtype=kind)
    if isinstance(value, torch.Tensor) and not value.is_complex():  # half precisions are unknown to NumPy
        return value.detach().to(torch.float64 if kind is np.float64 else torch.int64).numpy()
    if isinstance(value, list):
        value = np.asarray(value) if all(type(row) in (int, float) for row in value) else None
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "biuf":
        raise _odd(field, "numbers", value)
    return value.astype(kind)


def _odd(field: str, rule: str, value: object) -> PickleRefusedError:
    got = f"shape {value.shape}" if isinstance(value, np.ndarray) else f"a {type(value).__name__}"
    return PickleRefusedError(f"samples: `{field}` must be {rule}, got {got}. Run the inference again.")
