"""The ways to make `GroundTruth`, as a base class: what they do is in `_coco`, `_truth_arrays` and `_convert`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

if TYPE_CHECKING:
    from ._truth import GroundTruth

__all__ = ["TruthFrom"]


class TruthFrom:
    """Constructors of `GroundTruth`."""

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
        from ._coco_truth import load_truth

        return load_truth(source)

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
        from ._truth_arrays import collect_truth

        return collect_truth(
            per_image,
            image_ids,
            category_names,
            image_sizes=image_sizes,
            file_names=file_names,
            iscrowd=iscrowd,
            ignore=ignore,
            area=area,
        )

    @classmethod
    def from_torchvision(
        cls,
        targets: Iterable[Mapping[str, Any]],
        category_names: Mapping[int, str] | Sequence[str],
        image_ids: Iterable[int] | None = None,
        *,
        image_sizes: ArrayLike | None = None,
        file_names: Sequence[str] | None = None,
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

        Returns
        -------
        GroundTruth

        Raises
        ------
        TruthError
            If a target lacks an entry, boxes are not xyxy, and as `from_arrays`; the message names the image.

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
        from ._convert import truth_of_targets

        return truth_of_targets(targets, category_names, image_ids, image_sizes, file_names)

    @classmethod
    def from_supervision(
        cls,
        detections: Iterable[Any],
        image_ids: Iterable[int],
        category_names: Mapping[int, str] | Sequence[str],
        *,
        image_sizes: ArrayLike | None = None,
        file_names: Sequence[str] | None = None,
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

        Returns
        -------
        GroundTruth

        Raises
        ------
        TruthError
            If boxes come without classes, and as `from_arrays`; the message names the image.

        References
        ----------
        Roboflow supervision, ``supervision.DetectionDataset``.
        """
        from ._convert import truth_of_supervision

        return truth_of_supervision(detections, image_ids, category_names, image_sizes, file_names)
