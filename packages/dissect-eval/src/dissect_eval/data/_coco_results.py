"""COCO results lists and detectors' arrays as columns of `Detections`, with errors that name detection and image."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._arrays import Ints, group_rows, image_of_rows, splits_of
from .._coco_mask import mask_functions
from .._files import read_json
from .._numbers import plain_values
from .._text import cut, quoted, visible
from ..boxes import Boxes, check_xyxy, finite_rows, upright
from ..errors import BoxError, DetectionError, SplitWarning, TruthError
from ._columns import DetectionColumns
from ._fields import array_of, one_number
from ._health import outside_reason, silent_images_reason
from ._labels import OnUnknown, unknown_rows
from ._masks import masks_of_arrays, masks_of_records
from ._records import Describe, duplicates, exact_int, floats, ids, listing
from ._rle import encode_all
from ._truth import GroundTruth
from ._truth_like import TruthLike, as_truth

__all__ = ["BOXES_OF_MASKS", "collect_arrays", "load_results"]

BOXES_OF_MASKS = (
    "The results hold masks and no boxes: the boxes around the masks are scored, not the masks. Score masks by "
    "`iou_type='segm'`."
)
"""Told by whatever scores such boxes."""


def load_results(
    source: str | os.PathLike[str] | Sequence[Mapping[str, Any]], truth: TruthLike, on_unknown: OnUnknown
) -> DetectionColumns:
    """Return the columns of `Detections` from a COCO results list, over the images of `truth`."""
    truth = as_truth(truth)
    records = _records(source)
    try:
        found, rows = _detections_of(records, truth, on_unknown)
    except (DetectionError, BoxError) as error:
        if not isinstance(source, (str, os.PathLike)):
            raise
        raise DetectionError(f"{cut(visible(os.fspath(source)), 1000)}: {error}") from error
    image = image_of_rows(found["image_splits"])
    reasons = (
        outside_reason(found["boxes"], truth.image_sizes[image]),
        silent_images_reason(np.diff(truth.image_splits), np.diff(found["image_splits"])),
    )
    found["notes"] = tuple(reason for reason in reasons if reason)
    if found["notes"]:
        doubts = " ".join(found["notes"])
        warnings.warn(f"Is this the right annotation file? {doubts}", SplitWarning, stacklevel=3)
    found["masks"] = masks_of_records(source, records, None, rows, DetectionError)
    if _has_masks_only(records):
        found["notes"] += (BOXES_OF_MASKS,)
    elif found["masks"] is not None:
        found["notes"] += (
            "The results carry masks too: their boxes are scored, not the masks, unless `iou_type` is 'segm'.",
        )
    return found


def _detections_of(
    records: Sequence[Mapping[str, Any]], truth: GroundTruth, on_unknown: OnUnknown
) -> tuple[DetectionColumns, Ints]:
    """Return the columns, and the record of each row."""

    def describe(i: int) -> str:
        return f"detection {i} (image {quoted(records[i].get('image_id'))})"

    def column(key: str) -> list[Any]:
        return [record.get(key) for record in records]

    row_image = ids(_ids_of_files(column("image_id"), truth), "image_id", describe, DetectionError)
    category_ids = ids(column("category_id"), "category_id", describe, DetectionError)
    scores = floats(column("score"), 1, "score", describe, DetectionError).ravel()
    boxes = (
        _boxes_of_masks(records, row_image, truth, describe) if _has_masks_only(records) else column("bbox")
    )
    xywh = floats(boxes, 4, "bbox", describe, DetectionError)
    unknown = unknown_rows(row_image, category_ids, truth, on_unknown)

    kept = np.flatnonzero(~unknown)
    order, splits = group_rows(np.searchsorted(truth.image_ids, row_image[kept]), truth.n_images)
    rows = kept[order]
    xywh = xywh[rows]
    negative = (xywh[:, 2:] < 0).any(axis=1)
    xywh[negative, 2:] = 0
    with np.errstate(over="ignore"):  # an infinite corner is refused with the boxes
        far = xywh[:, :2] + xywh[:, 2:]
    columns = DetectionColumns(
        image_ids=truth.image_ids,
        image_splits=splits,
        boxes=check_xyxy(np.concatenate([xywh[:, :2], far], axis=1), "boxes"),
        sizes=xywh[:, 2:],
        scores=scores[rows],
        category_ids=category_ids[rows],
        n_dropped=int(unknown.sum()),
        n_negative=int(negative.sum()),
        notes=(),
    )
    return columns, rows


def _ids_of_files(values: list[Any], truth: GroundTruth) -> list[Any]:
    """Return image ids; names of files, with or without their ending, become the ids that they have in the truth."""
    names = {value for value in values if isinstance(value, str) and exact_int(value) is None}
    if not names:
        return values
    of_stem: dict[str, list[int]] = {}
    for name, key in zip(truth.file_names, truth.image_ids.tolist(), strict=True):
        if name:
            of_stem.setdefault(PurePath(name).stem, []).append(key)
    known: dict[str, int] = {}
    for name in names:
        having = of_stem.get(name, [])  # Ultralytics writes the stem
        with suppress(TruthError):  # a name of no image is refused as an id
            known[name] = having[0] if len(having) == 1 else truth.ids_of_files([name])[0]
    return [known.get(value, value) if isinstance(value, str) else value for value in values]


def _has_masks_only(records: Sequence[Mapping[str, Any]]) -> bool:
    return bool(records) and not records[0].get("bbox") and "segmentation" in records[0]


def _boxes_of_masks(
    records: Sequence[Mapping[str, Any]], row_image: Ints, truth: GroundTruth, describe: Describe
) -> list[list[float]]:
    """Return the box around each mask as x, y, width, height, as pycocotools does for results without boxes."""
    coco_mask = mask_functions()

    sizes = np.full((len(records), 2), np.nan)
    known = np.isin(row_image, truth.image_ids)
    sizes[known] = truth.image_sizes[np.searchsorted(truth.image_ids, row_image[known])]
    masks = encode_all([record.get("segmentation") for record in records], sizes, describe, DetectionError)
    with warnings.catch_warnings():  # pycocotools' own, about NumPy's way to make arrays
        warnings.simplefilter("ignore", DeprecationWarning)
        boxes: list[list[float]] = coco_mask.toBbox(masks).tolist()
    return boxes


def _records(source: Any) -> Sequence[Mapping[str, Any]]:
    data = read_json(source, "results", DetectionError) if isinstance(source, (str, os.PathLike)) else source
    if isinstance(data, Mapping) or not isinstance(data, Sequence):
        raise DetectionError(
            "COCO results must be a list of {image_id, category_id, bbox, score}, got "
            f"{type(data).__name__}. Ground truth goes to `GroundTruth.from_coco`."
        )
    for i, record in enumerate(data):
        if not isinstance(record, Mapping):
            raise DetectionError(f"detection {i} must be an object, got {quoted(record)}. Mend the results.")
    if data and "bbox" not in data[0] and "segmentation" not in data[0] and "keypoints" in data[0]:
        raise DetectionError(
            "These are results of keypoints (`keypoints`) without boxes (`bbox`), which are not scored here. Give the "
            "results file of the boxes, often named bbox.json."
        )
    return data


def collect_arrays(
    per_image: Iterable[Sequence[Any]],
    image_ids: Iterable[int],
    category_ids_of_labels: Any,
    masks: Sequence[Sequence[Any]] | None = None,
) -> DetectionColumns:
    """Return the columns of `Detections` from the boxes, scores and labels that a detector gives for each image."""
    per_image, image_ids = _listed(per_image, "per_image"), _listed(image_ids, "image_ids")
    if len(per_image) != len(image_ids):
        raise DetectionError(
            f"`per_image` and `image_ids` must be of one length, got {len(per_image)} and {len(image_ids)}."
        )
    known = ids([one_number(one) for one in image_ids], "image_ids", lambda i: f"image {i}", DetectionError)
    repeated = duplicates(known)
    if repeated:
        raise DetectionError(
            f"`image_ids` must be unique, but these occur more than once: {listing(repeated)}."
        )
    of_labels = _categories_of(category_ids_of_labels)
    order = np.argsort(known)
    parts = [_one_image(per_image[i], int(known[i]), len(of_labels)) for i in order]
    counts = np.zeros(len(parts), dtype=np.int64)
    counts[order] = [len(part[1]) for part in parts]
    boxes, n_negative = upright(np.concatenate([part[0] for part in parts]) if parts else np.zeros((0, 4)))
    labels = np.concatenate([part[2] for part in parts]) if parts else np.zeros(0, dtype=np.int64)
    return DetectionColumns(
        image_ids=known[order],
        image_splits=splits_of([len(part[1]) for part in parts]),
        boxes=boxes,
        sizes=boxes[:, 2:] - boxes[:, :2],
        scores=np.concatenate([part[1] for part in parts]) if parts else np.zeros(0),
        category_ids=of_labels[labels],
        n_dropped=0,
        n_negative=n_negative,
        notes=(),
        masks=None if masks is None else masks_of_arrays(masks, counts.tolist(), order, DetectionError),
    )


def _listed(given: Any, name: str) -> list[Any]:
    if isinstance(given, (str, Mapping)) or not isinstance(given, Iterable):
        raise DetectionError(
            f"`{name}` must be a sequence with one item per image, got {type(given).__name__}. For one image put it in "
            "[ ]."
        )
    return list(given)


def _categories_of(given: Any) -> Ints:
    """Return the category id of each label, or say where to get them for names."""
    if isinstance(given, Mapping) or (
        isinstance(given, Iterable) and any(isinstance(one, str) for one in given)
    ):
        raise DetectionError(
            "`category_ids_of_labels` must be category ids, got names of classes. Make them ids by "
            "`label_to_category(truth, names)`."
        )
    try:
        return np.asarray(plain_values(given), dtype=np.int64).reshape(-1)
    except (TypeError, ValueError, OverflowError) as exc:
        raise DetectionError(
            f"`category_ids_of_labels` must be category ids, one for each label; {exc}. Make them by "
            "`label_to_category(truth, names)`."
        ) from exc


def _one_image(
    arrays: Sequence[Any], image_id: int, n_labels: int
) -> tuple[Boxes, NDArray[np.float64], Ints]:
    try:
        given = [array_of(one, f"Image {image_id}: an array", DetectionError) for one in arrays[:3]]
        boxes, scores = (np.asarray(one, dtype=np.float64) for one in given[:2])
        labels = given[2].astype(np.int64, casting="same_kind" if given[2].size else "unsafe")
    except (TypeError, ValueError, IndexError, KeyError, OverflowError, RuntimeError) as exc:
        raise DetectionError(f"Image {image_id}: boxes, scores and labels must be numbers; {exc}.") from exc
    n = len(scores) if scores.ndim == 1 else -1
    boxes = boxes.reshape(0, 4) if boxes.size == 0 else boxes
    if boxes.shape != (n, 4) or labels.shape != (n,):
        raise DetectionError(
            f"Image {image_id}: boxes, scores and labels must have shapes (n, 4), (n,) and (n,), got "
            f"{boxes.shape}, {scores.shape} and {labels.shape}."
        )
    finite = finite_rows(boxes, scores)
    if not finite.all():
        row = int(np.argmin(finite))
        raise DetectionError(
            f"Image {image_id}: detection {row} must be finite, got box {boxes[row].tolist()} and score "
            f"{scores[row]}. Has an ablation made the model diverge? Count and remove such rows first."
        )
    if n and not (labels.min() >= 0 and labels.max() < n_labels):
        bad = int(labels[(labels < 0) | (labels >= n_labels)][0])
        raise DetectionError(
            f"Image {image_id}: label must be an index into `category_ids_of_labels` (0 to {n_labels - 1}), "
            f"got {bad}. Are these category ids already? Labels are contiguous."
        )
    return boxes, scores, labels
