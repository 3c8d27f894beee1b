"""COCO's greedy matching at one IoU threshold, over all images at once, independent of input order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ._boxes import _giou, _ioa, _iou
from ._detections import Detections
from ._order import canonical_order
from ._ragged import Ints
from ._truth import GroundTruth

__all__ = ["GreedyMatches", "greedy_matches"]

TOLERANCE = 1e-10
"""An IoU this much under the threshold still matches, so that rounding cannot undo an exact hit."""


@dataclass(frozen=True, eq=False)
class GreedyMatches:
    """What became of every box of a split at one IoU threshold and score cut.

    Attributes
    ----------
    truth_index, detection_index : ndarray of int64, shape (P,)
        Rows of the true positives: pairs of a counted true box and a detection of its category.
    iou, giou : ndarray of float64, shape (P,)
        Overlap of each pair.
    truth_counted : ndarray of bool, shape (N,)
        Truth that is to be found: neither crowd nor ignored.
    detection_counted : ndarray of bool, shape (M,)
        Detections that are true or false positives: at or above the score cut, and not excused.
    detection_excused : ndarray of bool, shape (M,)
        Detections above the cut that match no counted truth but lie in a crowd or ignored region.
    """

    truth_index: Ints
    detection_index: Ints
    iou: NDArray[np.float64]
    giou: NDArray[np.float64]
    truth_counted: NDArray[np.bool_]
    detection_counted: NDArray[np.bool_]
    detection_excused: NDArray[np.bool_]


def greedy_matches(
    truth: GroundTruth, aligned: Detections, iou_threshold: float, score_threshold: float
) -> GreedyMatches:
    """Match detections to truth of their category, best score first, as COCO does at one IoU threshold.

    Each detection takes the free true box of the highest IoU at or above the threshold. One that finds none
    is excused if a crowd or ignored region of its category covers that share of its own area; a region
    excuses any number. Tied scores go by category and coordinates of the detection, tied IoUs by those of
    the truth.
    """
    region = truth.is_region
    in_play = aligned.scores >= score_threshold
    t_order = canonical_order(truth.image_index, truth.category_ids, truth.boxes)
    d_order = canonical_order(aligned.image_index, aligned.category_ids, aligned.boxes, aligned.scores)
    boxes, kinds, regions = truth.boxes[t_order], truth.category_ids[t_order], region[t_order]
    d_boxes, d_kinds, d_in_play = aligned.boxes[d_order], aligned.category_ids[d_order], in_play[d_order]

    floor = iou_threshold - TOLERANCE
    excused = np.zeros(aligned.n_boxes, dtype=np.bool_)
    near_truth: list[Ints] = []
    near_detection: list[Ints] = []
    near_iou: list[NDArray[np.float64]] = []
    t, d = truth.image_splits, aligned.image_splits
    for image in np.flatnonzero((np.diff(t) > 0) & (np.diff(d) > 0)):
        rows = np.arange(t[image], t[image + 1])
        columns = np.arange(d[image], d[image + 1])[d_in_play[d[image] : d[image + 1]]]
        same = kinds[rows, None] == d_kinds[None, columns]
        overlap = _iou(boxes[rows, None], d_boxes[None, columns])
        at_row, at_column = np.nonzero(same & (overlap >= floor) & ~regions[rows, None])
        near_truth.append(rows[at_row])
        near_detection.append(columns[at_column])
        near_iou.append(overlap[at_row, at_column])
        if regions[rows].any():
            inside = _ioa(boxes[rows, None], d_boxes[None, columns])
            excused[columns] = (same & (inside >= floor) & regions[rows, None]).any(axis=0)

    at_truth, at_detection, iou = _take_best_first(near_truth, near_detection, near_iou)
    excused[at_detection] = False
    excused_in_file = np.zeros_like(excused)
    excused_in_file[d_order] = excused
    truth_index, detection_index = t_order[at_truth], d_order[at_detection]
    return GreedyMatches(
        truth_index=truth_index,
        detection_index=detection_index,
        iou=iou,
        giou=_giou(truth.boxes[truth_index], aligned.boxes[detection_index]),
        truth_counted=~region,
        detection_counted=in_play & ~excused_in_file,
        detection_excused=excused_in_file,
    )


def _take_best_first(
    near_truth: list[Ints], near_detection: list[Ints], near_iou: list[NDArray[np.float64]]
) -> tuple[Ints, Ints, NDArray[np.float64]]:
    """Walk the candidates by detection, then falling IoU, then truth, and take what is still free."""
    if not near_truth:
        none = np.zeros(0, dtype=np.int64)
        return none, none, np.zeros(0)
    truths, detections = np.concatenate(near_truth), np.concatenate(near_detection)
    ious = np.concatenate(near_iou)
    order = np.lexsort([truths, -ious, detections])
    taken: set[int] = set()
    kept: list[int] = []
    last = -1
    for at, detection, true in zip(
        order.tolist(), detections[order].tolist(), truths[order].tolist(), strict=True
    ):
        if detection != last and true not in taken:
            taken.add(true)
            kept.append(at)
            last = detection
    return truths[kept], detections[kept], ious[kept]
