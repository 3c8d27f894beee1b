"""Metrics of boxes drawn at random: the level above which a number means something."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._arrays import image_of_rows, ratio, splits_of
from .._numbers import require_fraction, require_whole
from .._plain import as_record
from ..coco import (
    CocoSettings,
    Ranking,
    index_of,
    match_split,
    mean_of_defined,
    precision_of_known,
    rank,
)
from ..data import Detections, GroundTruth, TruthLike, as_truth, require_threshold
from ..errors import SettingError
from ._f1 import f1_of_counts
from ._greedy import greedy_matches
from ._matched import matched_metrics

__all__ = ["ChanceLevel", "chance_level", "chance_of_aligned", "require_draws"]

ALL_AREAS = CocoSettings(area_ranges=CocoSettings().area_ranges[:1])
NOT_ASKED = "needs the detections: only their number was given"


@dataclass(frozen=True)
class ChanceLevel:
    """Metrics of random boxes, as many on each image as a detector gives; NaN where undefined.

    Attributes
    ----------
    mean_giou : float
        Matched mean GIoU, mean over the repeats.
    matched_f1, f1, precision, recall, ap, ap50 : float
        Metrics of random boxes that keep the detector's scores and categories: weighted F1 of matched mode,
        micro F1, precision and recall of detection mode, COCO AP and AP50. Means over the repeats.
    per_repeat : tuple of float
        One matched mean GIoU per repeat.
    n_boxes_mean : float
        Mean number of random boxes per image.
    seed : int
        Seed of the draw.
    undefined : mapping of str to str
        Why a field is NaN.
    """

    mean_giou: float
    matched_f1: float
    f1: float
    precision: float
    recall: float
    ap: float
    ap50: float
    per_repeat: tuple[float, ...]
    n_boxes_mean: float
    seed: int
    undefined: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Return all fields ready for JSON; NaN becomes None."""
        return as_record(self)


def chance_level(
    truth: TruthLike,
    detections: Detections | ArrayLike,
    seed: int = 0,
    repeats: int = 3,
    *,
    iou_threshold: float = 0.5,
    score_threshold: float = 0.3,
    ap: bool = True,
) -> ChanceLevel:
    """Return the metrics of random boxes, as many per image as a detector gives.

    The more boxes there are, the better the best of them fits whatever is there: 300 random boxes per image
    reach a matched mean GIoU of about .25 on COCO. A metric means something only above this level.

    Parameters
    ----------
    truth : GroundTruth
        The split. An image of unknown size counts as large as its true boxes reach.
    detections : Detections, int or array-like of int, shape (I,)
        Detections, whose scores and categories are kept and whose boxes are drawn anew; or only the number of
        boxes on every image, or on each in the order of ``truth.image_ids``: that gives `mean_giou` alone.
    seed : int
        Seed of the draw; repeat r uses the stream ``(seed, r)``.
    repeats : int
        How often to draw, at least 1.
    iou_threshold, score_threshold : float
        Settings of `detection_metrics`.
    ap : bool
        Whether to compute AP.

    Returns
    -------
    ChanceLevel

    Raises
    ------
    SettingError
        If a count or `seed` is negative, there is not one count for each image, or `repeats` is less than 1.
    DetectionError
        If a detection has an image or category that `truth` does not have.

    Notes
    -----
    A box is spanned by two points drawn uniformly from the image.

    Examples
    --------
    >>> truth = GroundTruth.from_coco(
    ...     {
    ...         "images": [{"id": 1, "width": 100, "height": 100}],
    ...         "categories": [{"id": 1, "name": "cat"}],
    ...         "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [20, 20, 50, 60]}],
    ...     }
    ... )
    >>> few, many = (chance_level(truth, n).mean_giou for n in (1, 1000))
    >>> few < 0.5 < many
    True
    """
    require_draws(repeats, seed)
    require_fraction(iou_threshold, "iou_threshold", "0.5")
    truth = as_truth(truth)
    given = (
        detections.aligned_to(truth) if isinstance(detections, Detections) else _of_counts(truth, detections)
    )
    ranking = None
    if isinstance(detections, Detections):
        require_threshold(score_threshold, given)
        ranking = rank(index_of(truth, "canonical", ALL_AREAS), given, "canonical")
    return chance_of_aligned(truth, given, ranking, seed, repeats, iou_threshold, score_threshold, ap)


def chance_of_aligned(
    truth: GroundTruth,
    given: Detections,
    ranking: Ranking | None,
    seed: int,
    repeats: int,
    iou_threshold: float,
    score_threshold: float,
    ap: bool,
) -> ChanceLevel:
    """Return what `chance_level` does for detections that are aligned and ranked; without a ranking the GIoU alone."""
    whole, index = ranking is not None, index_of(truth, "canonical", ALL_AREAS)
    draws: list[dict[str, float]] = []
    for r in range(repeats):
        found = _at_random(truth, given, np.random.default_rng([seed, r]))
        matched = matched_metrics(truth, found, check=False)
        values = {"mean_giou": matched.mean_giou}
        if ranking is not None:
            ranking = rank(index, found, "canonical", like=ranking)  # scores and categories are the same
            values["matched_f1"] = matched.f1_weighted
            values |= _micro(truth, found, iou_threshold, score_threshold, ranking)
            values |= _ap(truth, found, ranking) if ap else {}
        draws.append(values)
    names = ("mean_giou", "matched_f1", "f1", "precision", "recall", "ap", "ap50")
    means = {name: float(np.mean([d.get(name, np.nan) for d in draws])) for name in names}
    return ChanceLevel(
        **means,
        per_repeat=tuple(d["mean_giou"] for d in draws),
        n_boxes_mean=given.n_boxes / truth.n_images if truth.n_images else 0.0,
        seed=int(seed),
        undefined={name: _reason(name, whole, ap) for name, value in means.items() if np.isnan(value)},
    )


def require_draws(repeats: int, seed: int) -> None:
    """Raise `SettingError` for a number of draws or a seed that cannot be."""
    require_whole(repeats, "repeats", 1)
    require_whole(seed, "seed", 0)


def _micro(
    truth: GroundTruth, found: Detections, iou_threshold: float, score_threshold: float, ranking: Ranking
) -> dict[str, float]:
    """Return F1, precision and recall of all classes together, as `detection_metrics` has them."""
    matches = greedy_matches(truth, found, iou_threshold, score_threshold, ranking)
    hits, n_detections = len(matches.iou), int(matches.detection_counted.sum())
    n_truth = int(matches.truth_counted.sum())
    return {
        "f1": float(f1_of_counts(hits, n_detections - hits, n_truth - hits)),
        "precision": float(ratio(hits, n_detections)),
        "recall": float(ratio(hits, n_truth)),
    }


def _ap(truth: GroundTruth, found: Detections, ranking: Ranking) -> dict[str, float]:
    """Return AP and AP50, as `coco_ap` has them."""
    precision, _ = precision_of_known(match_split(truth, found, "canonical", ALL_AREAS, ranking))
    return {"ap": mean_of_defined(precision), "ap50": mean_of_defined(precision[:1])}


def _reason(name: str, whole: bool, ap: bool) -> str:
    if name == "mean_giou":
        return "no image has both truth and boxes"
    if not whole:
        return NOT_ASKED
    return "not asked for" if name.startswith("ap") and not ap else "undefined for the random boxes too"


def _of_counts(truth: GroundTruth, n_per_image: ArrayLike) -> Detections:
    """Return as many boxes per image as asked for, of any category; their coordinates are drawn later."""
    try:
        counts = np.asarray(n_per_image, dtype=np.int64)
    except (TypeError, ValueError, OverflowError) as exc:
        raise SettingError(
            f"`detections` must be detections or counts of boxes, got {type(n_per_image).__name__}: {exc}."
        ) from exc
    counts = np.broadcast_to(counts, (truth.n_images,)) if counts.ndim == 0 else counts
    if counts.shape != (truth.n_images,) or (counts < 0).any():
        raise SettingError(
            f"`detections` must be detections, one count >= 0, or {truth.n_images} of them (one per image), got "
            f"shape {counts.shape}. Take them from `np.diff(detections.aligned_to(truth).image_splits)`."
        )
    splits = splits_of(counts)
    n, category = int(splits[-1]), next(iter(truth.category_names), 0)
    return Detections(
        image_ids=truth.image_ids,
        image_splits=splits,
        boxes=np.zeros((n, 4)),
        sizes=np.zeros((n, 2)),
        scores=np.zeros(n),
        category_ids=np.full(n, category),
    )


def _at_random(truth: GroundTruth, given: Detections, rng: np.random.Generator) -> Detections:
    boxes = random_boxes(rng, given.n_boxes) * np.tile(extents(truth), 2)[image_of_rows(given.image_splits)]
    return replace(given, boxes=boxes, sizes=boxes[:, 2:] - boxes[:, :2])


def random_boxes(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    """Return boxes that are spanned by two random points of the unit square, shape (n, 4)."""
    points = rng.random((n, 4))
    boxes = np.empty((n, 4))
    for low, high in ((0, 2), (1, 3)):  # a column at a time: NumPy is slow along an axis of two
        np.minimum(points[:, low], points[:, high], out=boxes[:, low])
        np.maximum(points[:, low], points[:, high], out=boxes[:, high])
    return boxes


def extents(truth: GroundTruth) -> NDArray[np.float64]:
    """Return width and height of every image; where unknown, how far its true boxes reach."""
    reach = np.zeros((truth.n_images, 2))
    np.maximum.at(reach, truth.image_index, truth.boxes[:, 2:])
    return np.where(np.isnan(truth.image_sizes), reach, truth.image_sizes)
