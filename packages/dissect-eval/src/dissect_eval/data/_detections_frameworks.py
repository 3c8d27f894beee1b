"""The ways to make `Detections` of what detection frameworks return: what they do is in `_convert`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ._detections import Detections

__all__ = ["DetectionsFromFrameworks"]


class DetectionsFromFrameworks:
    """Constructors of `Detections` that know other libraries' fields by name, and import none of them."""

    @classmethod
    def from_samples(
        cls,
        samples: Iterable[Any],
        category_ids_of_labels: Sequence[int] | NDArray[np.int64],
        image_ids: Iterable[int] | None = None,
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
        from ._convert import detections_of_samples

        return detections_of_samples(samples, category_ids_of_labels, image_ids)

    @classmethod
    def from_torchvision(
        cls,
        outputs: Iterable[Mapping[str, Any]],
        image_ids: Iterable[int],
        category_ids_of_labels: Sequence[int] | NDArray[np.int64] | None = None,
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
        from ._convert import detections_of_outputs

        return detections_of_outputs(outputs, image_ids, category_ids_of_labels)

    @classmethod
    def from_supervision(
        cls,
        detections: Iterable[Any],
        image_ids: Iterable[int],
        category_ids_of_labels: Sequence[int] | NDArray[np.int64],
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
        from ._convert import detections_of_supervision

        return detections_of_supervision(detections, image_ids, category_ids_of_labels)

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
            Category id of class 0, 1, …: ``label_to_category(truth, list(model.names.values()))``.

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
        from ._convert import detections_of_ultralytics

        return detections_of_ultralytics(results, image_ids, category_ids_of_labels)
