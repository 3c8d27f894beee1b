"""The columns of ground truth and of detections, by name: readers return them, and the two classes hold them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from .._arrays import Ints
from ._masks import Masks

__all__ = ["DetectionColumns", "TruthColumns"]


class _OfBoth(TypedDict, total=False):
    """What only some readers return."""

    masks: Masks | None


class TruthColumns(_OfBoth):
    """Fields of `GroundTruth`, where each is described."""

    image_ids: Ints
    image_sizes: NDArray[np.float64]
    file_names: tuple[str, ...]
    image_splits: Ints
    annotation_ids: Ints
    boxes: NDArray[np.float64]
    sizes: NDArray[np.float64]
    category_ids: Ints
    iscrowd: NDArray[np.bool_]
    ignore: NDArray[np.bool_]
    area: NDArray[np.float64]
    category_names: Mapping[int, str]
    notes: tuple[str, ...]
    source: str


class DetectionColumns(_OfBoth):
    """Fields of `Detections`, where each is described."""

    image_ids: Ints
    image_splits: Ints
    boxes: NDArray[np.float64]
    sizes: NDArray[np.float64]
    scores: NDArray[np.float64]
    category_ids: Ints
    n_dropped: int
    n_negative: int
    notes: tuple[str, ...]
