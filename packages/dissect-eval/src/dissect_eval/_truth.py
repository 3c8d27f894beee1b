"""Ground truth of a data split, as immutable arrays grouped by image."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ._layouts import check_xyxy
from ._ragged import Ints, freeze_fields, image_of_rows, rows_of_images
from ._records import listing
from .errors import TruthError

if TYPE_CHECKING:
    from ._health import TruthHealth

__all__ = ["GroundTruth"]


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """Ground truth of a data split: I images, N boxes.

    Arrays are read-only. Image ``i`` owns the rows ``image_splits[i]:image_splits[i + 1]`` of every array
    over boxes. Build one with `from_coco`.

    Parameters
    ----------
    image_ids : ndarray of int64, shape (I,)
        Ascending and unique.
    image_sizes : ndarray of float64, shape (I, 2)
        Width and height in pixels; NaN where the file does not say.
    file_names : tuple of str, length I
        Empty strings where the file does not say.
    image_splits : ndarray of int64, shape (I + 1,)
        Offsets into the arrays over boxes.
    annotation_ids : ndarray of int64, shape (N,)
        As in the file (they may start at 0).
    boxes : ndarray of float64, shape (N, 4)
        Rows of ``x_min, y_min, x_max, y_max`` in pixels.
    sizes : ndarray of float64, shape (N, 2)
        Width and height of each box as the file gives them (``x_max - x_min`` may differ in the last bit).
    category_ids : ndarray of int64, shape (N,)
        Ids as in the file, gaps included.
    iscrowd, ignore : ndarray of bool, shape (N,)
        Crowd regions, and boxes that the file asks not to score.
    area : ndarray of float64, shape (N,)
        Object area in square pixels as the file gives it (COCO: of the segment), else width × height.
    category_names : mapping of int to str
        Name of every category by its id, ascending, whether used or not.
    notes : tuple of str
        What the loader had to assume.

    Raises
    ------
    TruthError
        If ids repeat or do not ascend, or arrays do not fit together.
    BoxError
        If a box is not finite or has a negative extent.
    """

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
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        n_images, n_boxes = len(self.image_ids), len(self.boxes)
        shapes: dict[str, tuple[Any, tuple[int, ...]]] = {
            "image_ids": (np.int64, (n_images,)),
            "image_sizes": (np.float64, (n_images, 2)),
            "image_splits": (np.int64, (n_images + 1,)),
            "annotation_ids": (np.int64, (n_boxes,)),
            "boxes": (np.float64, (n_boxes, 4)),
            "sizes": (np.float64, (n_boxes, 2)),
            "category_ids": (np.int64, (n_boxes,)),
            "iscrowd": (np.bool_, (n_boxes,)),
            "ignore": (np.bool_, (n_boxes,)),
            "area": (np.float64, (n_boxes,)),
        }
        try:
            freeze_fields(self, shapes)
        except ValueError as exc:
            raise TruthError(f"{exc} Build ground truth with `GroundTruth.from_coco`.") from exc
        names = MappingProxyType(
            {int(key): str(self.category_names[key]) for key in sorted(self.category_names)}
        )
        object.__setattr__(self, "category_names", names)
        object.__setattr__(self, "file_names", tuple(self.file_names))
        object.__setattr__(self, "notes", tuple(self.notes))
        check_xyxy(self.boxes, "boxes")
        if (np.diff(self.image_ids) <= 0).any():
            raise TruthError("`image_ids` must ascend without repeats. Sort the images by id.")
        if (
            self.image_splits[0] != 0
            or self.image_splits[-1] != n_boxes
            or (np.diff(self.image_splits) < 0).any()
        ):
            raise TruthError(f"`image_splits` must rise from 0 to the number of boxes, {n_boxes}.")
        if len(self.file_names) != n_images:
            raise TruthError(
                f"`file_names` must have one entry per image, {n_images}, got {len(self.file_names)}."
            )
        unknown = sorted({int(c) for c in self.category_ids} - names.keys())
        if unknown:
            raise TruthError(f"`category_ids` must be in `category_names`, got {listing(unknown)}.")

    def __reduce__(self) -> tuple[Any, ...]:
        values = [getattr(self, f.name) for f in fields(self)]
        return type(self), tuple(dict(v) if isinstance(v, MappingProxyType) else v for v in values)

    def __repr__(self) -> str:
        n_categories = len(self.category_names)
        return f"GroundTruth({self.n_images} images, {self.n_boxes} boxes, {n_categories} categories)"

    @classmethod
    def from_coco(cls, source: str | os.PathLike[str] | Mapping[str, Any] | Any) -> GroundTruth:
        """Load COCO ground truth: tolerant of what other tools leave out, loud about what cannot be right.

        Accepted, with a note where something is assumed: annotation ids from 0; no ``iscrowd``, ``area``,
        ``info`` or image size; ids as exact floats or decimal strings; ``ignore``; boxes without area.

        Parameters
        ----------
        source : path, dict or pycocotools COCO object
            An annotation file, its parsed content, or an object with the content as ``dataset``.

        Returns
        -------
        GroundTruth

        Raises
        ------
        TruthError
            If the file cannot be read or is not COCO; ids repeat; an annotation names an unknown image or
            category; a box is not finite or has a negative size; a flag is not 0 or 1.

        Examples
        --------
        >>> truth = GroundTruth.from_coco(
        ...     {
        ...         "images": [{"id": 7, "width": 640, "height": 480}],
        ...         "categories": [{"id": 3, "name": "cell"}],
        ...         "annotations": [{"id": 0, "image_id": 7, "category_id": 3, "bbox": [10, 20, 30, 40]}],
        ...     }
        ... )
        >>> truth
        GroundTruth(1 images, 1 boxes, 1 categories)
        >>> truth.boxes
        array([[10., 20., 40., 60.]])
        >>> truth.notes
        ('`area` is missing in 1 of 1 annotations: width x height is used.',)
        """
        from ._coco import load_truth

        return load_truth(source)

    @property
    def n_images(self) -> int:
        """Number of images, with or without truth."""
        return len(self.image_ids)

    @property
    def n_boxes(self) -> int:
        """Number of boxes, crowd and ignored ones included."""
        return len(self.boxes)

    @property
    def image_index(self) -> Ints:
        """Index into `image_ids` for each box, shape (N,)."""
        return image_of_rows(self.image_splits)

    @property
    def is_region(self) -> NDArray[np.bool_]:
        """True where a box is crowd or ignored: neither to be found nor to be missed, shape (N,)."""
        return self.iscrowd | self.ignore

    def subset(self, image_ids: Iterable[int]) -> GroundTruth:
        """Return the ground truth of some images, in ascending order of their ids.

        Parameters
        ----------
        image_ids : iterable of int
            Ids to keep; the order does not matter, repeats count once.

        Returns
        -------
        GroundTruth
            With all category names, also those no longer used.

        Raises
        ------
        TruthError
            If an id is not in the ground truth.
        """
        wanted = np.unique(np.fromiter(image_ids, dtype=np.int64))
        unknown = np.setdiff1d(wanted, self.image_ids)
        if len(unknown):
            raise TruthError(
                f"`image_ids` must be ids of this ground truth, got {listing(unknown.tolist())}. "
                "Take them from `truth.image_ids`."
            )
        keep = np.searchsorted(self.image_ids, wanted)
        rows, splits = rows_of_images(self.image_splits, keep)
        per_box = ("annotation_ids", "boxes", "sizes", "category_ids", "iscrowd", "ignore", "area")
        return replace(
            self,
            image_ids=wanted,
            image_sizes=self.image_sizes[keep],
            file_names=tuple(self.file_names[i] for i in keep),
            image_splits=splits,
            **{name: getattr(self, name)[rows] for name in per_box},
        )

    def health(self) -> TruthHealth:
        """Count what deserves a look before scoring: empty images, crowd, degenerate and repeated boxes.

        Returns
        -------
        TruthHealth
        """
        from ._health import truth_health

        return truth_health(self)
