"""Ground truth of a data split, as immutable arrays grouped by image."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..boxes._formats import check_xyxy
from ..errors import TruthError
from ._ragged import Ints, freeze_fields, image_of_rows
from ._records import listing
from ._truth_from import TruthFrom

if TYPE_CHECKING:
    from ._health import TruthHealth
    from ._subset import AreaRange

__all__ = ["GroundTruth"]


@dataclass(frozen=True, eq=False)
class GroundTruth(TruthFrom):
    """Ground truth of a data split: I images, N boxes.

    Arrays are read-only. Image ``i`` owns the rows ``image_splits[i]:image_splits[i + 1]`` of every array
    over boxes. Build one with `from_coco`, or with `from_arrays` and its like.

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
    source : str
        Name of the file that it was read from; empty if it is none.

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
    source: str = ""

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

    def subset(
        self,
        image_ids: Iterable[int] | None = None,
        *,
        categories: Iterable[int | str] | None = None,
        area: AreaRange | None = None,
    ) -> GroundTruth:
        """Return the ground truth of some images, of some categories, or with only boxes of a size to be found.

        Parameters
        ----------
        image_ids : iterable of int, optional
            Ids to keep, given back in ascending order; repeats count once.
        categories : iterable of int or str, optional
            Ids or names to keep. Boxes of other categories are removed and `category_names` is restricted, but
            images stay, also empty ones. Restrict detections to match:
            ``found.subset(categories=part.category_names)``.
        area : {"small", "medium", "large"} or (float, float), optional
            COCO's name of a size, or the lowest and highest `area` in square pixels, both included: small is
            up to 32², medium from 32² to 96², large from 96². Boxes of another area stay but become `ignore`:
            were they removed, whoever finds them would be charged a false positive.

        Returns
        -------
        GroundTruth
            With the category names of no longer used categories, unless `categories` is given.

        Raises
        ------
        TruthError
            If an image id is not in the ground truth.
        CategoryError
            If a category is not in the ground truth, or a name belongs to several.
        SettingError
            If `area` is no range.

        Notes
        -----
        With `area`, recall, misses and AR are COCO's for the size. Precision and AP are not: a detection that
        meets no truth is a false positive whatever its size, which COCO excuses outside the range, and one that
        lies in an ignored box is excused as in a crowd. For those read `CocoAP.APs`, `APm` and `APl`, and
        `DetectionMetrics.by_size`. `matched_metrics` pairs ignored boxes too, as Deep Dissect 1.0.

        Examples
        --------
        >>> from dissect_eval import GroundTruth
        >>> boxes, names = ([[0, 0, 10, 10], [0, 0, 50, 50]], [1, 2]), {1: "cat", 2: "dog"}
        >>> truth = GroundTruth.from_arrays([boxes], [7], names)
        >>> truth.subset(categories=["dog"])
        GroundTruth(1 images, 1 boxes, 1 categories)
        >>> truth.subset(area="small").ignore
        array([False,  True])
        """
        from ._subset import subset_truth

        return subset_truth(self, image_ids, categories, area)

    def to_coco(self) -> dict[str, Any]:
        """Return the content of a COCO instances file, as plain data: the same for the same truth.

        Returns
        -------
        dict
            ``images``, ``annotations`` and ``categories``, and the notes under ``info``. `from_coco` reads it back as
            it was; of truth from corners (`from_arrays`) a box's right and lower edge may differ in the last bit, since
            COCO's boxes have sizes.

        Examples
        --------
        >>> from dissect_eval import GroundTruth
        >>> truth = GroundTruth.from_arrays([([[1, 2, 4, 6]], [3])], [7], {3: "cell"}, file_names=["a.png"])
        >>> truth.to_coco()["annotations"]
        [{'id': 1, 'image_id': 7, 'category_id': 3, 'bbox': [1.0, 2.0, 3.0, 4.0], 'area': 12.0, 'iscrowd': 0}]
        >>> GroundTruth.from_coco(truth.to_coco())
        GroundTruth(1 images, 1 boxes, 1 categories)
        """
        from ._coco_truth import truth_content

        return truth_content(self)

    def health(self) -> TruthHealth:
        """Count what deserves a look before scoring: empty images, crowd, degenerate and repeated boxes.

        Returns
        -------
        TruthHealth
        """
        from ._health import truth_health

        return truth_health(self)
