"""A sample of images with both true boxes and detections, and how these fit each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._arrays import Ints, image_of_rows
from ..boxes import iou_of
from ._detections import Detections
from ._truth import GroundTruth

__all__ = ["Fit", "Sample", "sample_of"]

Floats = NDArray[np.float64]

MAX_IMAGES = 100
"""Most images that are looked at, evenly spaced."""
MAX_DETECTIONS = 100
"""Most detections of an image that are looked at, the best by score."""
LEAST_IOU = 0.5


class Fit(NamedTuple):
    """How detections fit the truth of a sample.

    Attributes
    ----------
    total : int
        True boxes that are to be found.
    met, met_by_class : int
        Of these, those that some detection meets, and those that one of their class meets.
    pairs : ndarray of int64, shape (met, 2)
        Category of each true box that is met, and that of the detection which meets it best.
    """

    total: int
    met: int
    met_by_class: int
    pairs: Ints


@dataclass(frozen=True)
class Sample:
    """True boxes and detections of some images, one after the other.

    Attributes
    ----------
    truth, found : ndarray of float64
        Boxes.
    sizes : ndarray of float64, shape (D, 2)
        Width and height of each detection as it was given.
    truth_category, found_category : ndarray of int64
    truth_splits, found_splits : ndarray of int64
        Offsets of the images.
    image_sizes : ndarray of float64, shape (D, 2)
        Width and height of each detection's image, NaN where they are not known.
    """

    truth: Floats
    found: Floats
    sizes: Floats
    truth_category: Ints
    found_category: Ints
    truth_splits: Ints
    found_splits: Ints
    image_sizes: Floats

    def fit(self, found: Floats | None = None, truth: Floats | None = None) -> Fit:
        """Return how the detections fit, or how they do with other coordinates."""
        found = self.found if found is None else found
        truth = self.truth if truth is None else truth
        by_class, pairs = 0, [np.zeros((0, 2), dtype=np.int64)]
        for t, d in self._images():
            iou = iou_of(truth[t, None], found[None, d])
            same = self.truth_category[t, None] == self.found_category[None, d]
            by_class += int(((iou >= LEAST_IOU) & same).any(axis=1).sum())
            best = iou.argmax(axis=1)
            met = iou[np.arange(len(best)), best] >= LEAST_IOU
            pairs.append(np.stack([self.truth_category[t][met], self.found_category[d][best[met]]], axis=1))
        every = np.concatenate(pairs)
        return Fit(len(self.truth), len(every), by_class, every)

    def _images(self) -> Iterator[tuple[slice, slice]]:
        for i in range(len(self.truth_splits) - 1):
            yield (
                slice(self.truth_splits[i], self.truth_splits[i + 1]),
                slice(self.found_splits[i], self.found_splits[i + 1]),
            )


def sample_of(truth: GroundTruth, aligned: Detections) -> Sample | None:
    """Return a sample of the images that have both true boxes and detections; None if there is none."""
    counted = ~truth.is_region
    n_counted = np.bincount(truth.image_index[counted], minlength=truth.n_images)
    images = np.flatnonzero((n_counted > 0) & (np.diff(aligned.image_splits) > 0))
    if not len(images):
        return None
    if len(images) > MAX_IMAGES:
        images = images[np.linspace(0, len(images) - 1, MAX_IMAGES).astype(np.int64)]
    t_rows, d_rows, t_counts, d_counts = [], [], [0], [0]
    for image in images.tolist():
        rows = np.arange(truth.image_splits[image], truth.image_splits[image + 1])
        t_rows.append(rows[counted[rows]])
        rows = np.arange(aligned.image_splits[image], aligned.image_splits[image + 1])
        d_rows.append(rows[np.argsort(-aligned.scores[rows], kind="stable")[:MAX_DETECTIONS]])
        t_counts.append(len(t_rows[-1]))
        d_counts.append(len(d_rows[-1]))
    t, d = np.concatenate(t_rows), np.concatenate(d_rows)
    splits = np.cumsum(d_counts)
    return Sample(
        truth.boxes[t],
        aligned.boxes[d],
        aligned.sizes[d],
        truth.category_ids[t],
        aligned.category_ids[d],
        np.cumsum(t_counts),
        splits,
        truth.image_sizes[images[image_of_rows(splits)]],
    )
