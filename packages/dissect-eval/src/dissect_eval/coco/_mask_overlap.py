"""Overlap of masks, by pycocotools' functions for compressed run lengths."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._arrays import Ints
from .._coco_mask import mask_functions
from ..data import Detections, GroundTruth
from ..errors import DetectionError, TruthError

__all__ = ["areas_of", "detection_masks", "mask_overlap", "order_of", "truth_masks"]

Masks = NDArray[np.object_]
AREAS_AT_ONCE = 255
"""Most masks that pycocotools' ``area`` takes with NumPy 2: it stores their number in eight bits."""


def truth_masks(truth: GroundTruth) -> Masks:
    """Return the masks of a truth as compressed run lengths, or raise `TruthError` if it has none."""
    if truth.masks is None and truth.n_boxes:
        raise TruthError(
            "`truth` must have masks (`segmentation`) where `iou_type` is 'segm', got boxes alone. Read a file that "
            "has them, or give `masks` to `GroundTruth.from_arrays`."
        )
    if truth.masks is None:
        return np.empty(0, dtype=object)
    images = truth.image_ids[truth.image_index]

    def describe(row: int) -> str:
        return f"annotation {truth.annotation_ids[row]} of image {images[row]}"

    return truth.masks.encoded(truth.image_sizes[truth.image_index], describe, TruthError)


def detection_masks(aligned: Detections, image_sizes: NDArray[np.float64]) -> Masks:
    """Return the masks of detections as compressed run lengths, or raise `DetectionError` if they have none."""
    if aligned.masks is None and aligned.n_boxes:
        raise DetectionError(
            "`detections` must have masks where `iou_type` is 'segm', got boxes alone. Read results that have "
            "`segmentation`, or give `masks` to `Detections.from_arrays`."
        )
    if aligned.masks is None:
        return np.empty(0, dtype=object)
    images = aligned.image_ids[aligned.image_index]

    def describe(row: int) -> str:
        return f"detection {row - aligned.image_splits[aligned.image_index[row]]} of image {images[row]}"

    return aligned.masks.encoded(image_sizes[aligned.image_index], describe, DetectionError)


def areas_of(masks: Masks) -> NDArray[np.float64]:
    """Return the number of pixels of each mask."""
    functions, every = mask_functions(), masks.tolist()
    parts = [functions.area(every[i : i + AREAS_AT_ONCE]) for i in range(0, len(every), AREAS_AT_ONCE)]
    return np.concatenate([np.zeros(0), *parts])


def order_of(masks: Masks | None) -> Ints | None:
    """Return a number for each mask, the same for the same mask, to order those whose boxes are the same."""
    if masks is None or not len(masks):
        return None
    texts = np.array([mask["counts"] for mask in masks], dtype=object)
    return np.unique(texts, return_inverse=True)[1].astype(np.int64, copy=False)


def mask_overlap(
    truth_masks: Masks,
    detection_masks: Masks,
    crowd: NDArray[np.bool_],
    group: Ints,
    truth: Ints,
    detection: Ints,
) -> NDArray[np.float64]:
    """Return the IoU of pairs of masks, over the detection's area where the truth is a crowd.

    Parameters
    ----------
    truth_masks, detection_masks : ndarray of dict
    crowd : ndarray of bool, shape (N,)
    group : ndarray of int64, shape (N,)
        Image and category of each true mask, ascending.
    truth, detection : ndarray of int64, shape (P,)
        The pairs: for each true mask in turn all detections of its group, in one order.
    """
    coco_mask = mask_functions()

    out = np.zeros(len(truth))
    of_pair = group[truth]
    starts = np.flatnonzero(np.concatenate([[True], of_pair[1:] != of_pair[:-1]])[: len(truth)])
    for begin, end in pairwise([*starts.tolist(), len(truth)]):
        rows = np.unique(truth[begin:end])
        found = detection[begin : begin + (end - begin) // len(rows)]
        pair: tuple[list[Any], list[Any]] = detection_masks[found].tolist(), truth_masks[rows].tolist()
        _require_one_size(*pair)
        out[begin:end] = coco_mask.iou(*pair, crowd[rows].astype(np.uint8).tolist()).T.ravel()
    return out


def _require_one_size(found: list[Any], true: list[Any]) -> None:
    """Raise `DetectionError` where masks of one image differ in size: pycocotools would call their IoU -1."""
    sizes = {tuple(mask["size"]) for mask in (*found, *true)}
    if len(sizes) > 1:
        one, other, *_ = sorted(sizes)
        raise DetectionError(
            f"The masks of an image must have one `size`, got [height, width] of {list(one)} and {list(other)}. "
            "Resize the detector's masks to the image."
        )
