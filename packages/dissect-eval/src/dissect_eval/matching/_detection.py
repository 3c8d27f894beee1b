"""`detection` mode: precision, recall and F1 in which every miss and every false positive counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._arrays import Ints, ratio
from .._numbers import require_fraction
from .._per_class import PerClass
from ..coco import Ranking
from ..data import (
    AREA_RANGES,
    Detections,
    DetectionsLike,
    GroundTruth,
    TruthLike,
    checked_pair,
    require_threshold,
)
from ._detection_results import ClassMetrics, DetectionMetrics, Scores
from ._f1 import f1_of_counts
from ._greedy import GreedyMatches, greedy_matches

__all__ = ["detection_metrics", "metrics_of_aligned"]

SIZES = {"small": AREA_RANGES[1], "medium": AREA_RANGES[2], "large": AREA_RANGES[3]}


def detection_metrics(
    truth: TruthLike,
    detections: DetectionsLike,
    *,
    iou_threshold: float = 0.5,
    score_threshold: float = 0.3,
    check: bool = True,
) -> DetectionMetrics:
    """Count hits, misses and false positives, and give precision, recall and F1 from them.

    Matching is COCO's at one IoU threshold: same category, best score first, each detection takes the free
    true box of the highest IoU. Unmatched truth is a miss, an unmatched detection a false positive, also on
    an image without truth. Crowd and ignored truth is neither: a detection with at least `iou_threshold` of
    its own area inside such a region of its category is excused. The order of the detections plays no part.

    Parameters
    ----------
    truth : GroundTruth
        The split.
    detections : Detections
        Of images and categories that `truth` has; images not run have none.
    iou_threshold : float
        Smallest IoU of a hit, in (0, 1]; equal counts as a hit (within 1e-10).
    score_threshold : float
        Detections under this score are left out, and counted. The default, .3, is that of MMDetection's
        inferencer for a box worth showing; DETR-like detectors emit all their queries, most with low scores.
    check : bool
        Whether to look for mistakes that would score without an error, such as x, y, width, height as corners, or
        shifted labels, and warn; see `check_split`.

    Returns
    -------
    DetectionMetrics

    Warns
    -----
    SplitWarning
        If `check` finds such a sign; once for the same truth and detections.

    Raises
    ------
    SettingError
        If a threshold is out of range.
    DetectionError
        If a detection has an image or category that `truth` does not have.

    References
    ----------
    COCO API, ``COCOeval.evaluateImg``: equal counts where no scores or IoUs are tied. ``ignore`` is treated
    as crowd, as in Dollár's toolbox (``bbGt.evalRes``).

    Examples
    --------
    >>> from dissect_eval import Detections, GroundTruth
    >>> truth = GroundTruth.from_coco(
    ...     {
    ...         "images": [{"id": 1}, {"id": 2}],
    ...         "categories": [{"id": 1, "name": "cat"}],
    ...         "annotations": [
    ...             {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 10, 10]},
    ...             {"id": 2, "image_id": 1, "category_id": 1, "bbox": [20, 0, 10, 10]},
    ...         ],
    ...     }
    ... )
    >>> first = ([[0, 0, 10, 8], [50, 50, 60, 60]], [0.9, 0.8], [0, 0])
    >>> second = ([[0, 0, 9, 9]], [0.7], [0])
    >>> found = Detections.from_arrays([first, second], [1, 2], [1])
    >>> result = detection_metrics(truth, found)
    >>> result.n_true_positives, result.n_false_positives, result.n_false_negatives, result.mean_giou
    (1, 2, 1, 0.8)
    >>> result.micro
    Scores(precision=0.3333333333333333, recall=0.5, f1=0.4)
    """
    truth, _, aligned, _ = checked_pair(truth, detections, check=check)
    return metrics_of_aligned(truth, aligned, iou_threshold, score_threshold)


def metrics_of_aligned(
    truth: GroundTruth,
    aligned: Detections,
    iou_threshold: float,
    score_threshold: float,
    ranking: Ranking | None = None,
) -> DetectionMetrics:
    """Return what `detection_metrics` does for detections that are aligned already; `ranking` saves computing it."""
    require_fraction(iou_threshold, "iou_threshold", "0.5")
    require_threshold(score_threshold, aligned)
    found = greedy_matches(truth, aligned, iou_threshold, score_threshold, ranking)
    categories = np.array(list(truth.category_names), dtype=np.int64)
    per_class, averages, notes = _score(truth, aligned, found, categories)
    n_truth, n_hits = int(found.truth_counted.sum()), len(found.iou)
    n_detections = int(found.detection_counted.sum())
    by_size = _by_size(truth, aligned, found)
    counted_truth = np.bincount(truth.image_index[found.truth_counted], minlength=truth.n_images)
    above = np.bincount(aligned.image_index[aligned.scores >= score_threshold], minlength=truth.n_images)
    flat = (truth.boxes[:, 2:] <= truth.boxes[:, :2]).any(axis=1)
    return DetectionMetrics(
        iou_threshold=float(iou_threshold),
        score_threshold=float(score_threshold),
        micro=averages["micro"],
        macro=averages["macro"],
        weighted=averages["weighted"],
        mean_giou=float(found.giou.mean()) if n_hits else float("nan"),
        per_class=PerClass(per_class, truth.category_names),
        by_size=by_size,
        n_images=truth.n_images,
        n_images_without_truth=int((counted_truth == 0).sum()),
        n_images_without_detections=int((above == 0).sum()),
        n_truth=n_truth,
        n_regions=truth.n_boxes - n_truth,
        n_degenerate_truth=int((flat & found.truth_counted).sum()),
        n_detections=n_detections,
        n_true_positives=n_hits,
        n_false_positives=n_detections - n_hits,
        n_false_negatives=n_truth - n_hits,
        n_excused=int(found.detection_excused.sum()),
        n_below_score=int((aligned.scores < score_threshold).sum()),
        n_dropped=aligned.n_dropped,
        undefined=_reasons(averages, n_truth, n_detections, n_hits) | _reasons_by_size(by_size),
        notes=notes,
    )


def _score(
    truth: GroundTruth, aligned: Detections, found: GreedyMatches, categories: Ints
) -> tuple[dict[int, ClassMetrics], dict[str, Scores], tuple[str, ...]]:
    def count(ids: Ints, weights: NDArray[np.float64] | None = None) -> NDArray[Any]:
        return np.bincount(np.searchsorted(categories, ids), weights=weights, minlength=len(categories))

    hit_categories = truth.category_ids[found.truth_index]
    n_truth = count(truth.category_ids[found.truth_counted])
    n_detections = count(aligned.category_ids[found.detection_counted])
    hits = count(hit_categories)
    columns = {
        "precision": ratio(hits, n_detections),
        "recall": ratio(hits, n_truth),
        "f1": f1_of_counts(hits, n_detections - hits, n_truth - hits),
    }
    giou_sums = count(hit_categories, found.giou)
    counts = (n_truth, n_detections, hits, n_detections - hits, n_truth - hits)
    values = (*columns.values(), ratio(giou_sums, hits))
    rows = zip(*(column.tolist() for column in (*counts, *values)), strict=True)
    per_class = {
        category: ClassMetrics(*row) for category, row in zip(categories.tolist(), rows, strict=True)
    }
    t, d, h = n_truth.sum(), n_detections.sum(), hits.sum()
    averages = {
        "micro": Scores(float(ratio(h, d)), float(ratio(h, t)), float(f1_of_counts(h, d - h, t - h))),
        "macro": Scores(**{key: _mean(values, np.ones(len(categories))) for key, values in columns.items()}),
        "weighted": Scores(**{key: _mean(values, n_truth) for key, values in columns.items()}),
    }
    notes = tuple(
        f"Macro {key} is over {int(defined.sum())} of {len(categories)} categories, the others are undefined."
        for key, defined in ((key, np.isfinite(values)) for key, values in columns.items())
        if not defined.all()
    )
    return per_class, averages, notes


def _class_metrics(n_truth: Any, n_detections: Any, hits: Any, giou_sum: Any) -> ClassMetrics:
    t, d, h = int(n_truth), int(n_detections), int(hits)
    return ClassMetrics(
        n_truth=t,
        n_detections=d,
        n_true_positives=h,
        n_false_positives=d - h,
        n_false_negatives=t - h,
        precision=float(ratio(h, d)),
        recall=float(ratio(h, t)),
        f1=float(f1_of_counts(h, d - h, t - h)),
        mean_giou=float(ratio(giou_sum, h)),
    )


def _by_size(truth: GroundTruth, aligned: Detections, found: GreedyMatches) -> dict[str, ClassMetrics]:
    false = found.detection_counted.copy()
    false[found.detection_index] = False
    box_area = aligned.sizes[:, 0] * aligned.sizes[:, 1]
    out = {}
    for name, (low, high) in SIZES.items():
        of_truth = (truth.area >= low) & (truth.area <= high)
        of_hit = of_truth[found.truth_index]
        hits = of_hit.sum()
        n_false = (false & (box_area >= low) & (box_area <= high)).sum()
        n_truth = (of_truth & found.truth_counted).sum()
        out[name] = _class_metrics(n_truth, hits + n_false, hits, found.giou[of_hit].sum())
    return out


def _mean(values: NDArray[np.float64], weights: NDArray[Any]) -> float:
    defined = np.isfinite(values)
    return float(ratio((values[defined] * weights[defined]).sum(), weights[defined].sum()))


def _reasons(averages: Mapping[str, Scores], n_truth: int, n_detections: int, n_hits: int) -> dict[str, str]:
    undefined: dict[str, str] = {}
    no_truth, no_detection = "no truth to be found", "no detection at or above the score cut"
    for kind, scores in averages.items():
        if np.isnan(scores.precision):
            undefined[f"{kind}.precision"] = no_truth if n_detections else no_detection
        if np.isnan(scores.recall):
            undefined[f"{kind}.recall"] = no_truth
        if np.isnan(scores.f1):
            undefined[f"{kind}.f1"] = no_truth if n_detections else f"{no_truth}, and {no_detection}"
    if not n_hits:
        undefined["mean_giou"] = "no true positive"
    return undefined


def _reasons_by_size(by_size: Mapping[str, ClassMetrics]) -> dict[str, str]:
    undefined: dict[str, str] = {}
    for size, m in by_size.items():
        reasons = {
            "precision": (m.precision, f"no {size} detection"),
            "recall": (m.recall, f"no {size} truth"),
            "f1": (m.f1, f"neither {size} truth nor a {size} detection"),
            "mean_giou": (m.mean_giou, f"no {size} true positive"),
        }
        undefined |= {
            f"by_size.{size}.{name}": why for name, (value, why) in reasons.items() if np.isnan(value)
        }
    return undefined
