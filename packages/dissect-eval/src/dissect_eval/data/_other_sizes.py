"""Sizes of images in which detections may have been made: found from pairs of boxes that differ by a scale alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ._sample import Sample

__all__ = ["other_sizes"]

Floats = NDArray[np.float64]

BEST = 20
"""Detections of an image whose scale is looked at, the best by score."""
LEAST_VOTES = 5
OFF = 0.1
"""Most that a scaled box may lie beside a true one, as a share of its width or height."""
WINDOW = 0.04
"""Spread of the logarithms of scales that count as one."""
NORMALISED = 1.5
"""Largest coordinate of normalised boxes, which are another mistake."""
SAME = 0.03
"""Scales that differ less from 1 are none."""
LETTERBOXES = (320, 416, 512, 608, 640, 768, 800, 1024, 1280)
"""Usual sizes of square images with a picture in the middle."""


def other_sizes(sample: Sample) -> Iterator[tuple[str, Floats, Floats]]:
    """Yield sentences, with the factors of x and y for each detection, and what is taken off before, both (D, 2)."""
    if min(sample.truth.max(), sample.found.max()) <= NORMALISED:
        return
    sizes, none = sample.image_sizes, np.zeros((len(sample.found), 2))
    votes, image_sizes = _votes(sample)
    if len(votes) >= LEAST_VOTES:
        factor = _commonest(votes)
        uniform = float(np.sqrt(factor.prod()))
        if abs(np.log(factor[0] / factor[1])) < WINDOW:
            if abs(np.log(uniform)) > SAME:
                yield (
                    f"Detections look like boxes of images of another size, {1 / uniform:.3g} times as large: take "
                    f"them back by `found.scaled({uniform:.4g})`. ",
                    np.full_like(none, uniform),
                    none,
                )
        else:
            yield (
                f"Detections look like boxes of images of another size, {1 / factor[0]:.3g} times as wide and "
                f"{1 / factor[1]:.3g} times as high: take them back by `found.scaled(({factor[0]:.4g}, "
                f"{factor[1]:.4g}))`. ",
                np.broadcast_to(factor, none.shape),
                none,
            )
    if not np.isfinite(sizes).all():
        return
    if len(votes) >= LEAST_VOTES:
        width, height = (_snapped(one) for one in _commonest(image_sizes / votes))
        yield (
            f"Detections look like boxes of images resized to {width} x {height}: take them back by "
            f"`found.scaled(truth.image_sizes / ({width}, {height}))`. ",
            sizes / (width, height),
            none,
        )
        even = np.sqrt(votes.prod(axis=1))
        for name, side, sides in (
            ("longest", sizes.max(axis=1), image_sizes.max(axis=1)),
            ("shortest", sizes.min(axis=1), image_sizes.min(axis=1)),
        ):
            length = _snapped(_commonest((sides / even)[:, None])[0])
            call = "max" if name == "longest" else "min"
            yield (
                f"Detections look like boxes of images resized to a {name} side of {length}: take them back by "
                f"`found.scaled(truth.image_sizes.{call}(axis=1) / {length})`. ",
                np.repeat(side[:, None] / length, 2, axis=1),
                none,
            )
    for length in LETTERBOXES:
        factors = sizes.max(axis=1, keepdims=True) / length
        yield (
            f"Detections look like boxes of the picture in the middle of a square of {length}: take off the margin of "
            f"each image, then `found.scaled(truth.image_sizes.max(axis=1) / {length})`. ",
            np.repeat(factors, 2, axis=1),
            (length - sizes / factors) / 2,
        )


def _votes(sample: Sample) -> tuple[Floats, Floats]:
    """Return the scales of x and y of pairs that differ by them alone, and the sizes of their images, both (V, 2)."""
    n_found = np.minimum(np.diff(sample.found_splits), BEST)
    n_truth = np.diff(sample.truth_splits)
    counts = n_found * n_truth
    image = np.repeat(np.arange(len(counts)), counts)
    within = np.arange(len(image)) - np.repeat(np.cumsum(counts) - counts, counts)
    d = sample.found_splits[image] + within // n_truth[image]
    t = sample.truth_splits[image] + within % n_truth[image]
    found, true = sample.found[d].reshape(-1, 2, 2), sample.truth[t].reshape(-1, 2, 2)  # (pair, corner, axis)
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = (found * true).sum(axis=1) / (found**2).sum(axis=1)
        off = np.abs(scale[:, None] * found - true).max(axis=1) / (true[:, 1] - true[:, 0])
    good = ((off < OFF) & np.isfinite(scale) & (scale > 0)).all(axis=1)
    return scale[good], sample.image_sizes[d[good]]


def _commonest(values: Floats) -> Floats:
    """Return the middle of the densest window of each column, on a scale of logarithms."""
    found = []
    for column in np.log(values).T:
        ordered = np.sort(column)
        ends = np.searchsorted(ordered, ordered + WINDOW, side="right")
        first = int(np.argmax(ends - np.arange(len(ordered))))
        found.append(float(np.median(ordered[first : ends[first]])))
    return np.exp(found)


def _snapped(length: float) -> int:
    """Return a length in whole pixels, a multiple of 8 if one is next to it."""
    eights = max(8, 8 * round(length / 8))
    return eights if abs(eights / length - 1) < 0.01 else max(1, round(length))
