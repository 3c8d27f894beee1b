"""Detections of one model on a data split, as immutable arrays grouped by image."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._arrays import Ints, freeze_fields, image_of_rows, rows_of_images, rows_where, splits_of
from .._numbers import is_number
from .._text import quoted
from ..boxes import check_xyxy
from ..errors import DetectionError, SettingError
from ._coco_results import collect_arrays, load_results
from ._columns import DetectionColumns
from ._concat import OnRepeat, joined_columns
from ._convert import (
    detections_of_outputs,
    detections_of_samples,
    detections_of_supervision,
    detections_of_ultralytics,
)
from ._labels import OnUnknown, unknown_rows
from ._masks import Masks
from ._subset import AreaRange, chosen_categories, chosen_images, within_area
from ._table_columns import columns_of_table
from ._truth_like import TruthLike, as_truth

__all__ = ["Detections"]

SIZE_ROUNDING = 1e-6
"""Largest difference between sizes and corners, as a share of the coordinates."""


@dataclass(frozen=True, eq=False)
class Detections:
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
        What the reader of the file had to assume or noticed.
    masks : Masks or None
        Masks of the detections, which ``coco_ap(..., iou_type="segm")`` scores. They are read and encoded only then.

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
    masks: Masks | None = None

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
        if self.masks is not None and len(self.masks) != n_boxes:
            raise DetectionError(f"`masks` must have one entry per box, {n_boxes}, got {len(self.masks)}.")
        check_xyxy(self.boxes, "boxes")
        self._check_sizes()
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

    def _check_sizes(self) -> None:
        """Raise `DetectionError` for the first size that is not that of its box."""
        extent = self.boxes[:, 2:] - self.boxes[:, :2]
        if np.array_equal(self.sizes, extent):
            return
        # x + w - x may differ from w by what the larger numbers are rounded to.
        allowed = SIZE_ROUNDING * np.maximum(np.abs(self.boxes).max(axis=1, initial=1.0), 1.0)[:, None]
        wrong = (np.abs(self.sizes - extent) > allowed).any(axis=1)
        if wrong.any():
            bad = int(np.argmax(wrong))
            raise DetectionError(
                f"`sizes` row {bad} must be width and height of `boxes` row {bad}, {extent[bad].tolist()}, got "
                f"{self.sizes[bad].tolist()}. Use `scaled`, or build anew with `Detections.from_arrays`."
            )

    def __repr__(self) -> str:
        return f"Detections({self.n_images} images, {self.n_boxes} boxes)"

    @classmethod
    def from_results(
        cls,
        results: str | os.PathLike[str] | Sequence[Mapping[str, Any]],
        truth: TruthLike,
        on_unknown: OnUnknown = "error",
    ) -> Detections:
        """Load COCO results: a list of ``{"image_id", "category_id", "bbox": [x, y, w, h], "score"}``.

        Masks, under ``segmentation``, are kept, and are read only when they are scored. Results that have them and no
        boxes get the boxes of their masks.

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
        >>> from dissect_eval import Detections, GroundTruth
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
        return cls(**load_results(results, truth, on_unknown))

    @classmethod
    def from_arrays(
        cls,
        per_image: Iterable[Sequence[Any]],
        image_ids: Iterable[int],
        category_ids_of_labels: Sequence[int] | NDArray[np.int64],
        masks: Sequence[Sequence[Any]] | None = None,
    ) -> Detections:
        """Take detections as a detector gives them: per image boxes, scores and contiguous labels.

        Parameters
        ----------
        per_image : iterable of (boxes, scores, labels)
            Arrays, or tensors on any device and with gradients, of shapes (n, 4) xyxy in pixels, (n,) and (n,); n may
            be 0. What follows them is not looked at.
        image_ids : iterable of int
            Id of each image, unique, in the order of `per_image`.
        category_ids_of_labels : sequence of int
            Category id of label 0, 1, …: `label_to_category` makes it from class names.
        masks : sequence of sequence, optional
            For each image n masks: arrays of booleans of shape (height, width), COCO's run lengths as dicts, or lists
            of polygons.

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
        >>> from dissect_eval import Detections
        >>> found = Detections.from_arrays([([[1, 2, 4, 6]], [0.5], [0])], [7], [3])
        >>> found.category_ids, found.image_ids
        (array([3]), array([7]))
        """
        return cls(**collect_arrays(per_image, image_ids, category_ids_of_labels, masks))

    @classmethod
    def from_samples(
        cls,
        samples: Iterable[Any],
        category_ids_of_labels: Sequence[int] | NDArray[np.int64],
        image_ids: Iterable[int] | None = None,
        *,
        masks: bool = False,
    ) -> Detections:
        """Take MMDetection's ``DetDataSample`` objects, or the dicts that its result pickles hold.

        Parameters
        ----------
        samples : iterable of DetDataSample or dict
            One per image, with ``pred_instances`` of ``bboxes``, shape (n, 4) xyxy in pixels of the original
            image, ``scores`` and ``labels``; or such instances themselves. Tensors may lie on any device and
            require gradients.
        category_ids_of_labels : sequence of int
            Category id of label 0, 1, …: ``label_to_category(truth, model.dataset_meta["classes"])``.
        image_ids : iterable of int, optional
            Id of each image; by default the ``img_id`` that each sample holds, which for a COCO file is its
            image id.
        masks : bool
            Whether to take the masks too, ``masks`` of the instances, for ``coco_ap(..., iou_type="segm")``. Needs the
            extra ``coco``.

        Returns
        -------
        Detections
            Over exactly the images of the samples, ascending by id.

        Raises
        ------
        DetectionError
            If a sample has no predictions or no id, and as `from_arrays`; the message names the image.

        References
        ----------
        MMDetection 3.3, ``mmdet.structures.DetDataSample``.

        Examples
        --------
        >>> from dissect_eval import Detections
        >>> instances = {"bboxes": [[1, 2, 4, 6]], "scores": [0.5], "labels": [0]}
        >>> Detections.from_samples([{"img_id": 7, "pred_instances": instances}], [3]).category_ids
        array([3])
        """
        return cls(**detections_of_samples(samples, category_ids_of_labels, image_ids, masks))

    @classmethod
    def from_torchvision(
        cls,
        outputs: Iterable[Mapping[str, Any]],
        image_ids: Iterable[int],
        category_ids_of_labels: Sequence[int] | NDArray[np.int64] | None = None,
        *,
        masks: bool = False,
    ) -> Detections:
        """Take what torchvision's detectors return: per image a dict of ``boxes``, ``scores`` and ``labels``.

        Parameters
        ----------
        outputs : iterable of dict
            One per image: boxes of shape (n, 4) xyxy in pixels, scores and labels. Tensors may lie on any
            device and require gradients.
        image_ids : iterable of int
            Id of each image, unique, in the order of `outputs`.
        category_ids_of_labels : sequence of int, optional
            Category id of label 0, 1, … By default labels are category ids: torchvision's COCO models emit
            COCO's. In a model of your own label 0 is the background, which is never emitted: put any number
            in its place, ``[0, *label_to_category(truth, names)]``.
        masks : bool
            Whether to take the masks too, ``masks`` of Mask R-CNN: pixels with a probability above .5, for
            ``coco_ap(..., iou_type="segm")``. Needs the extra ``coco``.

        Returns
        -------
        Detections
            Over exactly `image_ids`, ascending.

        Raises
        ------
        DetectionError
            If an output lacks an entry, and as `from_arrays`; the message names the image.

        References
        ----------
        torchvision, ``torchvision.models.detection``.

        Examples
        --------
        >>> from dissect_eval import Detections
        >>> outputs = [{"boxes": [[1, 2, 4, 6]], "scores": [0.5], "labels": [18]}]
        >>> Detections.from_torchvision(outputs, [7]).category_ids
        array([18])
        """
        return cls(**detections_of_outputs(outputs, image_ids, category_ids_of_labels, masks))

    @classmethod
    def from_transformers(
        cls,
        outputs: Iterable[Mapping[str, Any]],
        image_ids: Iterable[int],
        category_ids_of_labels: Sequence[int] | NDArray[np.int64],
    ) -> Detections:
        """Take what ``processor.post_process_object_detection`` of Transformers returns, a dict for each image.

        Parameters
        ----------
        outputs : iterable of dict
            One per image: boxes of shape (n, 4) xyxy in pixels (give the processor ``target_sizes``), scores and
            labels. Use a threshold of 0: the default, .5, cuts off what AP needs.
        image_ids : iterable of int
            Id of each image, unique, in the order of `outputs`.
        category_ids_of_labels : sequence of int
            Category id of label 0, 1, …: ``label_to_category(truth, model.config.id2label)``.

        Returns
        -------
        Detections
            Over exactly `image_ids`, ascending.

        Raises
        ------
        DetectionError
            If an output lacks an entry, and as `from_arrays`; the message names the image.

        References
        ----------
        Hugging Face Transformers, ``post_process_object_detection``.

        Examples
        --------
        >>> from dissect_eval import Detections
        >>> outputs = [{"boxes": [[1, 2, 4, 6]], "scores": [0.5], "labels": [1]}]
        >>> Detections.from_transformers(outputs, [7], [1, 18]).category_ids
        array([18])
        """
        return cls(**detections_of_outputs(outputs, image_ids, category_ids_of_labels))

    @classmethod
    def from_supervision(
        cls,
        detections: Iterable[Any],
        image_ids: Iterable[int],
        category_ids_of_labels: Sequence[int] | NDArray[np.int64],
        *,
        masks: bool = False,
    ) -> Detections:
        """Take ``supervision.Detections`` objects, one per image.

        Parameters
        ----------
        detections : iterable of supervision.Detections
            With ``xyxy``, ``confidence`` and ``class_id``.
        image_ids : iterable of int
            Id of each image, unique, in the order of `detections`.
        category_ids_of_labels : sequence of int
            Category id of class 0, 1, …: `label_to_category` makes it from class names.
        masks : bool
            Whether to take the masks too, ``mask``, for ``coco_ap(..., iou_type="segm")``. Needs the extra ``coco``.

        Returns
        -------
        Detections
            Over exactly `image_ids`, ascending.

        Raises
        ------
        DetectionError
            If boxes come without confidence or class, and as `from_arrays`; the message names the image.

        References
        ----------
        Roboflow supervision, ``supervision.Detections``.
        """
        return cls(**detections_of_supervision(detections, image_ids, category_ids_of_labels, masks))

    @classmethod
    def from_ultralytics(
        cls,
        results: Iterable[Any],
        image_ids: Iterable[int],
        category_ids_of_labels: Sequence[int] | NDArray[np.int64],
    ) -> Detections:
        """Take the ``Results`` objects that Ultralytics' detection models return, one per image.

        Parameters
        ----------
        results : iterable of ultralytics.engine.results.Results
            With ``boxes`` of ``xyxy``, ``conf`` and ``cls``; a stream is read to its end. Predict with a low
            ``conf``: the default, .25, cuts off what AP needs.
        image_ids : iterable of int
            Id of each image, unique, in the order of `results`, which name their files in ``path``.
        category_ids_of_labels : sequence of int
            Category id of class 0, 1, …: ``label_to_category(truth, model.names)``.

        Returns
        -------
        Detections
            Over exactly `image_ids`, ascending.

        Raises
        ------
        DetectionError
            If a result has no boxes, as that of a classifier, and as `from_arrays`; the message names the
            image.

        References
        ----------
        Ultralytics, ``ultralytics.engine.results``.
        """
        return cls(**detections_of_ultralytics(results, image_ids, category_ids_of_labels))

    @classmethod
    def from_columns(
        cls,
        table: Any,
        image_ids: Iterable[int] | None = None,
        *,
        names: Mapping[str, str] | None = None,
    ) -> Detections:
        """Take a table of one row per box: pandas, Arrow, a Parquet file, or arrays by name.

        Parameters
        ----------
        table : DataFrame, pyarrow.Table, path of a Parquet file, or mapping of str to array-like
            With columns ``image_id``, ``category_id`` and ``score``, and boxes in pixels: ``x_min``, ``y_min``,
            ``x_max``, ``y_max`` (or x1, y1, x2, y2), or ``x``, ``y``, ``width``, ``height``, or ``bbox`` with these
            four in a list, as COCO has it. Further columns are not looked at.
        image_ids : iterable of int, optional
            All images that were run: a table has no row for an image without detections. By default those that occur.
        names : mapping of str to str, optional
            Names of your columns by those above: ``{"score": "confidence"}``.

        Returns
        -------
        Detections
            In each image in the order of the rows.

        Raises
        ------
        DetectionError
            If a column is missing, has nulls, is not numbers, or is of another length; or an image is not in
            `image_ids`.
        MissingExtraError
            If the table is a Parquet file and pyarrow is not installed.

        Examples
        --------
        >>> from dissect_eval import Detections
        >>> columns = {"image_id": [7, 5], "category_id": [3, 3], "score": [0.5, 0.9]}
        >>> columns |= {"x_min": [1, 2], "y_min": [2, 3], "x_max": [4, 4], "y_max": [6, 6]}
        >>> Detections.from_columns(columns).image_ids
        array([5, 7])
        """
        return cls(**columns_of_table(table, image_ids, names))

    @classmethod
    def concat(cls, parts: Iterable[Detections], on_repeat: OnRepeat = "error") -> Detections:
        """Put detections of several parts of a data set together.

        Parameters
        ----------
        parts : iterable of Detections
        on_repeat : {"error", "first", "join"}
            What becomes of an image that several parts have: an error; the first part's detections count, as for images
            that a distributed sampler repeats; or all of them, as for tiles of one image.

        Returns
        -------
        Detections
            Over the images of all parts.

        Raises
        ------
        DetectionError
            If an image occurs in several parts and `on_repeat` is "error", or only some parts have masks.

        Examples
        --------
        >>> from dissect_eval import Detections
        >>> first = Detections.from_arrays([([[1, 2, 4, 6]], [0.5], [0])], [7], [3])
        >>> second = Detections.from_arrays([([], [], [])], [5], [3])
        >>> Detections.concat([first, second])
        Detections(2 images, 1 boxes)
        """
        given = list(parts)
        for i, part in enumerate(given):
            if not isinstance(part, Detections):
                raise DetectionError(
                    f"`parts` must be Detections, got {type(part).__name__} at {i}. Make them first."
                )
        columns = [{f.name: getattr(part, f.name) for f in fields(part)} for part in given]
        return cls(**joined_columns(cast(list[DetectionColumns], columns), on_repeat))

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
        part = self
        if image_ids is not None:
            rule = "images that the detector has seen, got {}."
            wanted, chosen = chosen_images(image_ids, part.image_ids, rule, DetectionError)
            part = part._take(*rows_of_images(part.image_splits, chosen), image_ids=wanted)
        kept = np.ones(part.n_boxes, dtype=np.bool_)
        if categories is not None:
            kept &= np.isin(part.category_ids, chosen_categories(categories, None))
        if area is not None:
            kept &= within_area(part.sizes.prod(axis=1), area)
        return part if kept.all() else part._take(*rows_where(kept, part.image_index, part.n_images))

    def above(self, score: float) -> Detections:
        """Return the detections with at least this score, over the same images."""
        if not is_number(score):
            raise SettingError(f"`score` must be a number, got {quoted(score)}. The usual one is 0.3.")
        return self._take(*rows_where(self.scores >= score, self.image_index, self.n_images))

    def scaled(self, factor: ArrayLike) -> Detections:
        """Return the detections with boxes of images of another size, such as from a resized image to the original.

        Parameters
        ----------
        factor : float, or array-like of shape (2,), (I,) or (I, 2)
            For all boxes; for x and y; for each image; or for x and y of each image. Normalised boxes take the width
            and height of each image: ``found.scaled(truth.image_sizes)``.

        Raises
        ------
        DetectionError
            If it is not positive and finite, or of another shape.

        Examples
        --------
        >>> from dissect_eval import Detections
        >>> found = Detections.from_arrays([([[1, 2, 3, 4]], [0.5], [0])], [7], [3])
        >>> found.scaled(2).boxes, found.scaled([10, 1]).boxes
        (array([[2., 4., 6., 8.]]), array([[10.,  2., 30.,  4.]]))
        """
        try:
            given = np.asarray(factor, dtype=np.float64)
        except (TypeError, ValueError) as exc:
            raise DetectionError(
                f"`factor` must be numbers; {exc}. For widths and heights give `truth.image_sizes`."
            ) from exc
        if given.shape == (self.n_images,) and given.shape != (2,):
            given = given[:, None]
        if given.shape not in ((), (2,), (self.n_images, 1), (self.n_images, 2)):
            raise DetectionError(
                f"`factor` must be a number, or of shape (2,), ({self.n_images},) or ({self.n_images}, 2), got "
                f"{given.shape}. Give one factor for each image."
            )
        if not (np.isfinite(given) & (given > 0)).all():
            raise DetectionError(
                "`factor` must be positive and finite. Leave out images of unknown size (NaN)."
            )
        both = np.broadcast_to(given, (self.n_images, 2))[self.image_index]
        return replace(self, boxes=self.boxes * np.tile(both, 2), sizes=self.sizes * both, masks=None)

    def aligned_to(self, truth: TruthLike, on_unknown: OnUnknown = "error") -> Detections:
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
        truth = as_truth(truth)
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
        masks = None if self.masks is None else self.masks.take(rows)
        return replace(self, image_ids=image_ids, image_splits=image_splits, masks=masks, **arrays)
