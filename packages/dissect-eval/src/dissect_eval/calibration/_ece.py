"""Calibration errors of detectors: D-ECE of Küppers et al., LaECE of Oksuz et al."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._arrays import Ints, ratio
from .._numbers import require_fraction
from .._per_class import PerClass
from .._plain import as_record
from .._readable import Readable, class_records, number_text, undefined_lines
from .._text import quoted
from ..data import Detections, DetectionsLike, GroundTruth, TruthLike, checked_pair, require_threshold
from ..errors import SettingError, TruthError
from ._ece_sums import D_ECE_BINS, LAECE_BINS, EceSums, bin_of, require_shares
from ._hits import ScoredHits, scored_hits

__all__ = ["CalibrationBin", "CalibrationError", "d_ece", "laece"]

FEATURES = ("cx", "cy", "w", "h")
"""Centre and size of a box, as shares of the image."""
MOST_BINS = 1_000_000
NO_DETECTION = "no detection at or above the score threshold"


@dataclass(frozen=True)
class CalibrationBin:
    """Detections whose scores lie between two bounds.

    Attributes
    ----------
    low, high : float
        The lower bound is included, the upper one in the last bin alone.
    n_detections : int
    score : float
        Mean score; NaN without detections.
    reached : float
        What it should be: precision for D-ECE, precision times the mean IoU of the hits for LaECE.
    """

    low: float
    high: float
    n_detections: int
    score: float
    reached: float


@dataclass(frozen=True)
class CalibrationError(Readable):
    """A calibration error in [0, 1], 0 for scores that are right on average in every bin; NaN where undefined.

    Attributes
    ----------
    value : float
    per_class : mapping of int to float
        Error of each class by id or name; NaN without detections.
    bins : tuple of CalibrationBin
        Over all classes, by score: what a reliability diagram shows.
    n_detections : int
        Detections of at least `score_threshold` that are true or false positives.
    iou_threshold, score_threshold : float
    n_bins : int
        Bins of the score, and of each of `box_features`.
    box_features : tuple of str
    undefined : mapping of str to str
        Why a value is NaN.
    """

    value: float
    per_class: PerClass[float]
    bins: tuple[CalibrationBin, ...]
    n_detections: int
    iou_threshold: float
    score_threshold: float
    n_bins: int
    box_features: tuple[str, ...]
    undefined: dict[str, str]

    def lines(self) -> list[str]:
        """Return the error, and for each bin of the score what was reached."""
        where = f"{self.n_detections:,} detections, IoU {self.iou_threshold:g}, score from {self.score_threshold:g}"
        title = f"{'score':>13}{'detections':>12}{'mean score':>12}{'reached':>10}"
        return [
            f"calibration error {number_text(self.value)} ({where})",
            title,
            *(
                f"{one.low:>6.2f}–{one.high:<6.2f}{one.n_detections:>12,}{number_text(one.score):>12}"
                f"{number_text(one.reached):>10}"
                for one in self.bins
                if one.n_detections
            ),
            *undefined_lines(self.undefined),
        ]

    def records(self) -> list[dict[str, Any]]:
        """Return a row for each class."""
        return class_records(self.per_class, error="")

    def to_dict(self) -> dict[str, Any]:
        """Return all fields ready for JSON; NaN becomes None."""
        return as_record(self)


def d_ece(
    truth: TruthLike,
    detections: DetectionsLike,
    *,
    iou_threshold: float = 0.5,
    score_threshold: float = 0.3,
    n_bins: int = D_ECE_BINS,
    box_features: Iterable[str] = (),
    check: bool = True,
) -> CalibrationError:
    """Compute the detection expected calibration error: how far scores are from precision.

    Detections are put into bins by score, and by position and size if asked for. The error is the mean difference of
    mean score and precision of a bin, weighted by its number of detections.

    Parameters
    ----------
    truth : GroundTruth
        The split.
    detections : Detections
        Of images and categories that `truth` has, with scores in [0, 1]; images not run have none.
    iou_threshold : float
        Smallest IoU of a hit, in (0, 1].
    score_threshold : float
        Detections under this score are left out.
    n_bins : int
        Bins of the score, and of each of `box_features`.
    box_features : iterable of {"cx", "cy", "w", "h"}
        Centre and size of the box, as shares of the image, to be put into bins too. Take fewer bins then.
    check : bool
        Whether to look for mistakes that would score without an error, and warn; see `check_split`.

    Returns
    -------
    CalibrationError
        For its interval take ``bootstrap(..., metrics=["d_ece"])``.

    Raises
    ------
    SettingError
        If a setting is out of range.
    DetectionError
        If a score is not in [0, 1].
    TruthError
        If `box_features` need the size of an image that is not known.

    Notes
    -----
    Which detection is a hit is decided as in `detection_metrics`, and detections in crowd regions are left out. Bins
    without detections add nothing; equal to netcal's ``ECE(bins, detection=True)``.

    References
    ----------
    Küppers et al., Multivariate Confidence Calibration for Object Detection, CVPR Workshops 2020, arXiv:2004.13546.

    Examples
    --------
    >>> from dissect_eval import Detections, GroundTruth
    >>> truth = GroundTruth.from_arrays([([[0, 0, 10, 10]], [1])], [1], {1: "cat"})
    >>> found = Detections.from_arrays([([[0, 0, 10, 10], [50, 0, 60, 10]], [0.9, 0.6], [0, 0])], [1], [1])
    >>> round(d_ece(truth, found).value, 6)  # (|1 - .9| + |0 - .6|) / 2
    0.35
    """
    known, aligned = _checked(truth, detections, iou_threshold, score_threshold, n_bins, check)
    features = _features(box_features, n_bins)
    hits = scored_hits(known, aligned, iou_threshold, score_threshold)
    require_shares(hits.scores)
    bins = bin_of(hits.scores, n_bins)
    for values in _shares(known, aligned, hits.rows, features):
        bins = bins * n_bins + bin_of(values, n_bins)
    gain = hits.hit.astype(np.float64)
    sums = EceSums(hits, gain, bins, n_bins ** (1 + len(features)))
    ones = np.ones((known.n_images, 1))
    value = float(sums.pooled(ones)[0])
    return _result(known, hits, gain, sums, value, (iou_threshold, score_threshold), n_bins, features)


def laece(
    truth: TruthLike,
    detections: DetectionsLike,
    *,
    iou_threshold: float = 0.5,
    score_threshold: float = 0.3,
    n_bins: int = LAECE_BINS,
    check: bool = True,
) -> CalibrationError:
    """Compute the localisation-aware calibration error: how far scores are from precision times IoU.

    Scores are to tell how well a box lies, too. For each class detections are put into bins by score; its error is the
    mean difference of mean score and precision times mean IoU of the hits, weighted by the number of detections. The
    mean over the classes is returned.

    Parameters
    ----------
    truth, detections, score_threshold, check
        As in `d_ece`.
    iou_threshold : float
        Smallest IoU of a hit, in (0, 1]. Oksuz et al. take .1, and for `score_threshold` of each class that of `olrp`.
    n_bins : int
        Bins of the score.

    Returns
    -------
    CalibrationError
        `value` is the mean over the classes that have detections. For its interval take
        ``bootstrap(..., metrics=["laece"])``.

    Raises
    ------
    SettingError
        If a setting is out of range.
    DetectionError
        If a score is not in [0, 1].

    References
    ----------
    Oksuz, Joy, Dokania, Towards Building Self-Aware Object Detectors via Reliable Uncertainty Quantification and
    Calibration, CVPR 2023, arXiv:2307.00934, equation 6.

    Examples
    --------
    >>> from dissect_eval import Detections, GroundTruth
    >>> truth = GroundTruth.from_arrays([([[0, 0, 10, 10]], [1])], [1], {1: "cat"})
    >>> found = Detections.from_arrays([([[0, 0, 10, 8]], [0.9], [0])], [1], [1])
    >>> round(laece(truth, found).value, 6)  # |.8 - .9|
    0.1
    """
    known, aligned = _checked(truth, detections, iou_threshold, score_threshold, n_bins, check)
    hits = scored_hits(known, aligned, iou_threshold, score_threshold)
    require_shares(hits.scores)
    sums = EceSums(hits, hits.iou, bin_of(hits.scores, n_bins), n_bins)
    value = float(sums.class_mean(np.ones((known.n_images, 1)))[0])
    return _result(known, hits, hits.iou, sums, value, (iou_threshold, score_threshold), n_bins, ())


def _checked(
    truth: TruthLike,
    detections: DetectionsLike,
    iou_threshold: float,
    score_threshold: float,
    n_bins: int,
    check: bool,
) -> tuple[GroundTruth, Detections]:
    require_fraction(iou_threshold, "iou_threshold", "0.5")
    if isinstance(n_bins, bool) or not isinstance(n_bins, (int, np.integer)) or not 1 <= n_bins <= MOST_BINS:
        raise SettingError(f"`n_bins` must be a whole number from 1 to {MOST_BINS:,}, got {quoted(n_bins)}.")
    pair = checked_pair(truth, detections, check=check, stacklevel=4)
    require_threshold(score_threshold, pair.aligned)
    return pair.truth, pair.aligned


def _features(box_features: Iterable[str], n_bins: int) -> tuple[str, ...]:
    features = (box_features,) if isinstance(box_features, str) else tuple(box_features)
    if len(set(features)) < len(features) or not set(features) <= set(FEATURES):
        raise SettingError(
            f"`box_features` must be some of {', '.join(map(repr, FEATURES))}, each once, got {quoted(features)}."
        )
    if prod([n_bins] * (1 + len(features))) > MOST_BINS:
        raise SettingError(
            f"`n_bins` must give at most {MOST_BINS:,} bins in all, got {n_bins} for each of {1 + len(features)} "
            "features. Küppers et al. take 5 for five features."
        )
    return features


def _shares(
    truth: GroundTruth, aligned: Detections, rows: Ints, features: tuple[str, ...]
) -> list[NDArray[np.float64]]:
    """Return centres and sizes of boxes as shares of their image, within [0, 1]."""
    if not features:
        return []
    sizes = truth.image_sizes[aligned.image_index[rows]]
    if np.isnan(sizes).any():
        image = truth.image_ids[aligned.image_index[rows[int(np.argmax(np.isnan(sizes).any(axis=1)))]]]
        raise TruthError(
            f"image {image}: `box_features` need its `width` and `height`, got none. Add them to the images "
            "of the truth."
        )
    boxes = aligned.boxes[rows]
    centres, extents = (boxes[:, :2] + boxes[:, 2:]) / 2 / sizes, aligned.sizes[rows] / sizes
    found = dict(zip(FEATURES, np.concatenate([centres, extents], axis=1).T, strict=True))
    return [np.clip(found[name], 0, 1) for name in features]


def _result(
    truth: GroundTruth,
    hits: ScoredHits,
    gain: NDArray[np.float64],
    sums: EceSums,
    value: float,
    thresholds: tuple[float, float],
    n_bins: int,
    features: tuple[str, ...],
) -> CalibrationError:
    errors = PerClass(
        zip(truth.category_names, sums.per_class(np.ones((truth.n_images, 1)))[:, 0].tolist(), strict=True),
        truth.category_names,
    )
    bins, edges = bin_of(hits.scores, n_bins), np.linspace(0.0, 1.0, n_bins + 1).tolist()
    number, score, reached = (np.bincount(bins, v, n_bins) for v in (None, hits.scores, gain))
    columns = number.astype(int).tolist(), ratio(score, number).tolist(), ratio(reached, number).tolist()
    undefined = {f"per_class.{key}": NO_DETECTION for key, error in errors.items() if np.isnan(error)}
    if np.isnan(value):
        undefined["value"] = NO_DETECTION
    return CalibrationError(
        value=value,
        per_class=errors,
        bins=tuple(map(CalibrationBin, edges[:-1], edges[1:], *columns)),
        n_detections=len(hits.rows),
        iou_threshold=float(thresholds[0]),
        score_threshold=float(thresholds[1]),
        n_bins=int(n_bins),
        box_features=features,
        undefined=undefined,
    )
