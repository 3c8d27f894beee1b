"""Small reports on the state of ground truth and detections before anything is scored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ._json import as_record
from ._ragged import Ints

if TYPE_CHECKING:
    from ._truth import GroundTruth

__all__ = ["TruthHealth", "count_repeats", "out_of_image", "truth_health"]

TOLERANCE_PX = 1.0
"""How far a box may stick out of its image, in pixels, before it is counted: annotation tools round."""


@dataclass(frozen=True)
class TruthHealth:
    """What `GroundTruth.health` counted.

    Attributes
    ----------
    n_images, n_images_without_truth, n_images_without_size : int
        Images; those without any box; those whose width or height the file does not give.
    n_boxes, n_crowd, n_ignored : int
        Boxes, crowd regions among them, and boxes marked ``ignore``.
    n_degenerate, degenerate_annotation_ids : int, tuple of int
        Boxes without area: nothing can match them, so each is a miss. Their ids, to mend them.
    n_duplicate : int
        Boxes that repeat another of the same image and category; at most one of them can be found.
    n_out_of_image : int
        Boxes that stick out of their image by more than one pixel, where its size is known.
    unused_category_ids : tuple of int
        Categories without a box: their metrics are undefined.
    notes : tuple of str
        What the loader had to assume.
    """

    n_images: int
    n_images_without_truth: int
    n_images_without_size: int
    n_boxes: int
    n_crowd: int
    n_ignored: int
    n_degenerate: int
    degenerate_annotation_ids: tuple[int, ...]
    n_duplicate: int
    n_out_of_image: int
    unused_category_ids: tuple[int, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the counts ready for JSON."""
        return as_record(self)


def count_repeats(image_index: Ints, category_ids: Ints, boxes: NDArray[np.float64]) -> int:
    """Return how many boxes repeat an earlier one of the same image and category exactly."""
    rows = np.column_stack([image_index, category_ids, boxes])
    return len(rows) - len(np.unique(rows, axis=0))


def out_of_image(
    boxes: NDArray[np.float64], image_sizes: NDArray[np.float64], tolerance: NDArray[np.float64] | float
) -> NDArray[np.bool_]:
    """Return True for boxes that stick out of an image of known size by more than `tolerance` pixels."""
    beyond = (boxes[:, :2] < -tolerance) | (boxes[:, 2:] > image_sizes + tolerance)
    known = np.isfinite(image_sizes)
    outside: NDArray[np.bool_] = np.any(beyond, axis=1) & np.all(known, axis=1)
    return outside


def truth_health(truth: GroundTruth) -> TruthHealth:
    """Return the counts of `GroundTruth.health`."""
    degenerate = (truth.boxes[:, 2:] <= truth.boxes[:, :2]).any(axis=1)
    used = set(truth.category_ids.tolist())
    image = truth.image_index
    return TruthHealth(
        n_images=truth.n_images,
        n_images_without_truth=int((np.diff(truth.image_splits) == 0).sum()),
        n_images_without_size=int((~np.isfinite(truth.image_sizes).all(axis=1)).sum()),
        n_boxes=truth.n_boxes,
        n_crowd=int(truth.iscrowd.sum()),
        n_ignored=int(truth.ignore.sum()),
        n_degenerate=int(degenerate.sum()),
        degenerate_annotation_ids=tuple(truth.annotation_ids[degenerate].tolist()),
        n_duplicate=count_repeats(image, truth.category_ids, truth.boxes),
        n_out_of_image=int(out_of_image(truth.boxes, truth.image_sizes[image], TOLERANCE_PX).sum()),
        unused_category_ids=tuple(key for key in truth.category_names if key not in used),
        notes=truth.notes,
    )
