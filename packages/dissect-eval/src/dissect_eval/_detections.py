"""Detections of one model on a data split, as immutable arrays grouped by image."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._layouts import check_xyxy
from ._ragged import Ints, freeze_fields, image_of_rows, rows_of_images
from ._records import listing
from ._truth import GroundTruth
from .errors import DetectionError, SettingError

__all__ = ["Detections", "OnUnknown"]

OnUnknown = Literal["error", "drop"]


def _among(values: Ints, known: Ints) -> NDArray[np.bool_]:
    """Return True for values that the ascending `known` holds; `np.isin` would sort the values."""
    if not len(known):
        return np.zeros(len(values), dtype=np.bool_)
    return known[np.minimum(np.searchsorted(known, values), len(known) - 1)] == values


def unknown_rows(
    row_image: Ints, category_ids: Ints, truth: GroundTruth, on_unknown: OnUnknown
) -> NDArray[np.bool_]:
    """Return True for detections whose image or category `truth` does not have, or raise naming the first."""
    if on_unknown not in ("error", "drop"):
        raise SettingError(f"`on_unknown` must be 'error' or 'drop', got {on_unknown!r}.")
    bad_image = ~_among(row_image, truth.image_ids)
    bad = bad_image | ~_among(category_ids, np.array(list(truth.category_names), dtype=np.int64))
    if bad.any() and on_unknown == "error":
        row = int(np.argmax(bad))
        what, value = ("image", row_image) if bad_image[row] else ("category", category_ids)
        raise DetectionError(
            f"detection {row} (image {row_image[row]}): the {what} id must be one of the ground truth's, got "
            f"{value[row]} ({int(bad.sum())} such detections). Is this the right annotation file? "
            'To leave them out and count them pass `on_unknown="drop"`.'
        )
    return bad


@dataclass(frozen=True, eq=False)
class Detections:
    """Detections of one model: I images, M boxes.

    Arrays are read-only. Image ``i`` owns the rows ``image_splits[i]:image_splits[i + 1]``, in the order in
    which the detector gave them. Build one with `from_results` or `from_arrays`.

    Parameters
    ----------
    image_ids : ndarray of int64, shape (I,)
        Ascending and unique: the images that the detector has seen.
    image_splits : ndarray of int64, shape (I + 1,)
        Offsets into the arrays over boxes.
    boxes : ndarray of float64, shape (M, 4)
        Rows of ``x_min, y_min, x_max, y_max`` in pixels. A box that came with a negative width or height is
        kept as the point of its first corner: it can match nothing and counts as one false positive.
    sizes : ndarray of float64, shape (M, 2)
        Width and height of each box as given (``x_max - x_min`` may differ in the last bit).
    scores : ndarray of float64, shape (M,)
        Finite; usually in [0, 1].
    category_ids : ndarray of int64, shape (M,)
        Category ids of the ground truth, not a detector's contiguous labels.
    n_dropped : int
        Detections left out because their image or category is unknown.
    n_negative : int
        Boxes that came with a negative width or height.
    notes : tuple of str
        What the loader found remarkable.

    Raises
    ------
    DetectionError
        If ids repeat or do not ascend, a score is not finite, or arrays do not fit together.
    BoxError
        If a box is not finite or has a negative extent.
    """

    image_ids: Ints
    image_splits: Ints
    boxes: NDArray[np.float64]
    sizes: NDArray[np.float64]
    scores: NDArray[np.float64]
    category_ids: Ints
    n_dropped: int = 0
    n_negative: int = 0
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        n_images, n_boxes = len(self.image_ids), len(self.boxes)
        shapes: dict[str, tuple[Any, tuple[int, ...]]] = {
            "image_ids": (np.int64, (n_images,)),
            "image_splits": (np.int64, (n_images + 1,)),
            "boxes": (np.float64, (n_boxes, 4)),
            "sizes": (np.float64, (n_boxes, 2)),
            "scores": (np.float64, (n_boxes,)),
            "category_ids": (np.int64, (n_boxes,)),
        }
        try:
            freeze_fields(self, shapes)
        except ValueError as exc:
            raise DetectionError(f"{exc} Build detections with `Detections.from_arrays`.") from exc
        object.__setattr__(self, "notes", tuple(self.notes))
        check_xyxy(self.boxes, "boxes")
        if not np.isfinite(self.scores).all():
            bad = int(np.argmin(np.isfinite(self.scores)))
            raise DetectionError(f"`scores` row {bad} must be finite, got {self.scores[bad]}.")
        if (np.diff(self.image_ids) <= 0).any():
            raise DetectionError("`image_ids` must ascend without repeats. Sort the images by id.")
        if (
            self.image_splits[0] != 0
            or self.image_splits[-1] != n_boxes
            or (np.diff(self.image_splits) < 0).any()
        ):
            raise DetectionError(f"`image_splits` must rise from 0 to the number of boxes, {n_boxes}.")

    def __repr__(self) -> str:
        return f"Detections({self.n_images} images, {self.n_boxes} boxes)"

    @classmethod
    def from_results(
        cls,
        results: str | os.PathLike[str] | Sequence[Mapping[str, Any]],
        truth: GroundTruth,
        on_unknown: OnUnknown = "error",
    ) -> Detections:
        """Load COCO results: a list of ``{"image_id", "category_id", "bbox": [x, y, w, h], "score"}``.

        Parameters
        ----------
        results : path or sequence of dict
            A results file or its parsed content. May be empty: a detector that finds nothing.
        truth : GroundTruth
            The split that was run. A results list does not tell an image without detections from one that
            was never run, so all images of `truth` count as run.
        on_unknown : {"error", "drop"}
            What to do with a detection of an unknown image or category; dropped ones are counted.

        Returns
        -------
        Detections
            Over exactly the images of `truth`.

        Warns
        -----
        SplitWarning
            If boxes lie outside the images, or many images have no detection at all: signs of another split.

        Raises
        ------
        DetectionError
            If the file cannot be read or is not a results list; a box or score is not finite or missing; an
            image or category is unknown and `on_unknown` is "error".

        Examples
        --------
        >>> truth = GroundTruth.from_coco(
        ...     {
        ...         "images": [{"id": 1, "width": 64, "height": 64}],
        ...         "categories": [{"id": 3, "name": "cell"}],
        ...         "annotations": [],
        ...     }
        ... )
        >>> found = [{"image_id": 1, "category_id": 3, "bbox": [1, 2, 3, 4], "score": 0.5}]
        >>> Detections.from_results(found, truth).boxes
        array([[1., 2., 4., 6.]])
        """
        from ._results import load_results

        return load_results(results, truth, on_unknown)

    @classmethod
    def from_arrays(
        cls,
        per_image: Sequence[tuple[ArrayLike, ArrayLike, ArrayLike]],
        image_ids: Sequence[int],
        category_ids_of_labels: Sequence[int] | NDArray[np.int64],
    ) -> Detections:
        """Take detections as a detector gives them: per image boxes, scores and contiguous labels.

        Parameters
        ----------
        per_image : sequence of (boxes, scores, labels)
            Arrays of shapes (n, 4) xyxy in pixels, (n,) and (n,); n may be 0.
        image_ids : sequence of int
            Id of each image, unique, in the order of `per_image`.
        category_ids_of_labels : sequence of int
            Category id of label 0, 1, …: `label_to_category` makes it from class names.

        Returns
        -------
        Detections
            Over exactly `image_ids`, ascending.

        Raises
        ------
        DetectionError
            If lengths differ, an id repeats, a value is not finite, or a label has no category; the message
            names the image.

        Examples
        --------
        >>> found = Detections.from_arrays([([[1, 2, 4, 6]], [0.5], [0])], [7], [3])
        >>> found.category_ids, found.image_ids
        (array([3]), array([7]))
        """
        from ._results import collect_arrays

        return collect_arrays(per_image, image_ids, category_ids_of_labels)

    def to_results(self) -> list[dict[str, Any]]:
        """Return the detections as a COCO results list, with ``bbox`` as x, y, width, height.

        Returns
        -------
        list of dict
            In ascending order of image ids; numbers are those that `from_results` has read.
        """
        ids_of_rows = self.image_ids[self.image_index].tolist()
        xywh = np.concatenate([self.boxes[:, :2], self.sizes], axis=1).tolist()
        columns = zip(ids_of_rows, self.category_ids.tolist(), xywh, self.scores.tolist(), strict=True)
        return [{"image_id": i, "category_id": c, "bbox": b, "score": s} for i, c, b, s in columns]

    @property
    def n_images(self) -> int:
        """Number of images that the detector has seen."""
        return len(self.image_ids)

    @property
    def n_boxes(self) -> int:
        """Number of detections."""
        return len(self.boxes)

    @property
    def image_index(self) -> Ints:
        """Index into `image_ids` for each detection, shape (M,)."""
        return image_of_rows(self.image_splits)

    def subset(self, image_ids: Iterable[int]) -> Detections:
        """Return the detections of some images, in ascending order of their ids.

        Parameters
        ----------
        image_ids : iterable of int
            Ids to keep; the order does not matter, repeats count once.

        Returns
        -------
        Detections

        Raises
        ------
        DetectionError
            If an id is not among `self.image_ids`.
        """
        wanted = np.unique(np.fromiter(image_ids, dtype=np.int64))
        unknown = np.setdiff1d(wanted, self.image_ids)
        if len(unknown):
            raise DetectionError(
                f"`image_ids` must be images that the detector has seen, got {listing(unknown.tolist())}."
            )
        rows, splits = rows_of_images(self.image_splits, np.searchsorted(self.image_ids, wanted))
        return self._take(rows, wanted, splits)

    def above(self, score: float) -> Detections:
        """Return the detections with at least this score, over the same images."""
        rows = np.flatnonzero(self.scores >= score)
        kept = np.bincount(self.image_index[rows], minlength=self.n_images)
        return self._take(rows, self.image_ids, np.concatenate([[0], np.cumsum(kept)]))

    def aligned_to(self, truth: GroundTruth, on_unknown: OnUnknown = "error") -> Detections:
        """Return the detections over exactly the images of `truth`; images not seen have none.

        Parameters
        ----------
        truth : GroundTruth
            The split to score against.
        on_unknown : {"error", "drop"}
            What to do with a detection of an image or category that `truth` does not have.

        Returns
        -------
        Detections
            Itself, if it fits already.

        Raises
        ------
        DetectionError
            If a detection has an unknown image or category and `on_unknown` is "error".
        """
        row_image = self.image_ids[self.image_index]
        bad = unknown_rows(row_image, self.category_ids, truth, on_unknown)
        if not bad.any() and np.array_equal(self.image_ids, truth.image_ids):
            return self
        rows = np.flatnonzero(~bad)
        counts = np.bincount(np.searchsorted(truth.image_ids, row_image[rows]), minlength=truth.n_images)
        aligned = self._take(rows, truth.image_ids, np.concatenate([[0], np.cumsum(counts)]))
        return replace(aligned, n_dropped=self.n_dropped + int(bad.sum()))

    def _take(self, rows: Ints, image_ids: Ints, image_splits: NDArray[Any]) -> Detections:
        per_box = ("boxes", "sizes", "scores", "category_ids")
        arrays = {name: getattr(self, name)[rows] for name in per_box}
        return replace(self, image_ids=image_ids, image_splits=image_splits, **arrays)
