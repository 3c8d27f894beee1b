"""Find pairs of truth and detection that overlap, whatever their categories, and choose one-to-one among them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._arrays import Ints
from ..boxes import capped_ratio, intersection_of

__all__ = ["BoxesByImage", "Pairs", "near_pairs", "take_free"]


class BoxesByImage(NamedTuple):
    """Boxes, shape (n, 4), their areas, shape (n,), and the offsets of the images that own them."""

    boxes: NDArray[np.float64]
    area: NDArray[np.float64]
    splits: Ints


class Pairs(NamedTuple):
    """Rows of truth and detections, and how far they overlap: arrays of shape (P,)."""

    truth: Ints
    detection: Ints
    overlap: NDArray[np.float64]

    def where(self, mask: NDArray[np.bool_] | Ints) -> Pairs:
        """Return some of the pairs, by mask or index."""
        return Pairs(self.truth[mask], self.detection[mask], self.overlap[mask])


def near_pairs(truth: BoxesByImage, region: NDArray[np.bool_], found: BoxesByImage, floor: float) -> Pairs:
    """Return all pairs of a true box and a detection of the same image whose overlap reaches `floor`.

    Overlap is IoU; where the truth is a `region`, it is the share of the detection's own area. To bound the memory,
    the pairs of one image are computed at a time; few of them are kept.
    """
    parts = [Pairs(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0))]
    for image in np.flatnonzero((np.diff(truth.splits) > 0) & (np.diff(found.splits) > 0)):
        rows, columns = (slice(splits[image], splits[image + 1]) for splits in (truth.splits, found.splits))
        shared = intersection_of(truth.boxes[rows, None], found.boxes[None, columns])
        whole = truth.area[rows, None] + found.area[None, columns] - shared
        if region[rows].any():
            whole = np.where(region[rows, None], found.area[None, columns], whole)
        overlap = capped_ratio(shared, whole)
        at_row, at_column = np.nonzero(overlap >= floor)
        parts.append(Pairs(at_row + rows.start, at_column + columns.start, overlap[at_row, at_column]))
    return Pairs(*(np.concatenate(values) for values in zip(*parts, strict=True)))


def take_free(pairs: Pairs, order: Ints) -> Pairs:
    """Walk the pairs in `order`, which keeps those of a detection together, and take one per detection.

    A detection takes the first of its pairs whose truth is still free.
    """
    taken: set[int] = set()
    kept: list[int] = []
    last = -1
    walk = zip(order.tolist(), pairs.detection[order].tolist(), pairs.truth[order].tolist(), strict=True)
    for at, detection, truth in walk:
        if detection != last and truth not in taken:
            taken.add(truth)
            kept.append(at)
            last = detection
    return pairs.where(np.array(kept, dtype=np.int64))
