"""The score threshold at which F1 is best: for each class, and for all with one threshold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._arrays import Ints
from .._numbers import require_fraction
from .._per_class import PerClass
from .._plain import as_record
from .._readable import MOST_CLASSES, Readable, class_records, number_text, undefined_lines
from .._text import cut
from ..data import DetectionsLike, TruthLike, checked_pair
from ._f1 import f1_of_counts
from ._greedy import greedy_matches

__all__ = ["BestF1", "F1Point", "best_f1"]


@dataclass(frozen=True)
class F1Point:
    """F1 at a score threshold; NaN where undefined.

    Attributes
    ----------
    score_threshold : float
        Detections of at least this score count; NaN if no detection is a hit: F1 is 0 at any threshold.
    f1, precision, recall : float
    """

    score_threshold: float
    f1: float
    precision: float
    recall: float


@dataclass(frozen=True)
class BestF1(Readable):
    """Best F1 and the score threshold that gives it.

    Attributes
    ----------
    iou_threshold : float
    overall : F1Point
        Micro F1 over all classes with one threshold.
    per_class : mapping of int to F1Point
        Every class of the ground truth by id or name, each with its own threshold.
    undefined : mapping of str to str
        Why a point is NaN.
    """

    iou_threshold: float
    overall: F1Point
    per_class: PerClass[F1Point]
    undefined: dict[str, str]

    def lines(self) -> list[str]:
        """Return the best F1 overall and of each class, with its threshold."""
        rows = [("all classes", self.overall), *self.per_class.by_name.items()]
        title = f"{f'best F1 at IoU {self.iou_threshold:g}':24}{'score':>10}{'F1':>8}{'precision':>11}{'recall':>8}"
        return [
            title,
            *(
                f"{cut(name, 24):24}{number_text(one.score_threshold):>10}{number_text(one.f1):>8}"
                f"{number_text(one.precision):>11}{number_text(one.recall):>8}"
                for name, one in rows[: MOST_CLASSES + 1]
            ),
            *undefined_lines(self.undefined),
        ]

    def records(self) -> list[dict[str, Any]]:
        """Return a row for each class."""
        columns = ("score_threshold", "f1", "precision", "recall")
        return class_records(self.per_class, **{name: name for name in columns})

    def to_dict(self) -> dict[str, Any]:
        """Return all fields ready for JSON; NaN becomes None."""
        return as_record(self)


def best_f1(
    truth: TruthLike, detections: DetectionsLike, *, iou_threshold: float = 0.5, check: bool = True
) -> BestF1:
    """Return the best F1 over all score thresholds, and the threshold: per class, and over all classes.

    Parameters
    ----------
    truth : GroundTruth
        The split.
    detections : Detections
        Of images and categories that `truth` has, with low scores too: a detector that leaves them out has no threshold
        below its own. Images not run have none.
    iou_threshold : float
        Smallest IoU of a hit, in (0, 1].
    check : bool
        Whether to look for mistakes that would score without an error, and warn; see `check_split`.

    Returns
    -------
    BestF1
        Of thresholds that give the same F1 the highest. F1 at each is that of ``detection_metrics(truth, detections,
        score_threshold=…)``. It is best on these images, and a little lower on others: choose it on a part of its own.

    Raises
    ------
    SettingError
        If the threshold is out of range.
    DetectionError
        If a detection has an image or category that `truth` does not have.

    Examples
    --------
    >>> from dissect_eval import Detections, GroundTruth
    >>> truth = GroundTruth.from_arrays([([[0, 0, 10, 10], [50, 0, 60, 10]], [1, 1])], [1], {1: "cat"})
    >>> boxes = [[0, 0, 10, 10], [50, 0, 60, 10], [80, 0, 90, 10]]
    >>> found = Detections.from_arrays([(boxes, [0.9, 0.6, 0.2], [0, 0, 0])], [1], [1])
    >>> best_f1(truth, found).per_class["cat"]
    F1Point(score_threshold=0.6, f1=1.0, precision=1.0, recall=1.0)
    """
    require_fraction(iou_threshold, "iou_threshold", "0.5")
    truth, _, aligned, _ = checked_pair(truth, detections, check=check)
    found = greedy_matches(truth, aligned, iou_threshold, -np.inf)
    categories = np.array(list(truth.category_names), dtype=np.int64)
    counted = found.detection_counted
    hit = np.zeros(aligned.n_boxes, dtype=np.bool_)
    hit[found.detection_index] = True
    scores, hit = aligned.scores[counted], hit[counted]
    of_class = np.searchsorted(categories, aligned.category_ids[counted])
    of_truth = np.searchsorted(categories, truth.category_ids[found.truth_counted])
    n_truth = np.bincount(of_truth, minlength=len(categories))
    points = _best_of_each(of_class, scores, hit, n_truth)
    (overall,) = _best_of_each(np.zeros_like(of_class), scores, hit, np.array([n_truth.sum()]))
    per_class = PerClass(zip(categories.tolist(), points, strict=True), truth.category_names)
    named = {
        **{
            f"per_class.{key}": (per_class[key], n)
            for key, n in zip(per_class, n_truth.tolist(), strict=True)
        }
    }
    named["overall"] = overall, int(n_truth.sum())
    undefined = {
        key: "no detection is a hit: no threshold is better than another" if n else "no truth to be found"
        for key, (point, n) in named.items()
        if np.isnan(point.score_threshold)
    }
    return BestF1(float(iou_threshold), overall, per_class, undefined)


def _best_of_each(
    of_class: Ints, scores: NDArray[np.float64], hit: NDArray[np.bool_], n_truth: Ints
) -> list[F1Point]:
    """Return the best point of each class from its detections."""
    order = np.lexsort([-scores, of_class])
    of_class, scores, hit = of_class[order], scores[order], hit[order]
    begin = np.searchsorted(of_class, np.arange(len(n_truth)))
    total = np.concatenate([[0], np.cumsum(hit)])
    n_hits = total[1:] - total[begin[of_class]]
    n_found = np.arange(1, len(scores) + 1) - begin[of_class]
    # Detections of one score count together: only behind the last of them lies a threshold.
    last = np.ones(len(scores), dtype=np.bool_)
    last[:-1] = (scores[1:] != scores[:-1]) | (of_class[1:] != of_class[:-1])
    of_class, scores, n_hits, n_found = of_class[last], scores[last], n_hits[last], n_found[last]
    f1 = f1_of_counts(n_hits, n_found - n_hits, n_truth[of_class] - n_hits)
    best = np.lexsort([-scores, -f1, of_class])
    first = np.searchsorted(of_class[best], np.arange(len(n_truth) + 1))
    points = []
    for k, n in enumerate(n_truth.tolist()):
        if not n:
            points.append(F1Point(np.nan, np.nan, np.nan, np.nan))
            continue
        if first[k] == first[k + 1] or not n_hits[best[first[k]]]:
            points.append(F1Point(np.nan, 0.0, np.nan, 0.0))
            continue
        at = best[first[k]]
        precision, recall = n_hits[at] / n_found[at], n_hits[at] / n
        points.append(F1Point(float(scores[at]), float(f1[at]), float(precision), float(recall)))
    return points
