"""Precision–recall curves as COCO samples them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._numbers import require_fraction
from .._plain import as_record
from .._text import quoted
from ..data import AreaRange, DetectionsLike, TruthLike, checked_pair
from ..errors import SettingError
from ._agnostic import as_one_class
from ._ap_numpy import RECALLS, match_split, precision_at, scores_at
from ._cut import tell_cut
from ._index import TieBreak
from ._settings import DEFAULT, MAX_DETECTIONS, AreaRanges, IouType, coco_settings

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
        NaN for the mean over several.
    category_id : int or None
        None for the mean over all categories that have truth.
    scores : ndarray of float64, shape (101,)
        Score of the detection with which this recall is reached, 0 where it is not: detections of at least this score
        have at least this recall. NaN for a mean of several curves.
    category : str or None
        Name of the category.
    iou_thresholds : tuple of float
    max_detections : int
        Most detections per image and category that count.
    area : tuple of (float, float)
        Lowest and highest area in square pixels.
    """

    recall: NDArray[np.float64]
    precision: NDArray[np.float64]
    ap: float
    iou_threshold: float
    category_id: int | None
    scores: NDArray[np.float64] = field(default_factory=lambda: np.full(len(RECALLS), np.nan))
    category: str | None = None
    iou_thresholds: tuple[float, ...] = ()
    max_detections: int = MAX_DETECTIONS
    area: tuple[float, float] = DEFAULT.area_ranges[0][1]

    def to_dict(self) -> dict[str, Any]:
        """Return all fields ready for JSON; NaN becomes None."""
        return as_record(self)


def precision_recall_curve(
    truth: TruthLike,
    detections: DetectionsLike,
    *,
    iou_threshold: float = 0.5,
    category_id: int | None = None,
    iou_thresholds: float | Iterable[float] | None = None,
    max_detections: int | Iterable[int] | None = None,
    area_ranges: AreaRanges | None = None,
    area: AreaRange | str | None = None,
    class_agnostic: bool = False,
    iou_type: IouType = "bbox",
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
    iou_thresholds : float or iterable of float, optional
        In place of `iou_threshold`: several, of whose curves the mean is returned.
    max_detections : int or iterable of int, optional
        Most detections per image and category that count, 100 by default; of several numbers the largest.
    area_ranges : mapping of str to (float, float), optional
        Ranges of area to choose from by `area`, as in `coco_ap`. If it is a single one, it is chosen.
    area : str or (float, float), optional
        The range of area: "small", "medium", "large", a name of `area_ranges`, or the lowest and highest area in square
        pixels, both included. By default all.
    class_agnostic : bool
        Whether to take all classes as one.
    iou_type : {"bbox", "segm"}
        Whether IoU is that of boxes or of masks.
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
        If a setting is out of range, the category is unknown, or two settings contradict each other.

    References
    ----------
    COCO API, ``COCOeval.eval["precision"]`` and ``["scores"]``: equal numbers.

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
    >>> one = precision_recall_curve(truth, found, category_id=1)
    >>> one.category, float(one.scores[50]), float(one.scores[51])
    ('cat', 0.9, 0.0)
    """
    require_fraction(iou_threshold, "iou_threshold", "0.5")
    thresholds = iou_threshold if iou_thresholds is None else iou_thresholds
    most = MAX_DETECTIONS if max_detections is None else max_detections
    settings = coco_settings(thresholds, most, _ranges(area_ranges, area), class_agnostic, iou_type)
    truth, given, aligned, _ = checked_pair(truth, detections, check=check, masks=iou_type == "segm")
    if check:
        tell_cut(truth, given, settings)
    categories = list(truth.category_names)
    if category_id is not None and category_id not in categories:
        raise SettingError(f"`category_id` must be one of {categories}, got {quoted(category_id)}.")
    if class_agnostic:
        if category_id is not None:
            raise SettingError(
                f"`category_id` must be left out where `class_agnostic` takes all classes as one, got {category_id}. "
                "Leave out one of them."
            )
        truth, aligned = as_one_class(truth, aligned)
    split = match_split(truth, aligned, tie_break, settings)
    at_area = len(settings.area_ranges) - 1
    known = np.flatnonzero(split.index.n_counted[at_area] > 0)
    chosen = [categories.index(category_id)] if category_id is not None else known.tolist()
    curve, scores = (np.full(len(RECALLS), np.nan) for _ in range(2))
    if chosen:
        of_each = np.moveaxis(precision_at(split, at_area)[:, :, chosen], 1, 0)
        curve = of_each.reshape(len(RECALLS), -1).mean(axis=1)
    if len(settings.iou_thresholds) == 1 and (class_agnostic or category_id is not None) and chosen:
        scores = scores_at(split, at_area)[0, :, chosen[0]]
    return PrecisionRecall(
        RECALLS.copy(),
        curve,
        float(curve.mean()),
        settings.iou_thresholds[0] if len(settings.iou_thresholds) == 1 else float("nan"),
        category_id,
        scores,
        None if category_id is None else truth.category_names[category_id],
        settings.iou_thresholds,
        settings.most,
        settings.area_ranges[at_area][1],
    )


def _ranges(area_ranges: AreaRanges | None, area: AreaRange | str | None) -> AreaRanges:
    """Return the chosen range of area alone, by name; nothing for all areas."""
    known = dict((coco_settings(area_ranges=area_ranges) if area_ranges is not None else DEFAULT).area_ranges)
    if area is None:
        names = list(area_ranges or ())
        if len(names) > 1:
            raise SettingError(
                f"`area` must name the range of `area_ranges` to take, one of {names}, got None."
            )
        area = names[0] if names else "all"
    if not isinstance(area, str):
        return {"chosen": area}
    if area not in known:
        raise SettingError(
            f"`area` must be one of {', '.join(map(repr, known))}, or (low, high) in square pixels, got {quoted(area)}."
        )
    return {area: known[area]}
