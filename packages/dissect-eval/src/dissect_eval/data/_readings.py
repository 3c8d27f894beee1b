"""Other ways to read boxes, for detections that fit no truth: x, y, width, height as corners, normalised ones …"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from .._arrays import image_of_rows
from ._other_sizes import other_sizes
from ._sample import Fit, Sample

__all__ = ["better_reading"]

Floats = NDArray[np.float64]

LEAST_GAIN = 0.25
"""Share of true boxes that another reading has to meet beyond those that are met as it is."""
LEAST_BOXES = 5
"""True boxes that it has to meet beyond at least."""


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
        "Detections look like normalised y, x, y, x (TensorFlow's): swap the columns, then "
        "`found.scaled(truth.image_sizes)`. ",
        lambda one: _of_image(one.found[:, [1, 0, 3, 2]], one),
    ),
    (
        "Detections look like normalised x, y, width, height: convert them by `xywh_to_xyxy`, then "
        "`found.scaled(truth.image_sizes)`. ",
        lambda one: _from_size(_of_image(one.found, one)),
    ),
    (
        "Detections look like x, x, y, y where x, y, x, y belong: swap the columns. ",
        lambda one: one.found[:, [0, 2, 1, 3]],
    ),
    (
        "Detections look mirrored, left to right: was a flip of the image not undone? Take x from the image's width. ",
        lambda one: _mirrored(one, 0),
    ),
    (
        "Detections look mirrored, upside down: does y count from below? Take y from the image's height. ",
        lambda one: _mirrored(one, 1),
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
    for words, factor, margin in other_sizes(sample):
        yield words + _MEET, (sample.found - np.tile(margin, 2)) * np.tile(factor, 2), None
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


def _mirrored(sample: Sample, axis: int) -> Floats:
    boxes: Floats = sample.found.copy()
    boxes[:, [axis, axis + 2]] = sample.image_sizes[:, [axis]] - boxes[:, [axis + 2, axis]]
    return boxes


def _from_size(boxes: Floats) -> Floats:
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)


def _from_centre(boxes: Floats) -> Floats:
    half = boxes[:, 2:] / 2
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)


def _upright(boxes: Floats) -> Floats:
    """Return boxes with inverted ones without area: they meet nothing."""
    return np.concatenate([boxes[:, :2], np.maximum(boxes[:, :2], boxes[:, 2:])], axis=1)
