"""Detections of one model on a data split, as immutable arrays grouped by image."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..boxes._formats import check_xyxy
from ..errors import DetectionError, SettingError
from ._detections_from import DetectionsFrom
from ._labels import UNSCORED
from ._ragged import Ints, freeze_fields, image_of_rows, splits_of
from ._truth import GroundTruth

if TYPE_CHECKING:
    from ._subset import AreaRange

__all__ = ["Detections", "OnUnknown"]

OnUnknown = Literal["error", "drop"]


def unknown_rows(
    row_image: Ints, category_ids: Ints, truth: GroundTruth, on_unknown: OnUnknown
) -> NDArray[np.bool_]:
    """Return True for detections whose image or category `truth` does not have, or raise naming the first."""
    if on_unknown not in ("error", "drop"):
        raise SettingError(f"`on_unknown` must be 'error' or 'drop', got {on_unknown!r}.")
    bad_image = ~np.isin(row_image, truth.image_ids)
    bad = bad_image | ~np.isin(category_ids, np.array(list(truth.category_names), dtype=np.int64))
    if bad.any() and on_unknown == "error":
        row = int(np.argmax(bad))
        what, value = ("image", row_image) if bad_image[row] else ("category", category_ids)
        if what == "category" and value[row] == UNSCORED:
            raise DetectionError(
                f"{int((category_ids == UNSCORED).sum())} detections, the first in image {row_image[row]}, are of "
                "classes that the ground truth has no category of. To score the classes that both know, match both "
                'sides by `match_classes(..., common_classes=True)`; to leave these out pass `on_unknown="drop"`.'
            )
        raise DetectionError(
            f"detection {row} (image {row_image[row]}): the {what} id must be one of the ground truth's, got "
            f"{value[row]} ({int(bad.sum())} such detections). Is this the right annotation file? "
            'To leave them out and count them pass `on_unknown="drop"`.'
        )
    return bad


@dataclass(frozen=True, eq=False)
class Detections(DetectionsFrom):
    """Detections of one model: I images, M boxes.

    Arrays are read-only. Image ``i`` owns the rows ``image_splits[i]:image_splits[i + 1]``, in the order in
    which the detector gave them. Build one with `from_results`, or with `from_arrays` and its like.

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

    def subset(
        self,
        image_ids: Iterable[int] | None = None,
        *,
        categories: Iterable[int] | None = None,
        area: AreaRange | None = None,
    ) -> Detections:
        """Return the detections of some images, categories or sizes.

        Parameters
        ----------
        image_ids : iterable of int, optional
            Ids to keep, given back in ascending order; repeats count once.
        categories : iterable of int, optional
            Category ids to keep, such as the `category_names` of a part of the truth. Images stay.
        area : {"small", "medium", "large"} or (float, float), optional
            COCO's name of a size, or the lowest and highest width × height in square pixels, both included.
            Images stay. This is to look at detections, not to score by size: there a detection of any size
            may find a true box of the size asked for, so pass all to `coco_ap`.

        Returns
        -------
        Detections

        Raises
        ------
        DetectionError
            If an image id is not among `self.image_ids`.
        CategoryError
            If a category is not an integer.
        SettingError
            If `area` is no range.
        """
        from ._subset import subset_detections

        return subset_detections(self, image_ids, categories, area)

    def above(self, score: float) -> Detections:
        """Return the detections with at least this score, over the same images."""
        rows = np.flatnonzero(self.scores >= score)
        kept = np.bincount(self.image_index[rows], minlength=self.n_images)
        return self._take(rows, splits_of(kept))

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
        aligned = self._take(rows, splits_of(counts), image_ids=truth.image_ids)
        return replace(aligned, n_dropped=self.n_dropped + int(bad.sum()))

    def _take(self, rows: Ints, image_splits: Ints, *, image_ids: Ints | None = None) -> Detections:
        """Return the detections in some rows; the images are the same unless given."""
        per_box = ("boxes", "sizes", "scores", "category_ids")
        arrays = {name: getattr(self, name)[rows] for name in per_box}
        image_ids = self.image_ids if image_ids is None else image_ids
        return replace(self, image_ids=image_ids, image_splits=image_splits, **arrays)
