"""The bootstrap over images: intervals of metrics, and of their difference between two sets of detections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._ap import TieBreak
from ._detections import Detections
from ._intervals import (
    IntervalMethod,
    check_confidence,
    image_weights,
    interval,
    jackknife_weights,
    p_value,
)
from ._json import as_record
from ._statistics import Floats, Key, Settings, Statistic, Values, statistics_of
from ._truth import GroundTruth
from .errors import SettingError

__all__ = ["BootstrapResult", "Resampled", "Resampling", "bootstrap", "resampled"]


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
        What the interval is of: variant − baseline, or the baseline if only one was given.
    low, high : float
        The interval.
    standard_error : float
        Standard deviation of the replicates.
    p_value : float
        Two-sided, of no difference; NaN if only one set was given.
    confidence : float
    method : str
    n_replicates, n_undefined : int
        Resamples drawn, and those in which the metric is undefined: they are left out.
    """

    metric: str
    category_id: int | None
    baseline: float
    variant: float
    estimate: float
    low: float
    high: float
    standard_error: float
    p_value: float
    confidence: float
    method: IntervalMethod
    n_replicates: int
    n_undefined: int

    def to_dict(self) -> dict[str, Any]:
        """Return all fields ready for JSON; NaN becomes None."""
        return as_record(self)


@dataclass(frozen=True)
class Resampling:
    """How to resample: the same settings give the same resamples for every set of detections."""

    n_replicates: int = 1000
    confidence: float = 0.95
    method: IntervalMethod = "percentile"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.n_replicates < 0 or self.seed < 0:
            raise SettingError(
                f"`n_replicates` and `seed` must be >= 0, got {self.n_replicates} and {self.seed}."
            )
        check_confidence(self.confidence)
        if self.method not in ("percentile", "bca"):
            raise SettingError(f"`method` must be 'percentile' or 'bca', got {self.method!r}.")


@dataclass(frozen=True, eq=False)
class Resampled:
    """A set of detections measured on all images, on resamples, and with images left out."""

    whole: dict[Key, float]
    replicates: Values
    jackknife: Values


def resampled(truth: GroundTruth, detections: Detections, settings: Settings, how: Resampling) -> Resampled:
    """Measure a set of detections as often as the bootstrap needs, matching its boxes once."""
    statistics = statistics_of(truth, detections, settings)
    whole = _measure(statistics, [np.ones((truth.n_images, 1))])
    replicates: Values = {}
    jackknife: Values = {}
    if how.n_replicates and truth.n_images:
        replicates = _measure(statistics, image_weights(truth.n_images, how.n_replicates, how.seed))
        if how.method == "bca":
            jackknife = _measure(statistics, [jackknife_weights(truth.n_images)])
    return Resampled({key: float(value[0]) for key, value in whole.items()}, replicates, jackknife)


def compare(key: Key, baseline: Resampled, variant: Resampled | None, how: Resampling) -> BootstrapResult:
    """Return the interval of one metric, or of its difference between the two."""

    def estimate(pick: Any) -> Any:
        return pick(baseline) if variant is None else pick(variant) - pick(baseline)

    value = float(estimate(lambda r: r.whole[key]))
    if (
        not baseline.replicates
    ):  # no bootstrap: a study without one has tens of thousands of rows all the same
        return _only(key, baseline, variant, how, value)
    none = np.zeros(0)
    replicates: Floats = estimate(lambda r: r.replicates.get(key, none))
    low, high = interval(
        value, replicates, how.confidence, how.method, estimate(lambda r: r.jackknife.get(key, none))
    )
    defined = replicates[~np.isnan(replicates)]
    return BootstrapResult(
        metric=key[0],
        category_id=key[1],
        baseline=baseline.whole[key],
        variant=float("nan") if variant is None else variant.whole[key],
        estimate=value,
        low=low,
        high=high,
        standard_error=float(defined.std(ddof=1)) if len(defined) > 1 else float("nan"),
        p_value=float("nan") if variant is None else p_value(value, replicates),
        confidence=how.confidence,
        method=how.method,
        n_replicates=len(replicates),
        n_undefined=len(replicates) - len(defined),
    )


def _only(
    key: Key, baseline: Resampled, variant: Resampled | None, how: Resampling, value: float
) -> BootstrapResult:
    """Return a value without interval."""
    nan = float("nan")
    other = nan if variant is None else variant.whole[key]
    return BootstrapResult(
        metric=key[0],
        category_id=key[1],
        baseline=baseline.whole[key],
        variant=other,
        estimate=value,
        low=nan,
        high=nan,
        standard_error=nan,
        p_value=nan,
        confidence=how.confidence,
        method=how.method,
        n_replicates=0,
        n_undefined=0,
    )


def bootstrap(
    truth: GroundTruth,
    baseline: Detections,
    variant: Detections | None = None,
    *,
    metrics: Sequence[str] = ("AP", "AP50", "f1", "matched_giou", "matched_f1"),
    per_class: bool = False,
    n_replicates: int = 1000,
    confidence: float = 0.95,
    method: IntervalMethod = "percentile",
    seed: int = 0,
    iou_threshold: float = 0.5,
    score_threshold: float = 0.3,
    tie_break: TieBreak = "canonical",
) -> tuple[BootstrapResult, ...]:
    """Bootstrap metrics over images: what would they be on other images of the same kind?

    Images are drawn with replacement. With two sets of detections each resample takes the same images for
    both, so that the interval is that of the difference (paired): much narrower than those of its parts.

    Parameters
    ----------
    truth : GroundTruth
        The split, I images.
    baseline, variant : Detections
        Of images and categories that `truth` has; images not run have none. With `variant`, the results are
        about variant − baseline.
    metrics : sequence of str
        Names of `METRICS`.
    per_class : bool
        Whether to give every metric for each category too.
    n_replicates : int
        Resamples. A thousand are enough for a 95 % interval.
    confidence : float
        Coverage of the interval, in (0, 1).
    method : {"percentile", "bca"}
        "bca" corrects bias and skewness; it leaves out each image in turn (groups of images above 200).
    seed : int
        Seed of the draw, independent of the metrics: results of one seed may be compared.
    iou_threshold, score_threshold : float
        Settings of `detection_metrics`.
    tie_break : {"canonical", "input"}
        Setting of `coco_ap`.

    Returns
    -------
    tuple of BootstrapResult
        One for each metric, and each category if asked for.

    Raises
    ------
    SettingError
        If a setting is unknown or out of range.
    DetectionError
        If a detection has an image or category that `truth` does not have.

    Notes
    -----
    Boxes are matched once: a resample is a weight per image. An interval speaks of the images, not of the luck
    of a random ablation; for that see `summarize_repeats`. A category without truth in a resample is left out
    of that resample's mean, as COCO does.

    References
    ----------
    Efron and Tibshirani, An Introduction to the Bootstrap, 1993.

    Examples
    --------
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
    settings = Settings(tuple(metrics), per_class, iou_threshold, score_threshold, tie_break)
    how = Resampling(n_replicates, confidence, method, seed)
    one = resampled(truth, baseline, settings, how)
    two = resampled(truth, variant, settings, how) if variant is not None else None
    return tuple(compare(key, one, two, how) for key in ordered(one.whole, settings))


def ordered(keys: dict[Key, float], settings: Settings) -> list[Key]:
    """Return the keys by metric as asked for, each over all categories first."""
    place = {name: i for i, name in enumerate(settings.metrics)}
    return sorted(keys, key=lambda key: (place[key[0]], key[1] is not None, key[1] or 0))


def _measure(statistics: Sequence[Statistic], blocks: Any) -> Values:
    found: dict[Key, list[Floats]] = {}
    for weights in blocks:
        for statistic in statistics:
            for key, values in statistic(weights).items():
                found.setdefault(key, []).append(values)
    return {key: np.concatenate(values) for key, values in found.items()}
