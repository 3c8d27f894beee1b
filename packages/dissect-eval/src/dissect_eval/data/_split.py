"""Look for signs that detections come from another data split than the ground truth."""

from __future__ import annotations

import numpy as np

from ..boxes import iou_of
from ._detections import Detections
from ._health import MIN_TRUTH, outside_reason
from ._truth import GroundTruth

__all__ = ["check_split"]

MAX_IMAGES = 500
"""Most images that are compared; from a larger split, evenly spaced ones are taken."""


def check_split(truth: GroundTruth, detections: Detections) -> tuple[str, ...]:
    """Return the reasons to doubt that `detections` were made on the images of `truth`.

    Two splits of a data set often use the same image ids, and then score without an error. Looked at are:
    boxes outside their image; normalised boxes; images that the detector has not seen; and whether detections
    fit the truth of their own image better than that of another image.

    Parameters
    ----------
    truth : GroundTruth
        The split to score against.
    detections : Detections
        Of images and categories that `truth` has.

    Returns
    -------
    tuple of str
        Sentences; empty if nothing is wrong. A detector that an ablation has destroyed fits no image either, and gets
        such a sentence too.

    Raises
    ------
    DetectionError
        If a detection has an image or category that `truth` does not have.

    Examples
    --------
    >>> truth = GroundTruth.from_coco(
    ...     {
    ...         "images": [{"id": 1, "width": 50, "height": 50}],
    ...         "categories": [{"id": 1, "name": "cat"}],
    ...         "annotations": [{"id": 0, "image_id": 1, "category_id": 1, "bbox": [0, 0, 20, 20]}],
    ...     }
    ... )
    >>> from dissect_eval import Detections
    >>> found = Detections.from_arrays([([[400, 300, 500, 400]], [0.9], [0])], [1], [1])
    >>> check_split(truth, found)
    ('1 of 1 boxes stick out of their image by more than 5 % of its size.',)
    """
    aligned = detections.aligned_to(truth)
    unseen = np.setdiff1d(truth.image_ids, detections.image_ids)
    reasons = [
        outside_reason(aligned.boxes, truth.image_sizes[aligned.image_index]),
        f"{len(unseen)} of {truth.n_images} images were not run; score a part with `truth.subset`."
        if len(unseen)
        else None,
        _fit_reason(truth, aligned),
    ]
    return tuple(reason for reason in reasons if reason)


def _fit_reason(truth: GroundTruth, aligned: Detections) -> str | None:
    """Compare how many true boxes are met by detections of their own image and of the next image."""
    both = (np.diff(truth.image_splits) > 0) & (np.diff(aligned.image_splits) > 0)
    images = np.flatnonzero(both)
    if len(images) > MAX_IMAGES:
        images = images[np.linspace(0, len(images) - 1, MAX_IMAGES).astype(np.int64)]
    if len(images) < 3:
        return None
    own = other = total = 0
    for image, neighbour in zip(images.tolist(), np.roll(images, -1).tolist(), strict=True):
        own += _met(truth, aligned, image, image)
        other += _met(truth, aligned, image, neighbour)
        total += int(truth.image_splits[image + 1] - truth.image_splits[image])
    if total < MIN_TRUTH or not _no_better(own, other, total):
        return None
    return (
        f"Detections fit their own images no better than another image's: they meet {own} of {total} true "
        f"boxes, and {other} when moved to the next image."
    )


def _met(truth: GroundTruth, aligned: Detections, truth_image: int, detection_image: int) -> int:
    t = slice(truth.image_splits[truth_image], truth.image_splits[truth_image + 1])
    d = slice(aligned.image_splits[detection_image], aligned.image_splits[detection_image + 1])
    iou = iou_of(truth.boxes[t, None], aligned.boxes[None, d])
    same = truth.category_ids[t, None] == aligned.category_ids[None, d]
    return int(((iou >= 0.5) & same).any(axis=1).sum())


def _no_better(own: int, other: int, total: int) -> bool:
    """Return True unless `own` exceeds `other` by three standard deviations of a binomial count."""
    p = (other + 1) / (total + 2)
    return own < total * p + 3 * float(np.sqrt(total * p * (1 - p)))
