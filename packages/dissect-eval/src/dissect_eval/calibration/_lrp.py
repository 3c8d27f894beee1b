"""Localisation recall precision: one error of hits, false positives and misses, at the best score threshold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._per_class import PerClass
from .._plain import as_record
from .._readable import Readable, class_records, number_text, undefined_lines
from ..coco import MAX_DETECTIONS, coco_settings
from ..data import DetectionsLike, TruthLike, checked_pair
from ..errors import SettingError
from ._hits import scored_hits
from ._lrp_sums import LrpSums, lrp_of

__all__ = ["LrpPoint", "OptimalLrp", "olrp"]

NO_TRUTH = "no truth to be found"


@dataclass(frozen=True)
class LrpPoint:
    """The least LRP error of a class and where it is reached; NaN where undefined.

    Attributes
    ----------
    olrp : float
        In [0, 1]; 1 if no threshold gives less, as without any hit.
    score_threshold : float
        Detections of at least this score count; NaN if `olrp` is 1.
    localisation, false_positive, false_negative : float
        Parts at this threshold: mean 1 − IoU of the hits, 1 − precision and 1 − recall.
    """

    olrp: float
    score_threshold: float
    localisation: float
    false_positive: float
    false_negative: float


@dataclass(frozen=True)
class OptimalLrp(Readable):
    """Optimal LRP error in [0, 1], the lower the better; NaN where undefined.

    Attributes
    ----------
    olrp, localisation, false_positive, false_negative : float
        Means over the classes for which each is defined.
    per_class : mapping of int to LrpPoint
        Every class of the ground truth by id or name.
    iou_threshold : float
    max_detections : int
    undefined : mapping of str to str
        Why a value is NaN.
    """

    olrp: float
    localisation: float
    false_positive: float
    false_negative: float
    per_class: PerClass[LrpPoint]
    iou_threshold: float
    max_detections: int
    undefined: dict[str, str]

    def lines(self) -> list[str]:
        """Return the error and its parts."""
        parts = ("localisation", "false_positive", "false_negative")
        told = ", ".join(f"{name.replace('_', ' ')} {number_text(getattr(self, name))}" for name in parts)
        return [
            f"oLRP {number_text(self.olrp)} at IoU {self.iou_threshold:g} (0 is best): {told}",
            *undefined_lines(self.undefined),
        ]

    def records(self) -> list[dict[str, Any]]:
        """Return a row for each class."""
        columns = ("olrp", "score_threshold", "localisation", "false_positive", "false_negative")
        return class_records(self.per_class, **{name: name for name in columns})

    def to_dict(self) -> dict[str, Any]:
        """Return all fields ready for JSON; NaN becomes None."""
        return as_record(self)


def olrp(
    truth: TruthLike,
    detections: DetectionsLike,
    *,
    iou_threshold: float = 0.5,
    max_detections: int = MAX_DETECTIONS,
    check: bool = True,
) -> OptimalLrp:
    """Compute the optimal localisation recall precision error, and for each class the threshold that gives it.

    LRP = (Σ (1 − IoU) / (1 − τ) over the hits + false positives + misses) / (hits + false positives + misses), with the
    IoU threshold τ. Of each class the least one over all score thresholds is taken. Unlike AP it punishes boxes that
    lie badly, and detections that no threshold can part from hits.

    Parameters
    ----------
    truth : GroundTruth
        The split.
    detections : Detections
        Of images and categories that `truth` has, with low scores too; images not run have none.
    iou_threshold : float
        Smallest IoU of a hit, τ, in (0, 1).
    max_detections : int
        Most detections per image and category that count, the best by score, as in `coco_ap`.
    check : bool
        Whether to look for mistakes that would score without an error, and warn; see `check_split`.

    Returns
    -------
    OptimalLrp
        For its interval take ``bootstrap(..., metrics=["olrp"])``.

    Raises
    ------
    SettingError
        If a setting is out of range.
    DetectionError
        If a detection has an image or category that `truth` does not have.

    References
    ----------
    Oksuz et al., Localization Recall Precision, ECCV 2018, arXiv:1807.01696; One Metric to Measure Them All, PAMI 2021,
    arXiv:2011.10772.

    Examples
    --------
    >>> from dissect_eval import Detections, GroundTruth
    >>> truth = GroundTruth.from_arrays([([[0, 0, 10, 10], [50, 0, 60, 10]], [1, 1])], [1], {1: "cat"})
    >>> found = Detections.from_arrays([([[0, 0, 10, 8], [80, 0, 90, 10]], [0.9, 0.2], [0, 0])], [1], [1])
    >>> result = olrp(truth, found)  # ((1 - .8) / .5 + 1 miss) / 2
    >>> round(result.olrp, 6), result.per_class["cat"].score_threshold
    (0.7, 0.9)
    """
    if not 0 < iou_threshold < 1:
        raise SettingError(f"`iou_threshold` must be in (0, 1), got {iou_threshold}. The usual one is 0.5.")
    most = coco_settings(max_detections=max_detections).most
    truth, _, aligned, _ = checked_pair(truth, detections, check=check)
    sums = LrpSums(scored_hits(truth, aligned, iou_threshold, max_detections=most), iou_threshold)
    ones = np.ones((truth.n_images, 1))
    n_truth = sums.truth(ones)[:, 0]
    points = PerClass(
        ((key, _point(sums, k, n_truth[k], iou_threshold)) for k, key in enumerate(truth.category_names)),
        truth.category_names,
    )
    parts = {
        name: [value for one in points.values() if not np.isnan(value := getattr(one, name))]
        for name in ("olrp", "localisation", "false_positive", "false_negative")
    }
    means = {name: float(np.mean(values)) if values else float("nan") for name, values in parts.items()}
    undefined = {f"per_class.{key}": NO_TRUTH for key, one in points.items() if np.isnan(one.olrp)}
    undefined |= {
        name: NO_TRUTH if np.isnan(means["olrp"]) else "no class has a hit"
        for name, value in means.items()
        if np.isnan(value)
    }
    return OptimalLrp(
        **means,
        per_class=points,
        iou_threshold=float(iou_threshold),
        max_detections=most,
        undefined=undefined,
    )


def _point(sums: LrpSums, k: int, n_truth: float, iou_threshold: float) -> LrpPoint:
    nan = float("nan")
    if not n_truth:
        return LrpPoint(nan, nan, nan, nan, nan)
    ones = np.ones((sums.n_images, 1))
    number, hit, loss = (part[:, 0] for part in sums.counts(k, ones))
    errors = lrp_of(number, hit, loss, np.full(len(hit), n_truth))
    if not len(errors) or errors.min() >= 1:
        return LrpPoint(1.0, nan, nan, nan, 1.0)
    best = int(np.argmin(errors))
    return LrpPoint(
        olrp=float(errors[best]),
        score_threshold=float(sums.scores[int(sums.splits[k]) + best]),
        localisation=float(loss[best] * (1 - iou_threshold) / hit[best]),
        false_positive=float(1 - hit[best] / number[best]),
        false_negative=float(1 - hit[best] / n_truth),
    )
