"""Reports on the state of ground truth and detections before anything is scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._arrays import Ints, image_of_rows
from .._plain import as_record
from ..boxes import degenerate_rows
from ._columns import TruthColumns
from ._records import listing

__all__ = [
    "MIN_TRUTH",
    "TruthHealth",
    "count_repeats",
    "out_of_image",
    "outside_reason",
    "silent_images_reason",
    "truth_health",
]

TOLERANCE_PX = 1.0
"""How far a box may stick out of its image, in pixels, before it is counted: annotation tools round."""

OUTSIDE_SHARE = 0.2
"""Share of detections outside their image from which the split is in doubt; detectors clip their boxes."""

SILENT_SHARE = 1 / 3
"""Share of images with truth but without a detection from which the split is in doubt."""

MIN_TRUTH = 20
"""Fewest boxes that show whether detections fit."""

MIN_IMAGES = 10
"""Fewest images for which the share without detections means something."""


@dataclass(frozen=True)
class TruthHealth:
    """Counts of `GroundTruth.health`.

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
    n_boxes_per_category : mapping of int to int
        Boxes of every category by its id, ascending; 0 for the unused ones.
    category_names : mapping of int to str
        Names for the ids of the counts.
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
    n_boxes_per_category: Mapping[int, int]
    category_names: Mapping[int, str]
    notes: tuple[str, ...]

    def describe(self) -> str:
        """Return the counts as text of a few lines, the most frequent categories first.

        Examples
        --------
        >>> from dissect_eval import GroundTruth
        >>> boxes = ([[0, 0, 10, 10], [3, 3, 3, 5]], [1, 1])
        >>> sizes = [(64, 64)] * 2
        >>> truth = GroundTruth.from_arrays([boxes, ([], [])], [7, 9], {1: "cat", 2: "dog"}, image_sizes=sizes)
        >>> print(truth.health().describe())
        2 images: 1 without truth, 0 of unknown size
        2 boxes: 0 crowd, 0 ignored, 1 without area (annotations 2), 0 repeated, 0 out of their image
        2 categories: cat 2
        without a box: dog
        note: `area` is missing in 2 of 2 annotations: width x height is used.
        """
        flat = self.degenerate_annotation_ids
        named = f" (annotations {listing(flat)})" if flat else ""
        used = {key: n for key, n in self.n_boxes_per_category.items() if n}
        common = sorted(used, key=lambda key: (-used[key], key))
        counts = _shortened([f"{self.category_names[key]} {used[key]}" for key in common])
        unused = _shortened([self.category_names[key] for key in self.unused_category_ids])
        lines = [
            f"{self.n_images} images: {self.n_images_without_truth} without truth, "
            f"{self.n_images_without_size} of unknown size",
            f"{self.n_boxes} boxes: {self.n_crowd} crowd, {self.n_ignored} ignored, {self.n_degenerate} without "
            f"area{named}, {self.n_duplicate} repeated, {self.n_out_of_image} out of their image",
            f"{len(self.category_names)} categories" + (f": {counts}" if counts else ""),
            *([f"without a box: {unused}"] if unused else []),
            *(f"note: {note}" for note in self.notes),
        ]
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.describe()

    def to_dict(self) -> dict[str, Any]:
        """Return the counts ready for JSON."""
        return as_record(self)


def _shortened(texts: Sequence[str], limit: int = 8) -> str:
    shown = ", ".join(texts[:limit])
    return shown if len(texts) <= limit else f"{shown} and {len(texts) - limit} more"


def count_repeats(image_index: Ints, category_ids: Ints, boxes: NDArray[np.float64]) -> int:
    """Return how many boxes repeat an earlier one of the same image and category exactly."""
    # Equal rows have equal hashes: only rows that share one are compared. Adding 0 makes 0 of -0.
    columns = [image_index.astype(np.float64), category_ids.astype(np.float64), *(boxes.T + 0.0)]
    hashes = np.zeros(len(boxes), dtype=np.uint64)
    for column in columns:
        hashes ^= np.ascontiguousarray(column).view(np.uint64)
        hashes *= np.uint64(0x9E3779B97F4A7C15)
        hashes ^= hashes >> np.uint64(29)
    ordered = np.sort(hashes)
    shared = ordered[1:][ordered[1:] == ordered[:-1]]
    if not len(shared):
        return 0
    rows = np.column_stack(columns)[np.isin(hashes, shared)]
    return len(rows) - len(np.unique(rows, axis=0))


def out_of_image(
    boxes: NDArray[np.float64], image_sizes: NDArray[np.float64], tolerance: NDArray[np.float64] | float
) -> NDArray[np.bool_]:
    """Return True for boxes that stick out of an image of known size by more than `tolerance` pixels."""
    beyond = (boxes[:, :2] < -tolerance) | (boxes[:, 2:] > image_sizes + tolerance)
    known = np.isfinite(image_sizes)
    outside: NDArray[np.bool_] = np.any(beyond, axis=1) & np.all(known, axis=1)
    return outside


def outside_reason(boxes: NDArray[np.float64], image_sizes: NDArray[np.float64]) -> str | None:
    """Return a sentence if many detections lie outside their image, or if all look normalised to it.

    Parameters
    ----------
    boxes : ndarray of float64, shape (M, 4)
    image_sizes : ndarray of float64, shape (M, 2)
        Width and height of the image of each box, NaN where it is not known.
    """
    known = np.isfinite(image_sizes).all(axis=1)
    if not known.any():
        return None
    if len(boxes) >= MIN_TRUTH and boxes.max() <= 1.5 and image_sizes[known].min() > 16:
        return "All boxes lie between 0 and 1.5 pixels: are they normalised to the image?"
    tolerance = 0.05 * image_sizes.max(axis=1, keepdims=True)
    outside = int(out_of_image(boxes, image_sizes, tolerance).sum())
    if outside <= OUTSIDE_SHARE * known.sum():
        return None
    return f"{outside} of {int(known.sum())} boxes stick out of their image by more than 5 % of its size."


def silent_images_reason(n_truth: Ints, n_detections: Ints) -> str | None:
    """Return a sentence if many images with truth have no detection, although others have; counts are per image."""
    with_truth = n_truth > 0
    silent = with_truth & (n_detections == 0)
    few = with_truth.sum() < MIN_IMAGES or silent.sum() < SILENT_SHARE * with_truth.sum()
    if not n_detections.any() or few:
        return None
    return f"{int(silent.sum())} of {int(with_truth.sum())} images with truth have no detection."


def truth_health(columns: TruthColumns) -> TruthHealth:
    """Return the counts of `GroundTruth.health`."""
    boxes, sizes, names = columns["boxes"], columns["image_sizes"], columns["category_names"]
    degenerate = degenerate_rows(boxes)
    used, n_boxes = (values.tolist() for values in np.unique(columns["category_ids"], return_counts=True))
    per_category = dict.fromkeys(names, 0) | dict(zip(used, n_boxes, strict=True))
    image = image_of_rows(columns["image_splits"])
    return TruthHealth(
        n_images=len(columns["image_ids"]),
        n_images_without_truth=int((np.diff(columns["image_splits"]) == 0).sum()),
        n_images_without_size=int((~np.isfinite(sizes).all(axis=1)).sum()),
        n_boxes=len(boxes),
        n_crowd=int(columns["iscrowd"].sum()),
        n_ignored=int(columns["ignore"].sum()),
        n_degenerate=int(degenerate.sum()),
        degenerate_annotation_ids=tuple(columns["annotation_ids"][degenerate].tolist()),
        n_duplicate=count_repeats(image, columns["category_ids"], boxes),
        n_out_of_image=int(out_of_image(boxes, sizes[image], TOLERANCE_PX).sum()),
        unused_category_ids=tuple(key for key, n in per_category.items() if not n),
        n_boxes_per_category=per_category,
        category_names=dict(names),
        notes=columns["notes"],
    )
