"""Precision–recall curves as COCO samples them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._plain import as_record
from ..data import DetectionsLike, TruthLike, checked_pair
from ..errors import SettingError
from ._ap import TieBreak
from ._ap_numpy import RECALLS, match_split, precision_at

__all__ = ["PrecisionRecall", "precision_recall_curve"]


@dataclass(frozen=True, eq=False)
class PrecisionRecall:
    """Precision at 101 recalls.

    Attributes
    ----------
    recall : ndarray of float64, shape (101,)
        0, .01, …, 1.
    precision : ndarray of float64, shape (101,)
        Best precision at this recall or above, 0 where it is not reached; NaN without truth.
    ap : float
        Average precision, the mean of `precision`.
    iou_threshold : float
    category_id : int or None
        None for the mean over all categories that have truth.
    """

    recall: NDArray[np.float64]
    precision: NDArray[np.float64]
    ap: float
    iou_threshold: float
    category_id: int | None

    def to_dict(self) -> dict[str, Any]:
        """Return all fields ready for JSON; NaN becomes None."""
        return as_record(self)


def precision_recall_curve(
    truth: TruthLike,
    detections: DetectionsLike,
    *,
    iou_threshold: float = 0.5,
    category_id: int | None = None,
    tie_break: TieBreak = "canonical",
    check: bool = True,
) -> PrecisionRecall:
    """Return the interpolated precision–recall curve of a category, or its mean over the categories.

    Parameters
    ----------
    truth : GroundTruth
        The split.
    detections : Detections
        Of images and categories that `truth` has; the best 100 per image and category count.
    iou_threshold : float
        Smallest IoU of a hit, in (0, 1].
    category_id : int, optional
        One category; left out, the mean over those that have truth.
    tie_break : {"canonical", "input"}
        As in `coco_ap`.
    check : bool
        Whether to look for mistakes that would score without an error, such as x, y, width, height as corners, or
        shifted labels, and warn; see `check_split`.

    Returns
    -------
    PrecisionRecall
        Draw it with `dissect_eval.plots.precision_recall`.

    Warns
    -----
    SplitWarning
        If `check` finds such a sign; once for the same truth and detections.

    Raises
    ------
    SettingError
        If the threshold is out of range or the category unknown.

    References
    ----------
    COCO API, ``COCOeval.eval["precision"]`` for all areas and 100 detections: equal numbers.

    Examples
    --------
    >>> from dissect_eval import Detections, GroundTruth
    >>> truth = GroundTruth.from_coco(
    ...     {
    ...         "images": [{"id": 1}],
    ...         "categories": [{"id": 1, "name": "cat"}],
    ...         "annotations": [
    ...             {"id": 0, "image_id": 1, "category_id": 1, "bbox": [0, 0, 10, 10]},
    ...             {"id": 1, "image_id": 1, "category_id": 1, "bbox": [50, 0, 10, 10]},
    ...         ],
    ...     }
    ... )
    >>> found = Detections.from_arrays([([[0, 0, 10, 10], [80, 0, 90, 9]], [0.9, 0.8], [0, 0])], [1], [1])
    >>> curve = precision_recall_curve(truth, found)
    >>> float(curve.precision[50].round(6)), float(curve.precision[51]), round(curve.ap, 4)
    (1.0, 0.0, 0.505)
    """
    if not 0 < iou_threshold <= 1:
        raise SettingError(f"`iou_threshold` must be in (0, 1], got {iou_threshold}. The usual one is 0.5.")
    truth, _, aligned, _ = checked_pair(truth, detections, check=check)
    categories = list(truth.category_names)
    if category_id is not None and category_id not in truth.category_names:
        raise SettingError(f"`category_id` must be one of {categories}, got {category_id}.")
    split = match_split(truth, aligned, tie_break, np.array([iou_threshold]))
    precision = precision_at(split)[0]
    if category_id is None:
        defined = ~np.isnan(precision[0])
        curve = precision[:, defined].mean(axis=1) if defined.any() else np.full(len(RECALLS), np.nan)
    else:
        curve = precision[:, categories.index(category_id)]
    return PrecisionRecall(RECALLS.copy(), curve, float(curve.mean()), float(iou_threshold), category_id)
