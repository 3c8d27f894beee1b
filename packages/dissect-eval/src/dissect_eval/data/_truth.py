"""Ground truth of a data split, as immutable arrays grouped by image."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._arrays import Ints, freeze_fields, image_of_rows, rows_of_images, rows_where
from .._text import quoted
from ..boxes import check_xyxy
from ..errors import TruthError
from ._coco_truth import load_truth, truth_content
from ._columns import TruthColumns
from ._health import TruthHealth, truth_health
from ._masks import Masks
from ._records import listing
from ._subset import AreaRange, chosen_categories, chosen_images, within_area
from ._truth_arrays import collect_truth, truth_of_supervision, truth_of_targets

__all__ = ["GroundTruth"]


@dataclass(frozen=True, eq=False)
class GroundTruth:
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
        Name of the file that the truth was read from; empty if it was read from none.
    masks : Masks or None
        Segmentations of the boxes, which ``coco_ap(..., iou_type="segm")`` scores. They are read and encoded only then.

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
    masks: Masks | None = None

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
        falling = np.flatnonzero(np.diff(self.image_ids) <= 0)
        if len(falling):
            before, after = self.image_ids[falling[0] : falling[0] + 2].tolist()
            raise TruthError(
                f"`image_ids` must ascend without repeats, got {before} before {after}. Sort the images by id."
            )
        if (
            self.image_splits[0] != 0
            or self.image_splits[-1] != n_boxes
            or (np.diff(self.image_splits) < 0).any()
        ):
            raise TruthError(
                f"`image_splits` must rise from 0 to the number of boxes, {n_boxes}. Use `GroundTruth.from_arrays`."
            )
        if len(self.file_names) != n_images:
            raise TruthError(
                f"`file_names` must have one entry per image, {n_images}, got {len(self.file_names)}."
            )
        if self.masks is not None and len(self.masks) != n_boxes:
            raise TruthError(f"`masks` must have one entry per box, {n_boxes}, got {len(self.masks)}.")
        unknown = sorted({int(c) for c in self.category_ids} - names.keys())
        if unknown:
            raise TruthError(
                f"`category_ids` must be in `category_names`, got {listing(unknown)}. Name each category that is used."
            )

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
        """True where a box is crowd or ignored: it counts neither as found nor as missed, shape (N,)."""
        return self.iscrowd | self.ignore

    @classmethod
    def from_coco(cls, source: str | os.PathLike[str] | Mapping[str, Any] | Any) -> GroundTruth:
        """Load COCO ground truth: fill in what other tools leave out, and refuse what cannot be right.

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
        >>> from dissect_eval import GroundTruth
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
        return cls(**load_truth(source))

    @classmethod
    def from_arrays(
        cls,
        per_image: Iterable[tuple[ArrayLike, ArrayLike]],
        image_ids: Iterable[int],
        category_names: Mapping[int, str] | Sequence[str],
        *,
        image_sizes: ArrayLike | None = None,
        file_names: Sequence[str] | None = None,
        iscrowd: Sequence[ArrayLike | None] | None = None,
        ignore: Sequence[ArrayLike | None] | None = None,
        area: Sequence[ArrayLike | None] | None = None,
        masks: Sequence[Sequence[Any]] | None = None,
    ) -> GroundTruth:
        """Take ground truth as arrays: per image boxes and category ids.

        Parameters
        ----------
        per_image : iterable of (boxes, category ids)
            Arrays of shapes (n, 4) xyxy in pixels and (n,); n may be 0.
        image_ids : iterable of int
            Id of each image, unique, in the order of `per_image`.
        category_names : mapping of int to str, or sequence of str
            Name of every category by its id. In a sequence the position is the id: contiguous labels.
        image_sizes : array-like, shape (I, 2), optional
            Width and height of each image in pixels (the shape of an array is height, width); NaN if unknown.
        file_names : sequence of str, optional
            One per image.
        iscrowd, ignore : sequence of array-like of 0 or 1, optional
            Flags of the boxes of each image, shape (n,); None for an image without any.
        area : sequence of array-like, optional
            Object areas in square pixels for each image, shape (n,). By default, and where None, width ×
            height.
        masks : sequence of sequence, optional
            For each image n masks: arrays of booleans of shape (height, width), COCO's run lengths as dicts, or lists
            of polygons. Give `area` with them: that of a mask is not that of its box.

        Returns
        -------
        GroundTruth
            With images ascending by id; annotations are numbered from 1 in the order given.

        Raises
        ------
        TruthError
            If lengths differ, an id repeats, a category is not in `category_names`, a flag is not 0 or 1, or a
            box is not finite or has a negative extent; the message names the image.

        Examples
        --------
        >>> from dissect_eval import GroundTruth
        >>> truth = GroundTruth.from_arrays([([[10, 20, 40, 60]], [3])], [7], {3: "cell"})
        >>> truth.sizes, truth.area
        (array([[30., 40.]]), array([1200.]))
        """
        columns = collect_truth(
            per_image,
            image_ids,
            category_names,
            image_sizes=image_sizes,
            file_names=file_names,
            iscrowd=iscrowd,
            ignore=ignore,
            area=area,
            masks=masks,
        )
        return cls(**columns)

    @classmethod
    def from_torchvision(
        cls,
        targets: Iterable[Mapping[str, Any]],
        category_names: Mapping[int, str] | Sequence[str],
        image_ids: Iterable[int] | None = None,
        *,
        image_sizes: ArrayLike | None = None,
        file_names: Sequence[str] | None = None,
        masks: bool = False,
    ) -> GroundTruth:
        """Take the targets that torchvision's detectors are trained with.

        Parameters
        ----------
        targets : iterable of dict
            One per image: ``boxes`` of shape (n, 4) xyxy in pixels and ``labels``; if present, ``iscrowd``,
            ``area`` and ``image_id`` count.
        category_names : mapping of int to str, or sequence of str
            Name of every label, which becomes the category id. Label 0 is the background: give a mapping that
            starts at 1, or a sequence that starts with its name.
        image_ids : iterable of int, optional
            Id of each image; by default the ``image_id`` that each target holds.
        image_sizes, file_names : optional
            As for `from_arrays`.
        masks : bool
            Whether to take the masks too, ``masks`` of the targets, for ``coco_ap(..., iou_type="segm")``. Needs the
            extra ``coco``.

        Returns
        -------
        GroundTruth

        Raises
        ------
        TruthError
            If a target lacks an entry or boxes are not xyxy, and where `from_arrays` does; the message names the image.

        References
        ----------
        torchvision, object detection fine-tuning tutorial.

        Examples
        --------
        >>> from dissect_eval import GroundTruth
        >>> targets = [{"boxes": [[0, 0, 5, 5]], "labels": [1], "image_id": 7, "iscrowd": [0]}]
        >>> GroundTruth.from_torchvision(targets, {1: "cell"}).image_ids
        array([7])
        """
        return cls(**truth_of_targets(targets, category_names, image_ids, image_sizes, file_names, masks))

    @classmethod
    def from_supervision(
        cls,
        detections: Iterable[Any],
        image_ids: Iterable[int],
        category_names: Mapping[int, str] | Sequence[str],
        *,
        image_sizes: ArrayLike | None = None,
        file_names: Sequence[str] | None = None,
        masks: bool = False,
    ) -> GroundTruth:
        """Take ``supervision.Detections`` that hold annotations, one per image, as its data sets give them.

        Parameters
        ----------
        detections : iterable of supervision.Detections
            With ``xyxy`` and ``class_id``; if ``data`` has ``iscrowd`` and ``area``, they count.
        image_ids : iterable of int
            Id of each image, unique, in the order of `detections`.
        category_names : mapping of int to str, or sequence of str
            Name of every class, which becomes the category id; a data set's ``classes``.
        image_sizes, file_names : optional
            As for `from_arrays`.
        masks : bool
            Whether to take the masks too, ``mask``, for ``coco_ap(..., iou_type="segm")``. Needs the extra ``coco``.

        Returns
        -------
        GroundTruth

        Raises
        ------
        TruthError
            If boxes come without classes, and where `from_arrays` does; the message names the image.

        References
        ----------
        Roboflow supervision, ``supervision.DetectionDataset``.
        """
        return cls(
            **truth_of_supervision(detections, image_ids, category_names, image_sizes, file_names, masks)
        )

    def ids_of_files(self, names: Iterable[str | os.PathLike[str]]) -> list[int]:
        """Return the ids of images by the names of their files, for detectors that know paths alone.

        Parameters
        ----------
        names : iterable of path
            Names as in the ground truth, or paths of which the last part alone is compared.

        Returns
        -------
        list of int
            In the order of `names`.

        Raises
        ------
        TruthError
            If a name belongs to no image, or its last part to several.

        Examples
        --------
        >>> from dissect_eval import GroundTruth
        >>> truth = GroundTruth.from_arrays([([], [])] * 2, [7, 9], {1: "cat"}, file_names=["a.jpg", "b.jpg"])
        >>> truth.ids_of_files(["/data/val/b.jpg", "a.jpg"])
        [9, 7]
        """
        if isinstance(names, (str, os.PathLike)):
            raise TruthError(
                f"`names` must be a sequence of names, got {quoted(os.fspath(names))}. Put it in [ ]."
            )
        whole = dict(zip(self.file_names, self.image_ids.tolist(), strict=True))
        by_part: dict[str, list[int]] = {}
        for name, key in whole.items():
            by_part.setdefault(_last_part(name), []).append(key)
        found = []
        for given in names:
            name = os.fspath(given)
            having = [whole[name]] if name in whole else by_part.get(_last_part(name), [])
            if len(having) != 1 or not name:
                several = (
                    f"the name of images {listing(having)}" if having else "no image of this ground truth"
                )
                raise TruthError(f"`names` must be files of images, got {quoted(name)}: {several}. Give ids.")
            found.append(having[0])
        return found

    def subset(
        self,
        image_ids: Iterable[int] | None = None,
        *,
        categories: Iterable[int | str] | None = None,
        area: AreaRange | None = None,
    ) -> GroundTruth:
        """Return the ground truth of some images or categories, or with boxes outside a size range ignored.

        Parameters
        ----------
        image_ids : iterable of int, optional
            Ids to keep; the result has them in ascending order, each once.
        categories : iterable of int or str, optional
            Ids or names to keep. Boxes of other categories are removed and `category_names` is restricted, but
            images stay, also empty ones. Restrict detections to match:
            ``found.subset(categories=part.category_names)``.
        area : {"small", "medium", "large"} or (float, float), optional
            COCO's name of a size, or the lowest and highest `area` in square pixels, both included: small is
            up to 32², medium from 32² to 96², large from 96². Boxes of another area stay but become `ignore`:
            if they were removed, a detection of them would count as a false positive.

        Returns
        -------
        GroundTruth
            `category_names` keeps categories that are no longer used, unless `categories` is given.

        Raises
        ------
        TruthError
            If an image id is not in the ground truth.
        CategoryError
            If a category is not in the ground truth, or a name belongs to several.
        SettingError
            If `area` is not a range.

        Notes
        -----
        With `area`, recall, misses and AR are COCO's for that size. Precision and AP are not: a detection that matches
        no truth is a false positive whatever its size (COCO excuses it outside the range), and one that lies in an
        ignored box is excused as in a crowd region. For COCO's values read `CocoAP.APs`, `APm` and `APl`, and
        `DetectionMetrics.by_size`. `matched_metrics` pairs ignored boxes too, as Deep Dissect 1.0 does.

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
        part = self
        if image_ids is not None:
            rule = "ids of this ground truth, got {}. Take them from `truth.image_ids`."
            wanted, kept = chosen_images(image_ids, part.image_ids, rule, TruthError)
            rows, splits = rows_of_images(part.image_splits, kept)
            part = part._take(
                rows,
                splits,
                image_ids=wanted,
                image_sizes=part.image_sizes[kept],
                file_names=tuple(part.file_names[i] for i in kept),
            )
        if categories is not None:
            chosen = chosen_categories(categories, part.category_names)
            rows, splits = rows_where(np.isin(part.category_ids, chosen), part.image_index, part.n_images)
            part = part._take(
                rows, splits, category_names={i: part.category_names[i] for i in chosen.tolist()}
            )
        if area is not None:
            part = replace(part, ignore=part.ignore | ~within_area(part.area, area))
        return part

    def _take(self, rows: Ints, image_splits: Ints, **others: Any) -> GroundTruth:
        """Return the truth in some rows, with other values of the fields given."""
        per_box = ("annotation_ids", "boxes", "sizes", "category_ids", "iscrowd", "ignore", "area")
        arrays = {name: getattr(self, name)[rows] for name in per_box}
        masks = None if self.masks is None else self.masks.take(rows)
        return replace(self, image_splits=image_splits, masks=masks, **arrays, **others)

    def to_coco(self) -> dict[str, Any]:
        """Return the content of a COCO instances file as plain data, the same for the same truth.

        Returns
        -------
        dict
            ``images``, ``annotations`` and ``categories``, and the notes under ``info``. `from_coco` reads back the
            same truth, but for its masks; only in truth built from corners (`from_arrays`) may the right and lower edge
            of a box differ in the last bit, since COCO stores sizes.

        Examples
        --------
        >>> from dissect_eval import GroundTruth
        >>> truth = GroundTruth.from_arrays([([[1, 2, 4, 6]], [3])], [7], {3: "cell"}, file_names=["a.png"])
        >>> truth.to_coco()["annotations"]
        [{'id': 1, 'image_id': 7, 'category_id': 3, 'bbox': [1.0, 2.0, 3.0, 4.0], 'area': 12.0, 'iscrowd': 0}]
        >>> GroundTruth.from_coco(truth.to_coco())
        GroundTruth(1 images, 1 boxes, 1 categories)
        """
        return truth_content(self._columns())

    def health(self) -> TruthHealth:
        """Count what deserves a look before scoring: empty images, crowd, degenerate and repeated boxes.

        Returns
        -------
        TruthHealth
        """
        return truth_health(self._columns())

    def _columns(self) -> TruthColumns:
        return cast(TruthColumns, {f.name: getattr(self, f.name) for f in fields(self)})


def _last_part(name: str) -> str:
    """Return the last part of a path as any system writes it."""
    return name.replace("\\", "/").rpartition("/")[2]
