"""Other ways to read boxes, for detections that fit no truth: x, y, width, height as corners, normalised ones …"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._arrays import Ints, image_of_rows
from ..boxes import iou_of
from ._detections import Detections
from ._truth import GroundTruth

__all__ = ["Fit", "Sample", "better_reading", "sample_of"]

Floats = NDArray[np.float64]

MAX_IMAGES = 100
"""Most images that are looked at, evenly spaced."""
MAX_DETECTIONS = 100
"""Most detections of an image that are looked at, the best by score."""
LEAST_IOU = 0.5
LEAST_GAIN = 0.25
"""Share of true boxes that another reading has to meet beyond those that are met as it is."""
LEAST_BOXES = 5
"""True boxes that it has to meet beyond at least."""
SCALES_AGREE = 0.05
"""Largest spread of the logarithms of images' scales that counts as one scale."""


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


def better_reading(sample: Sample, own: Fit) -> str:
    """Return a sentence on the way to read the boxes in which they fit far better; empty if there is none."""
    if own.met > 0.5 * own.total:
        return ""
    best: tuple[bool, int, str] = (False, 0, "")  # detections are misread more often than truth
    for name, found, truth in _readings(sample):
        fit = sample.fit(found, truth)
        gain = fit.met - own.met
        if gain >= max(LEAST_BOXES, LEAST_GAIN * own.total) and fit.met >= 1.5 * own.met:
            best = max(best, (truth is None, fit.met, name), key=lambda one: one[:2])
    _, met, name = best
    return name.format(met=f"{met:,}", own=f"{own.met:,}", total=f"{own.total:,}") if name else ""


_MEET = "{own} of {total} true boxes are met as it is, {met} then."


def _of_image(boxes: Floats, sample: Sample) -> Floats:
    """Return normalised boxes in pixels."""
    return boxes * np.tile(sample.image_sizes, 2)


_BOXES: tuple[tuple[str, Callable[[Sample], Floats]], ...] = (
    (
        "Detections look like x, y, width, height where corners belong: convert them by `xywh_to_xyxy`. ",
        lambda one: _from_size(one.found),
    ),
    (
        "Detections look like centre x, centre y, width, height: convert them by `cxcywh_to_xyxy`. ",
        lambda one: _from_centre(one.found),
    ),
    (
        "Detections look like corners where x, y, width, height belong: convert them by `xyxy_to_xywh`. ",
        lambda one: np.concatenate([one.found[:, :2], one.sizes], axis=1),
    ),
    (
        "Detections look like y, x, y, x where x, y, x, y belong: swap the columns. ",
        lambda one: one.found[:, [1, 0, 3, 2]],
    ),
    (
        "Detections look normalised to the image: `found.scaled(truth.image_sizes)`. ",
        lambda one: _of_image(one.found, one),
    ),
    (
        "Detections look like normalised centre x, centre y, width, height (YOLO's): multiply them by the image's "
        "width and height, then `cxcywh_to_xyxy`. ",
        lambda one: _from_centre(_of_image(one.found, one)),
    ),
    (
        "Detections look like thousandths of the image: `found.scaled(truth.image_sizes / 1000)`. ",
        lambda one: _of_image(one.found, one) / 1000,
    ),
)


def _readings(sample: Sample) -> Iterator[tuple[str, Floats | None, Floats | None]]:
    """Yield sentences, with detections and truth as they would be."""
    for words, read in _BOXES:
        found = _upright(read(sample))
        if np.isfinite(found).all():
            yield words + _MEET, found, None
    factor = _scale(sample)
    if factor is not None and abs(np.log(factor)) > 0.05:
        words = (
            f"Detections look like boxes of images of another size, {1 / factor:.3g} times as large: take them back by "
            f"`found.scaled({factor:.4g})`, or by each image's own factor. "
        )
        yield words + _MEET, sample.found * factor, None
    yield (
        "The truth looks like x, y, width, height where corners belong: convert it by `xywh_to_xyxy`. "
        + _MEET,
        None,
        _from_size(sample.truth),
    )
    firsts = sample.found_splits[:-1][image_of_rows(sample.truth_splits)]
    per_truth = sample.image_sizes[firsts]
    if np.isfinite(per_truth).all():
        yield (
            "The truth looks normalised to the image: multiply it by its width and height. " + _MEET,
            None,
            sample.truth * np.tile(per_truth, 2),
        )


def _scale(sample: Sample) -> float | None:
    """Return the factor by which the best detections would lie on true boxes, if the images agree on one."""
    votes = []
    for t, d in sample._images():
        first, true = sample.found[d.start], sample.truth[t]
        size, sizes = first[2:] - first[:2], true[:, 2:] - true[:, :2]
        if not (size > 0).all() or not (sizes > 0).all():
            continue
        ratio = sizes / size
        factor = np.sqrt(ratio.prod(axis=1))
        centre = factor[:, None] * (first[:2] + first[2:]) / 2
        off = np.abs(centre - (true[:, :2] + true[:, 2:]) / 2) / sizes
        fits = (off < 0.2).all(axis=1) & (np.abs(np.log(ratio / factor[:, None])) < 0.2).all(axis=1)
        votes += np.log(factor[fits]).tolist()
    if len(votes) < LEAST_BOXES:
        return None
    middle = float(np.median(votes))
    agree = np.abs(np.array(votes) - middle) <= SCALES_AGREE
    return float(np.exp(middle)) if agree.mean() >= 0.5 else None


def _from_size(boxes: Floats) -> Floats:
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)


def _from_centre(boxes: Floats) -> Floats:
    half = boxes[:, 2:] / 2
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)


def _upright(boxes: Floats) -> Floats:
    """Return boxes with inverted ones without area: they meet nothing."""
    return np.concatenate([boxes[:, :2], np.maximum(boxes[:, :2], boxes[:, 2:])], axis=1)
