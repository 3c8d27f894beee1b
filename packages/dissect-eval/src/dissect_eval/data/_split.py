"""Whether detections fit the truth of their own image better than that of another one."""

from __future__ import annotations

import numpy as np

from ..boxes import iou_of
from ._detections import Detections
from ._health import MIN_TRUTH
from ._truth import GroundTruth

__all__ = ["other_image_reason"]

MAX_IMAGES = 500
"""Most images that are compared; from a larger split, evenly spaced ones are taken."""


def other_image_reason(truth: GroundTruth, aligned: Detections) -> str | None:
    """Return a sentence if detections of their own image meet true boxes no better than those of the next image."""
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
    # What meets most of its own image belongs to it, however alike the images are.
    if total < MIN_TRUTH or own >= total / 2 or not _no_better(own, other, total):
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
