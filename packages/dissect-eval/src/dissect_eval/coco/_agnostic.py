"""All classes taken as one, as ``COCOeval`` does where ``useCats`` is 0."""

from __future__ import annotations

from dataclasses import replace
from weakref import WeakKeyDictionary

import numpy as np

from .._arrays import Ints
from ..data import Detections, GroundTruth

__all__ = ["ONE_CLASS", "as_one_class"]

ONE_CLASS = {0: "object"}
"""The one class that all others become."""

_TRUTHS: WeakKeyDictionary[GroundTruth, GroundTruth] = WeakKeyDictionary()


def as_one_class(truth: GroundTruth, aligned: Detections) -> tuple[GroundTruth, Detections]:
    """Return truth and detections with one class; within an image by what was their class, as pycocotools has them."""
    if truth not in _TRUTHS:
        rows = _by_class(truth.image_index, truth.category_ids)
        part = truth._take(rows, truth.image_splits)
        _TRUTHS[truth] = replace(
            part, category_ids=np.zeros(len(rows), dtype=np.int64), category_names=ONE_CLASS
        )
    rows = _by_class(aligned.image_index, aligned.category_ids)
    found = aligned._take(rows, aligned.image_splits)
    return _TRUTHS[truth], replace(found, category_ids=np.zeros(len(rows), dtype=np.int64))


def _by_class(image_index: Ints, category_ids: Ints) -> Ints:
    return np.lexsort([category_ids, image_index]).astype(np.int64, copy=False)
