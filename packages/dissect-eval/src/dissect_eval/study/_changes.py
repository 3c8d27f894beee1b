"""What a variant changes image by image: objects that are lost or found, and false alarms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._boxes import pairwise_iou
from ._found import ImageBoxes

__all__ = ["ImageHits", "image_hits"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ImageHits:
    """How well the objects of many images are found, whatever the score threshold will be.

    Attributes
    ----------
    n_images : int
    object_image, object_label : ndarray of int64, shape (N,)
        Place of the image and class of each true box.
    object_score : ndarray of float64, shape (N,)
        The best score among detections of its class on it, -inf if there is none.
    box_image, box_label : ndarray of int64, shape (M,)
        The same of each detection.
    box_score : ndarray of float64, shape (M,)
    box_hits : ndarray of bool, shape (M,)
        Whether it lies on a true box of its class.
    """

    n_images: int
    object_image: NDArray[np.int64]
    object_label: NDArray[np.int64]
    object_score: Floats
    box_image: NDArray[np.int64]
    box_label: NDArray[np.int64]
    box_score: Floats
    box_hits: NDArray[np.bool_]

    def found(self, threshold: float, label: int | None = None) -> NDArray[np.int64]:
        """Objects that are found in each image at a score threshold, of one class or all."""
        kept = self.object_score >= threshold
        if label is not None:
            kept &= self.object_label == label
        return np.bincount(self.object_image[kept], minlength=self.n_images)

    def false_alarms(self, threshold: float, label: int | None = None) -> NDArray[np.int64]:
        """Detections that lie on no object of their class, in each image."""
        kept = (self.box_score >= threshold) & ~self.box_hits
        if label is not None:
            kept &= self.box_label == label
        return np.bincount(self.box_image[kept], minlength=self.n_images)


def image_hits(
    truth: Mapping[int, ImageBoxes], found: Mapping[int, ImageBoxes], iou_threshold: float = 0.5
) -> ImageHits:
    """Compare detections with the truth of their images.

    Parameters
    ----------
    truth, found : mapping of int to ImageBoxes
        By image, the same images in both.
    iou_threshold : float
        IoU from which on a detection is on an object.

    Examples
    --------
    >>> truth = {4: ImageBoxes(np.array([[0.0, 0, 10, 10]]), np.array([1]), np.ones(1))}
    >>> boxes = ImageBoxes(np.array([[0.0, 0, 10, 9], [50, 50, 60, 60]]), np.array([1, 1]), np.array([0.8, 0.6]))
    >>> compared = image_hits(truth, {4: boxes})
    >>> compared.found(0.5), compared.found(0.9), compared.false_alarms(0.5)
    (array([1]), array([0]), array([1]))
    """
    scores, on_object = [], []
    for image, objects in truth.items():
        boxes = found[image]
        best = np.full(len(objects.boxes), -np.inf)
        hit = np.zeros(len(boxes.boxes), dtype=np.bool_)
        if len(best) and len(hit):
            same = objects.labels[:, None] == boxes.labels
            on = same & (pairwise_iou(objects.boxes, boxes.boxes) >= iou_threshold)
            best = np.where(on, boxes.scores, -np.inf).max(axis=1)
            hit = on.any(axis=0)
        scores.append(best)
        on_object.append(hit)
    places = np.arange(len(truth))
    return ImageHits(
        len(truth),
        np.repeat(places, [len(one.boxes) for one in truth.values()]),
        np.concatenate([np.zeros(0, dtype=np.int64), *(one.labels for one in truth.values())]),
        np.concatenate([np.zeros(0), *scores]),
        np.repeat(places, [len(found[image].boxes) for image in truth]),
        np.concatenate([np.zeros(0, dtype=np.int64), *(found[image].labels for image in truth)]),
        np.concatenate([np.zeros(0), *(found[image].scores for image in truth)]),
        np.concatenate([np.zeros(0, dtype=np.bool_), *on_object]),
    )
