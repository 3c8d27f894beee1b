"""Optimal one-to-one matching of boxes by GIoU, image by image."""

from __future__ import annotations

from dataclasses import dataclass

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
    return _assign(giou_of(truth_boxes[:, None], detection_boxes[None]))


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
    pairs = [_assign(_giou_of_image(true, t[i], t[i + 1], found, d[i], d[i + 1])) for i in images.tolist()]
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


class _Coordinates:
    """Contiguous arrays of each coordinate of boxes, and of their areas: made once, sliced for every image."""

    def __init__(self, boxes: Boxes) -> None:
        self.boxes = boxes
        self.x_min, self.y_min, self.x_max, self.y_max = np.ascontiguousarray(boxes.T)
        self.area = (self.x_max - self.x_min) * (self.y_max - self.y_min)
        # Number of boxes without area before each box: an image without any such box takes the fast path.
        self.flat_before = np.concatenate([[0], np.cumsum(self.area <= 0)]).tolist()

    def flat(self, begin: int, end: int) -> bool:
        return bool(self.flat_before[end] > self.flat_before[begin])


def _giou_of_image(true: _Coordinates, t0: int, t1: int, found: _Coordinates, d0: int, d1: int) -> Boxes:
    """Return the GIoU of all pairs of an image: the same operations as `giou_of`, with half as many temporary arrays.

    Most images have few boxes: the number of NumPy calls decides the time.
    """
    if true.flat(t0, t1) or found.flat(d0, d1):
        return giou_of(true.boxes[t0:t1, None], found.boxes[None, d0:d1])
    ax0, ax1, bx0, bx1 = (
        true.x_min[t0:t1, None],
        true.x_max[t0:t1, None],
        found.x_min[d0:d1],
        found.x_max[d0:d1],
    )
    ay0, ay1, by0, by1 = (
        true.y_min[t0:t1, None],
        true.y_max[t0:t1, None],
        found.y_min[d0:d1],
        found.y_max[d0:d1],
    )
    shared = np.minimum(ax1, bx1)
    shared -= np.maximum(ax0, bx0)
    np.maximum(shared, 0.0, out=shared)
    height = np.minimum(ay1, by1)
    height -= np.maximum(ay0, by0)
    np.maximum(height, 0.0, out=height)
    shared *= height
    union = true.area[t0:t1, None] + found.area[d0:d1]
    union -= shared
    hull = np.maximum(ax1, bx1)
    hull -= np.minimum(ax0, bx0)
    hull_height = np.maximum(ay1, by1, out=height)
    hull_height -= np.minimum(ay0, by0)
    hull *= hull_height
    shared /= union
    np.minimum(shared, 1.0, out=shared)
    empty = np.subtract(hull, union, out=union)
    np.maximum(empty, 0.0, out=empty)
    empty /= hull
    shared -= empty
    giou: Boxes = shared
    return giou


def _assign(giou: Boxes) -> tuple[Ints, Ints, Boxes]:
    """Return the rows and columns of the pairs with the greatest sum of GIoU, and their GIoU."""
    from scipy.optimize import linear_sum_assignment  # takes half a second: imported on use

    rows, columns = linear_sum_assignment(1.0 - giou)
    return rows, columns, giou[rows, columns]
