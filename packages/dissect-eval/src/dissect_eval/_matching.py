"""Optimal one-to-one matching of boxes by GIoU, image by image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment

from ._boxes import _giou
from ._detections import Detections
from ._layouts import Boxes, check_xyxy
from ._ragged import Ints
from ._truth import GroundTruth

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
    giou = _giou(truth_boxes[:, None], detection_boxes[None])
    rows, columns = linear_sum_assignment(1.0 - giou)
    return rows.astype(np.int64, copy=False), columns.astype(np.int64, copy=False), giou[rows, columns]


def match_pairs(truth: GroundTruth, detections: Detections) -> MatchedPairs:
    """Match every image of a split with `match_image`, crowd and ignored truth included.

    Parameters
    ----------
    truth : GroundTruth
        The split.
    detections : Detections
        Of images and categories that `truth` has; images not run have none.

    Returns
    -------
    MatchedPairs
        Images without truth or without detections have no pair.

    Raises
    ------
    DetectionError
        If a detection has an image or category that `truth` does not have.
    """
    aligned = detections.aligned_to(truth)
    t, d = truth.image_splits, aligned.image_splits
    images = np.flatnonzero((np.diff(t) > 0) & (np.diff(d) > 0))
    found = [_match(truth.boxes[t[i] : t[i + 1]], aligned.boxes[d[i] : d[i + 1]]) for i in images]
    if not found:
        none = np.zeros(0, dtype=np.int64)
        return MatchedPairs(none, none, none, np.zeros(0))
    return MatchedPairs(
        image_index=np.repeat(images.astype(np.int64), [len(giou) for _, _, giou in found]),
        truth_index=np.concatenate([t[i] + rows for i, (rows, _, _) in zip(images, found, strict=True)]),
        detection_index=np.concatenate([d[i] + cols for i, (_, cols, _) in zip(images, found, strict=True)]),
        giou=np.concatenate([giou for _, _, giou in found]),
    )
