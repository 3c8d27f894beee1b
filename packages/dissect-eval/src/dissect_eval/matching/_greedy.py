"""COCO's greedy matching at one IoU threshold, over all images at once, independent of input order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._arrays import Ints
from ..boxes import giou_of
from ..coco import Ranking, index_of, kept, overlapping_pairs, rank
from ..data import Detections, GroundTruth
from ._pairs import Pairs, take_free

__all__ = ["GreedyMatches", "greedy_matches"]

TOLERANCE = 1e-10
"""An IoU this much under the threshold still matches, so that rounding cannot undo an exact hit."""


@dataclass(frozen=True, eq=False)
class GreedyMatches:
    """Results for every box of a split at one IoU threshold and score cut.

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
    truth: GroundTruth,
    aligned: Detections,
    iou_threshold: float,
    score_threshold: float,
    ranking: Ranking | None = None,
) -> GreedyMatches:
    """Match detections to truth of their category, best score first, as COCO does at one IoU threshold.

    Each detection takes the free true box of the highest IoU at or above the threshold. One that finds none
    is excused if a crowd or ignored region of its category covers that share of its own area; a region
    excuses any number. Tied scores go by category and coordinates of the detection, tied IoUs by those of
    the truth. `ranking`, if given, is that of `aligned` in the canonical order, and saves computing it.
    """
    floor = iou_threshold - TOLERANCE
    index = index_of(truth, "canonical")
    everything = rank(index, aligned, "canonical") if ranking is None else ranking
    ranking = kept(everything, everything.scores >= score_threshold)
    at_truth, place, iou = overlapping_pairs(index, ranking, floor)
    excused = np.zeros(len(ranking.rows), dtype=np.bool_)
    inside = index.crowd[at_truth]
    excused[ranking.by_group[place[inside]]] = True
    candidates = Pairs(at_truth[~inside], place[~inside], iou[~inside])
    # By detection, best score first; then by falling IoU, then by truth.
    order = np.lexsort([candidates.truth, -candidates.overlap, candidates.detection])
    at_truth, place, iou = take_free(candidates, order)
    at_detection = ranking.by_group[place]
    excused[at_detection] = False
    in_play, excused_in_file = (np.zeros(aligned.n_boxes, dtype=np.bool_) for _ in range(2))
    in_play[ranking.rows] = True
    excused_in_file[ranking.rows] = excused
    truth_index, detection_index = index.rows[at_truth], ranking.rows[at_detection]
    return GreedyMatches(
        truth_index=truth_index,
        detection_index=detection_index,
        iou=iou,
        giou=giou_of(truth.boxes[truth_index], aligned.boxes[detection_index]),
        truth_counted=~truth.is_region,
        detection_counted=in_play & ~excused_in_file,
        detection_excused=excused_in_file,
    )
