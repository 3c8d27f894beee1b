"""Changes that a variant makes image by image: objects that are lost or found, and false alarms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...boxes import aligned_iou
from ..stored import ImageBoxes

__all__ = ["ImageHits", "image_hits", "lost_objects"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ImageHits:
    """Hits and false alarms of many images, for any score threshold.

    Attributes
    ----------
    n_images : int
    object_image, object_label : ndarray of int64, shape (N,)
        Place of the image and class of each true box.
    object_score : ndarray of float64, shape (N,)
        The best score of the detections of its class that lie on it, -inf if there are none.
    box_image, box_label : ndarray of int64, shape (M,)
        Place of the image and class of each detection.
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
        """Count the objects that are found in each image at a score threshold, of one class or all."""
        kept = self.object_score >= threshold
        if label is not None:
            kept &= self.object_label == label
        return np.bincount(self.object_image[kept], minlength=self.n_images)

    def false_alarms(self, threshold: float, label: int | None = None) -> NDArray[np.int64]:
        """Count the detections of each image that lie on no object of their class."""
        kept = (self.box_score >= threshold) & ~self.box_hits
        if label is not None:
            kept &= self.box_label == label
        return np.bincount(self.box_image[kept], minlength=self.n_images)


def lost_objects(
    before: ImageHits, after: ImageHits, threshold: float, label: int | None = None
) -> NDArray[np.int64]:
    """Count the objects of each image that are found before and not after, of one class or all.

    Objects that are found only after do not reduce the count.

    Parameters
    ----------
    before, after : ImageHits
        Hits on the same truth.
    threshold : float
        Least score of a detection.
    label : int, optional
        The only class that counts.

    Examples
    --------
    >>> box, other = np.array([[0.0, 0, 9, 9]]), np.array([[20.0, 0, 29, 9]])
    >>> truth = {0: ImageBoxes(np.concatenate([box, other]), np.array([1, 1]), np.ones(2))}
    >>> one, two = (image_hits(truth, {0: ImageBoxes(b, np.array([1]), np.ones(1))}) for b in (box, other))
    >>> lost_objects(one, two, 0.5), one.found(0.5), two.found(0.5)
    (array([1]), array([1]), array([1]))
    """
    gone = (before.object_score >= threshold) & ~(after.object_score >= threshold)
    if label is not None:
        gone &= before.object_label == label
    return np.bincount(before.object_image[gone], minlength=before.n_images)


def image_hits(
    truth: Mapping[int, ImageBoxes], found: Mapping[int, ImageBoxes], iou_threshold: float = 0.5
) -> ImageHits:
    """Compare detections with the truth of their images.

    Parameters
    ----------
    truth, found : mapping of int to ImageBoxes
        By image, the same images in both.
    iou_threshold : float
        Least IoU at which a detection lies on an object.

    Examples
    --------
    >>> truth = {4: ImageBoxes(np.array([[0.0, 0, 10, 10]]), np.array([1]), np.ones(1))}
    >>> boxes = ImageBoxes(np.array([[0.0, 0, 10, 9], [50, 50, 60, 60]]), np.array([1, 1]), np.array([0.8, 0.6]))
    >>> compared = image_hits(truth, {4: boxes})
    >>> compared.found(0.5), compared.found(0.9), compared.false_alarms(0.5)
    (array([1]), array([0]), array([1]))
    """
    places = np.arange(len(truth))
    n_objects = np.array([len(one.boxes) for one in truth.values()], dtype=np.int64)
    n_boxes = np.array([len(found[image].boxes) for image in truth], dtype=np.int64)
    object_image, box_image = np.repeat(places, n_objects), np.repeat(places, n_boxes)
    objects, object_label, _ = _joined(truth.values())
    boxes, box_label, box_score = _joined(found[image] for image in truth)
    rows, columns = _pairs(np.stack([object_image, object_label]), np.stack([box_image, box_label]))
    on = aligned_iou(objects[rows], boxes[columns]) >= iou_threshold
    rows, columns = rows[on], columns[on]
    best = np.full(len(objects), -np.inf)
    np.maximum.at(best, rows, box_score[columns])
    hits = np.zeros(len(boxes), dtype=np.bool_)
    hits[columns] = True
    return ImageHits(len(truth), object_image, object_label, best, box_image, box_label, box_score, hits)


def _joined(images: Iterable[ImageBoxes]) -> tuple[Floats, NDArray[np.int64], Floats]:
    """Return the boxes, labels and scores of all images, one after the other."""
    nothing = ImageBoxes(np.zeros((0, 4)), np.zeros(0, dtype=np.int64), np.zeros(0))
    boxes, labels, scores = zip(nothing, *images, strict=True)
    return np.concatenate(boxes), np.concatenate(labels), np.concatenate(scores)


def _pairs(
    rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return every pair of a row and a column that have the same two keys, shapes (2, N) and (2, M)."""
    n = int(max(rows[1].max(initial=0), columns[1].max(initial=0))) + 2  # labels begin with -1
    row_key, column_key = (each[0] * n + each[1] + 1 for each in (rows, columns))
    order = np.argsort(column_key, kind="stable")
    first, last = (np.searchsorted(column_key[order], row_key, side) for side in ("left", "right"))
    counts = last - first
    which = np.repeat(np.arange(len(row_key)), counts)
    place = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
    return which, order[first[which] + place]
