"""The ways to make `Detections`, as a base class: what they do is in `_results`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ._detections_frameworks import DetectionsFromFrameworks

if TYPE_CHECKING:
    from ._detections import Detections, OnUnknown
    from ._truth import GroundTruth

__all__ = ["DetectionsFrom"]


class DetectionsFrom(DetectionsFromFrameworks):
    """Constructors of `Detections`."""

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
        from ._coco_results import load_results

        return load_results(results, truth, on_unknown)

    @classmethod
    def from_arrays(
        cls,
        per_image: Sequence[Sequence[Any]],
        image_ids: Sequence[int],
        category_ids_of_labels: Sequence[int] | NDArray[np.int64],
    ) -> Detections:
        """Take detections as a detector gives them: per image boxes, scores and contiguous labels.

        Parameters
        ----------
        per_image : sequence of (boxes, scores, labels)
            Arrays of shapes (n, 4) xyxy in pixels, (n,) and (n,); n may be 0. What follows them is not looked at.
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
        >>> from dissect_eval import Detections
        >>> found = Detections.from_arrays([([[1, 2, 4, 6]], [0.5], [0])], [7], [3])
        >>> found.category_ids, found.image_ids
        (array([3]), array([7]))
        """
        from ._coco_results import collect_arrays

        return collect_arrays(per_image, image_ids, category_ids_of_labels)
