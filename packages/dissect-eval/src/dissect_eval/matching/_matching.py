"""Optimal one-to-one matching of boxes by GIoU, image by image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._arrays import Ints
from ..boxes import Boxes, check_xyxy, giou_of
from ..data import Detections, DetectionsLike, GroundTruth, TruthLike, checked_pair

__all__ = ["MatchedPairs", "match_image", "match_pairs"]


@dataclass(frozen=True, eq=False)
class MatchedPairs:
    """P pairs of a true box and a detection, over all images.

    Attributes
    ----------
    image_index : ndarray of int64, shape (P,)
        Index into ``truth.image_ids``, ascending.
    truth_index, detection_index : ndarray of int64, shape (P,)
        Rows of the ground truth, and of the detections aligned to it.
    giou : ndarray of float64, shape (P,)
        Dimensionless, in [-1, 1].
    """

    image_index: Ints
    truth_index: Ints
    detection_index: Ints
    giou: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.giou)


def match_image(truth_boxes: ArrayLike, detection_boxes: ArrayLike) -> tuple[Ints, Ints, Boxes]:
    """Match the boxes of one image one-to-one so that the total GIoU is as large as can be.

    Scores and classes play no part, and a pair may have any GIoU: this is the matching behind the numbers of
    Deep Dissect 1.0, not that of COCO AP.

    Parameters
    ----------
    truth_boxes : array-like, shape (N, 4)
        Rows of ``x_min, y_min, x_max, y_max`` in pixels.
    detection_boxes : array-like, shape (M, 4)
        Same layout and frame.

    Returns
    -------
    rows, columns : ndarray of int64, shape (min(N, M),)
        Indices of the pairs into `truth_boxes` (ascending) and `detection_boxes`.
    giou : ndarray of float64, shape (min(N, M),)
        GIoU of each pair, in [-1, 1].

    Raises
    ------
    BoxError
        If an input is not (n, 4), is not finite, or has a negative extent.

    References
    ----------
    Crouse, IEEE Trans. Aerosp. Electron. Syst. 52(4), 2016: the solver in ``scipy.optimize``, here on the
    cost ``1 - GIoU``.

    Examples
    --------
    >>> detections = [[4, 4, 6, 6], [9, 9, 10, 10], [0, 0, 2, 1]]
    >>> match_image([[0, 0, 2, 2], [4, 4, 6, 6]], detections)
    (array([0, 1]), array([2, 0]), array([0.5, 1. ]))
    """
    return _match(check_xyxy(truth_boxes, "truth_boxes"), check_xyxy(detection_boxes, "detection_boxes"))


def _match(truth_boxes: Boxes, detection_boxes: Boxes) -> tuple[Ints, Ints, Boxes]:
    return _assign(giou_of(truth_boxes[:, None], detection_boxes[None]), _solver())


def match_pairs(
    truth: TruthLike,
    detections: DetectionsLike,
    *,
    check: bool = True,
) -> MatchedPairs:
    """Match every image of a split with `match_image`, crowd and ignored truth included.

    Parameters
    ----------
    truth : GroundTruth
        The split.
    detections : Detections
        Of images and categories that `truth` has; images not run have none.
    check : bool
        Whether to look for mistakes that would score without an error, such as x, y, width, height as corners, or
        shifted labels, and warn; see `check_split`.

    Returns
    -------
    MatchedPairs
        Images without truth or without detections have no pair.

    Warns
    -----
    SplitWarning
        If `check` finds such a sign; once for the same truth and detections.

    Raises
    ------
    DetectionError
        If a detection has an image or category that `truth` does not have.

    Examples
    --------
    >>> from dissect_eval import Detections, GroundTruth
    >>> truth = GroundTruth.from_coco(
    ...     {
    ...         "images": [{"id": 1}, {"id": 2}],
    ...         "categories": [{"id": 1, "name": "cat"}],
    ...         "annotations": [{"id": 0, "image_id": 2, "category_id": 1, "bbox": [0, 0, 2, 2]}],
    ...     }
    ... )
    >>> second = ([[5, 5, 9, 9], [0, 0, 2, 1]], [0.9, 0.1], [0, 0])
    >>> found = Detections.from_arrays([([], [], []), second], [1, 2], [1])
    >>> pairs = match_pairs(truth, found)
    >>> pairs.image_index, pairs.detection_index, pairs.giou
    (array([1]), array([1]), array([0.5]))
    """
    truth, _, aligned, _ = checked_pair(truth, detections, check=check)
    return pairs_of_aligned(truth, aligned)


def pairs_of_aligned(truth: GroundTruth, aligned: Detections) -> MatchedPairs:
    """Return what `match_pairs` does, for detections that are aligned already."""
    t, d = truth.image_splits.tolist(), aligned.image_splits.tolist()
    images = np.flatnonzero((np.diff(t) > 0) & (np.diff(d) > 0))
    true, found = _Coordinates(truth.boxes), _Coordinates(aligned.boxes)
    solve = _solver()
    pairs = [
        _assign(_giou_of_image(true, t[i], t[i + 1], found, d[i], d[i + 1]), solve) for i in images.tolist()
    ]
    if not pairs:
        none = np.zeros(0, dtype=np.int64)
        return MatchedPairs(none, none, none, np.zeros(0))
    counts = [len(giou) for _, _, giou in pairs]
    rows, columns, gious = (np.concatenate(values) for values in zip(*pairs, strict=True))
    return MatchedPairs(
        image_index=np.repeat(images.astype(np.int64), counts),
        truth_index=rows + np.repeat(truth.image_splits[images], counts),
        detection_index=columns + np.repeat(aligned.image_splits[images], counts),
        giou=gious,
    )


Solver: TypeAlias = Callable[[Boxes], tuple[Ints, Ints]]


class _Coordinates:
    """Contiguous arrays of the corners of boxes, and of their areas: made once, sliced for every image."""

    def __init__(self, boxes: Boxes) -> None:
        self.boxes = boxes
        self.low, self.high = np.ascontiguousarray(boxes.T).reshape(2, 2, -1)
        width, height = self.high - self.low
        self.area = width * height
        # Number of boxes without area before each box: an image without any such box takes the fast path.
        self.flat_before = np.concatenate([[0], np.cumsum(self.area <= 0)]).tolist()

    def flat(self, begin: int, end: int) -> bool:
        return bool(self.flat_before[end] > self.flat_before[begin])


def _giou_of_image(true: _Coordinates, t0: int, t1: int, found: _Coordinates, d0: int, d1: int) -> Boxes:
    """Return the GIoU of all pairs of an image: the same operations as `giou_of`, both axes in one array.

    Most images have few boxes: the number of NumPy calls decides the time.
    """
    if true.flat(t0, t1) or found.flat(d0, d1):
        return giou_of(true.boxes[t0:t1, None], found.boxes[None, d0:d1])
    a_low, a_high = true.low[:, t0:t1, None], true.high[:, t0:t1, None]
    b_low, b_high = found.low[:, None, d0:d1], found.high[:, None, d0:d1]
    extent = np.minimum(a_high, b_high)
    extent -= np.maximum(a_low, b_low)
    np.maximum(extent, 0.0, out=extent)
    shared = extent[0] * extent[1]
    union = true.area[t0:t1, None] + found.area[d0:d1]
    union -= shared
    extent = np.maximum(a_high, b_high, out=extent)
    extent -= np.minimum(a_low, b_low)
    hull = np.multiply(extent[0], extent[1], out=extent[0])
    shared /= union
    np.minimum(shared, 1.0, out=shared)
    empty = np.subtract(hull, union, out=union)
    np.maximum(empty, 0.0, out=empty)
    empty /= hull
    shared -= empty
    giou: Boxes = shared
    return giou


def _assign(giou: Boxes, solve: Solver) -> tuple[Ints, Ints, Boxes]:
    """Return the rows and columns of the pairs with the greatest sum of GIoU, and their GIoU."""
    rows, columns = solve(1.0 - giou)
    return rows, columns, giou[rows, columns]


def _solver() -> Solver:
    from scipy.optimize import linear_sum_assignment  # takes half a second: imported on use

    solver: Solver = linear_sum_assignment
    return solver
