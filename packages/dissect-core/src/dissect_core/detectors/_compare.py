"""Comparing detections: bit for bit, as sets within a tolerance, and by how alike two images' are."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ._protocol import ImageDetections

__all__ = ["copied", "deviation", "difference", "dissimilarity", "identical"]

_FAR_PX = 32.0
"""From here on, boxes count as nothing alike."""


def copied(found: Sequence[ImageDetections]) -> list[ImageDetections]:
    """Detections in memory of their own."""
    return [one._replace(**{name: np.array(part) for name, part in one.arrays.items()}) for one in found]


def identical(first: Sequence[ImageDetections], second: Sequence[ImageDetections]) -> bool:
    """Return whether two lists of detections are the same bit for bit, order and types included."""
    return difference(first, second) is None


def difference(first: Sequence[ImageDetections], second: Sequence[ImageDetections]) -> str | None:
    """Say where two lists of detections first differ; None if they are the same bit for bit.

    Examples
    --------
    >>> one = ImageDetections(np.zeros((1, 4)), np.array([0.5]), np.array([0]))
    >>> difference([one], [one]) is None
    True
    >>> difference([one], [one._replace(scores=np.array([0.75]))])
    'image 0: scores differ in 1 of 1 values, by up to 0.25'
    """
    if len(first) != len(second):
        return f"{len(first)} and {len(second)} images"
    for number, (a, b) in enumerate(zip(first, second, strict=True)):
        ours, theirs = a.arrays, b.arrays
        if only := sorted(ours.keys() ^ theirs.keys()):
            return f"image {number}: {', '.join(only)} are only in one of both"
        for field, x in ours.items():
            y = theirs[field]
            if x.shape != y.shape:
                return f"image {number}: {len(a.scores)} and {len(b.scores)} detections"
            if x.dtype != y.dtype:
                return f"image {number}: {field} of {x.dtype} and of {y.dtype}"
            if x.tobytes() != y.tobytes():
                unequal = x != y
                by = np.abs(x.astype(np.float64) - y.astype(np.float64))
                by = by[np.isfinite(by)].max(initial=0.0)
                return (
                    f"image {number}: {field} differ in {unequal.sum()} of {x.size} values, by up to {by:.3g}"
                )
    return None


def deviation(first: ImageDetections, second: ImageDetections) -> tuple[int, float, float]:
    """Return how far two sets of detections of one image are apart, whatever their order.

    Returns
    -------
    tuple of (int, float, float)
        Detections of either set without a partner of their label in the other; then, over the pairs, the largest
        distance of box edges in pixels and of scores. Each detection of the first set, the best score first,
        takes the nearest one of its label that is left.

    Examples
    --------
    >>> one = ImageDetections(np.array([[0, 0, 9, 9.0], [5, 5, 7, 7]]), np.array([0.9, 0.5]), np.array([0, 1]))
    >>> other = ImageDetections(np.array([[5, 5, 7, 8.0]]), np.array([0.25]), np.array([1]))
    >>> deviation(one, other)
    (1, 1.0, 0.25)
    """
    distance = _box_distance(first, second) + np.abs(first.scores[:, None] - second.scores[None])
    distance[first.labels[:, None] != second.labels[None]] = np.inf
    pairs = []
    for i in np.argsort(-first.scores, kind="stable"):
        j = int(distance[i].argmin()) if distance.shape[1] else -1
        if j >= 0 and np.isfinite(distance[i, j]):
            pairs.append((int(i), j))
            distance[:, j] = np.inf
    edges = [float(np.abs(first.boxes[i] - second.boxes[j]).max()) for i, j in pairs]
    scores = [float(abs(first.scores[i] - second.scores[j])) for i, j in pairs]
    alone = len(first.scores) + len(second.scores) - 2 * len(pairs)
    return alone, max(edges, default=0.0), max(scores, default=0.0)


def dissimilarity(first: ImageDetections, second: ImageDetections) -> float:
    """Return the distance of two sets of detections, 0 to 3: the mean, over both, of the way to the nearest other.

    Unlike `deviation` it is symmetric and forgiving: it tells detections of one image from those of another.

    Examples
    --------
    >>> one = ImageDetections(np.array([[0, 0, 9, 9.0]]), np.array([0.75]), np.array([0]))
    >>> dissimilarity(one, one), dissimilarity(one, one._replace(labels=np.array([1])))
    (0.0, 1.0)
    """
    n, m = len(first.scores), len(second.scores)
    if not n or not m:
        return 0.0 if n == m else 3.0
    parts = np.minimum(_box_distance(first, second) / _FAR_PX, 1.0)
    parts += first.labels[:, None] != second.labels[None]
    parts += np.minimum(np.abs(first.scores[:, None] - second.scores[None]), 1.0)
    return float((parts.min(axis=1).mean() + parts.min(axis=0).mean()) / 2)


def _box_distance(first: ImageDetections, second: ImageDetections) -> NDArray[np.float64]:
    """Largest distance of any edge, for every pair, shape (n, m)."""
    apart: NDArray[np.float64] = np.abs(first.boxes[:, None] - second.boxes[None]).max(axis=2, initial=0.0)
    return apart
