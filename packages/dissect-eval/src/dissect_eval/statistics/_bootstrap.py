"""The bootstrap over images: intervals of metrics, and of their difference between two sets of detections."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._per_class import unique_names
from .._plain import as_record
from ..coco import AreaRanges, IouType, TieBreak, coco_settings, tell_cut
from ..data import DetectionsLike, GroundTruth, TruthLike, as_detections, checked_pair, require_threshold
from ._compared import compared
from ._intervals import IntervalMethod, interval_note
from ._metrics import DEFAULT_METRICS, MetricSettings, chosen_metrics
from ._resampled import Resampling, ordered, resampled

__all__ = ["BootstrapResult", "bootstrap"]

MANY_RARE = 0.25
"""Share of classes with objects in one image only, above which it is told that AP rests on them."""


@dataclass(frozen=True)
class BootstrapResult:
    """One metric with its interval; NaN where undefined.

    Attributes
    ----------
    metric : str
        Its name, see `METRICS`.
    category_id : int or None
        The category, None for all.
    baseline, variant : float
        The metric of both sets of detections; `variant` is NaN if only one was given.
    estimate : float
        The value that the interval is for: variant − baseline, or the baseline if only one set was given.
    low, high : float
        The interval.
    bias : float
        How far the estimate lies too high because of the number of images, as halves of them show it. It is allowed
        for in the interval, not taken off the estimate; NaN with "percentile".
    standard_error : float
        Standard deviation of the replicates.
    p_value : float
        Two-sided, for the hypothesis of no difference; NaN if only one set was given.
    confidence : float
    method : str
    n_replicates, n_undefined : int
        Resamples drawn, and those left out because the metric is undefined in them.
    n_images : int
    note : str
        What the interval is worth if that is less than it says: over few images, of one detector's AP where many
        classes have objects in one image only, and with "percentile"; else empty.
    category : str or None
        Name of the category; if several have it, with the id.
    """

    metric: str
    category_id: int | None
    baseline: float
    variant: float
    estimate: float
    low: float
    high: float
    bias: float
    standard_error: float
    p_value: float
    confidence: float
    method: IntervalMethod
    n_replicates: int
    n_undefined: int
    n_images: int
    category: str | None = None
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return all fields ready for JSON; NaN becomes None."""
        return as_record(self)


def bootstrap(
    truth: TruthLike,
    baseline: DetectionsLike,
    variant: DetectionsLike | None = None,
    *,
    metrics: str | Sequence[str] = DEFAULT_METRICS,
    per_class: bool = False,
    n_replicates: int = 1000,
    confidence: float = 0.95,
    method: IntervalMethod = "t",
    seed: int = 0,
    iou_threshold: float = 0.5,
    score_threshold: float = 0.3,
    iou_thresholds: float | Iterable[float] | None = None,
    max_detections: int | Iterable[int] | None = None,
    area_ranges: AreaRanges | None = None,
    class_agnostic: bool = False,
    iou_type: IouType = "bbox",
    tie_break: TieBreak = "canonical",
    check: bool = True,
) -> tuple[BootstrapResult, ...]:
    """Estimate by resampling the images how far metrics would differ on other images of the same kind.

    Images are drawn with replacement. With two sets of detections each resample takes the same images for
    both, so that the interval is that of the difference (paired): much narrower than those of its parts.

    Parameters
    ----------
    truth : GroundTruth
        The split, I images.
    baseline, variant : Detections
        Of images and categories that `truth` has; images not run have none. With `variant`, the results are
        about variant − baseline.
    metrics : str or sequence of str
        Names of `METRICS`, or of further numbers that `iou_thresholds`, `max_detections` and `area_ranges` define: AP
        at a threshold ("AP60"), AR with a number of detections ("AR300"), either in a range of area ("AP_tiny").
        Also the errors "d_ece", "laece" and "olrp", at `iou_threshold`: see `dissect_eval.calibration`.
    per_class : bool
        Whether to give every metric for each category too.
    n_replicates : int
        Resamples. A thousand are enough for a 95 % interval.
    confidence : float
        Coverage of the interval, in (0, 1).
    method : {"t", "percentile"}
        "t" is Student's t interval with the larger of the standard errors of resamples and of halves of the images,
        widened by twice what the number of images does to the metric (`bias`). "percentile" has the quantiles of the
        resamples, which hold AP of a single detector far too rarely. The README says how often either held in trials.
    seed : int
        Seed of the draw, independent of the metrics: results of one seed may be compared.
    iou_threshold, score_threshold : float
        Settings of `detection_metrics`.
    iou_thresholds, max_detections, area_ranges
        Settings of `coco_ap`, for its numbers alone.
    class_agnostic : bool
        Whether to take all classes as one, in all metrics.
    iou_type : {"bbox", "segm"}
        Whether COCO's numbers are of boxes or of masks. The other metrics are of boxes, and are refused with masks.
    tie_break : {"canonical", "input"}
        Setting of `coco_ap`.
    check : bool
        Whether to look for mistakes that would score without an error, and warn; see `check_split`.

    Returns
    -------
    tuple of BootstrapResult
        One for each metric, and each category if asked for.

    Warns
    -----
    SplitWarning
        If `check` finds such a sign in the baseline.

    Raises
    ------
    SettingError
        If a setting is unknown or out of range.
    DetectionError
        If a detection has an image or category that `truth` does not have.

    Notes
    -----
    Boxes are matched once: a resample is a weight per image. An interval covers the choice of the images, not that
    of the units of a random ablation; for that see `summarize_repeats`. A category without truth in a resample is
    left out of that resample's mean, as COCO does.

    References
    ----------
    Efron and Tibshirani, An Introduction to the Bootstrap, 1993.

    Examples
    --------
    >>> from dissect_eval import Detections, GroundTruth
    >>> truth = GroundTruth.from_coco(
    ...     {
    ...         "images": [{"id": i} for i in range(8)],
    ...         "categories": [{"id": 1, "name": "cat"}],
    ...         "annotations": [
    ...             {"id": i, "image_id": i, "category_id": 1, "bbox": [0, 0, 10, 10]} for i in range(8)
    ...         ],
    ...     }
    ... )
    >>> good = Detections.from_arrays([([[0, 0, 10, 10]], [0.9], [0])] * 8, range(8), [1])
    >>> bad = Detections.from_arrays([([[0, 0, 10, 10 - i]], [0.9], [0]) for i in range(8)], range(8), [1])
    >>> (result,) = bootstrap(truth, good, bad, metrics=["matched_giou"])
    >>> round(result.estimate, 3), result.low < -0.35 < result.high < 0
    (-0.35, True)
    """
    coco = coco_settings(iou_thresholds, max_detections, area_ranges, class_agnostic, iou_type)
    wanted = chosen_metrics(metrics, coco)
    settings = MetricSettings(wanted, per_class, iou_threshold, score_threshold, tie_break, coco)
    how = Resampling(n_replicates, confidence, method, seed)
    pair = checked_pair(truth, baseline, check=check, masks=iou_type == "segm")
    if check and any(metric[:2] in ("AP", "AR") for metric in settings.metrics):
        tell_cut(pair.truth, pair.given, settings.coco)
    require_threshold(score_threshold, pair.aligned)
    one = resampled(pair.truth, pair.aligned, settings, how)
    # An ablated detector may fit nothing: that is no mistake.
    other = None if variant is None else as_detections(variant, pair.truth)
    two = None if other is None else resampled(pair.truth, other, settings, how)
    names = unique_names(pair.truth.category_names)
    keys = ordered(one.whole, settings)
    found = compared(keys, one, two, how)
    note = interval_note(one.n_images, how.method, paired=two is not None) if found.n_replicates else ""
    of_rare = _rare_note(pair.truth) if found.n_replicates and two is None else ""
    means = coco.numbers.keys() if not class_agnostic else ()
    return tuple(
        BootstrapResult(
            metric=metric,
            category_id=category,
            baseline=float(found.baseline[k]),
            variant=float(found.variant[k]),
            estimate=float(found.estimate[k]),
            low=float(found.low[k]),
            high=float(found.high[k]),
            bias=float(found.bias[k]),
            standard_error=float(found.standard_error[k]),
            p_value=float(found.p_value[k]),
            confidence=how.confidence,
            method=how.method,
            n_replicates=found.n_replicates,
            n_undefined=int(found.n_undefined[k]),
            n_images=pair.truth.n_images,
            note=" ".join(filter(None, (note, of_rare if category is None and metric in means else ""))),
            category=None if category is None else names[category],
        )
        for k, (metric, category) in enumerate(keys)
    )


def _rare_note(truth: GroundTruth) -> str:
    """Return that the AP of many classes rests on one image each, if that is so."""
    counted = ~(truth.iscrowd | truth.ignore)
    image = np.repeat(np.arange(truth.n_images), np.diff(truth.image_splits))
    rows = np.stack([truth.category_ids[counted], image[counted]], axis=1)
    _, n_seen = np.unique(np.unique(rows, axis=0)[:, 0], return_counts=True)
    n_rare = int((n_seen == 1).sum())
    if len(n_seen) < 2 or n_rare <= MANY_RARE * len(n_seen):
        return ""
    return (
        f"{n_rare} of {len(n_seen)} classes have objects in one image only: AP of other images may be lower than the "
        "interval says, which in trials with many such classes held it 80 to 93 % of the time."
    )
