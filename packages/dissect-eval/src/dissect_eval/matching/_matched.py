"""`matched` mode: the numbers of Deep Dissect 1.0, with the counts that they leave out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .._arrays import Ints
from .._per_class import PerClass
from .._plain import as_record
from ..data import DetectionsLike, TruthLike, checked_pair
from ._f1 import f1_of_counts, paired_labels_f1
from ._matching import pairs_of_aligned

__all__ = ["LegacyMetrics", "MatchedMetrics", "matched_metrics"]

NO_PAIR = "no image has both truth and detections, so there is no pair"


class LegacyMetrics(NamedTuple):
    """The four results of Deep Dissect 1.0, with its 0 for what is undefined."""

    average_giou: float
    average_giou_per_class: Mapping[int, float]
    overall_f1_score: float
    f1_score_per_class: Mapping[int, float]


@dataclass(frozen=True)
class MatchedMetrics:
    """Metrics over the pairs of an optimal one-to-one matching, blind to class, score and unmatched boxes.

    Attributes
    ----------
    mean_giou : float
        Mean GIoU of all pairs, in [-1, 1]; NaN if there is none.
    giou_per_class : mapping of int to float
        Per category (by id or name) the mean GIoU of the pairs whose predicted category is the true one. Categories
        without such a pair are left out.
    f1_weighted : float
        F1 of the pairs' categories, averaged over categories weighted by true count; NaN if there is no pair.
    f1_per_class : mapping of int to float
        One-vs-rest F1 over the pairs, for every category that occurs on either side of a pair.
    f1_micro_with_unmatched : float
        Micro F1 when unmatched truth counts as missed and unmatched detections as false: what the F1 over
        pairs hides. Still without a score cut. NaN if there is neither truth nor detection.
    f1_per_class_with_unmatched : mapping of int to float
        The same per category.
    n_images, n_images_without_truth, n_images_without_detections : int
        Images of the split, and those that have no pair because one side is empty.
    n_truth, n_detections, n_pairs, n_unmatched_truth, n_unmatched_detections : int
        Boxes; crowd and ignored truth included, as in 1.0.
    undefined : mapping of str to str
        Why a field is NaN.
    """

    mean_giou: float
    giou_per_class: PerClass[float]
    f1_weighted: float
    f1_per_class: PerClass[float]
    f1_micro_with_unmatched: float
    f1_per_class_with_unmatched: PerClass[float]
    n_images: int
    n_images_without_truth: int
    n_images_without_detections: int
    n_truth: int
    n_detections: int
    n_pairs: int
    n_unmatched_truth: int
    n_unmatched_detections: int
    undefined: Mapping[str, str]

    def legacy(self) -> LegacyMetrics:
        """Return the numbers as Deep Dissect 1.0 writes them: 0 where there is no pair.

        A mean GIoU of 0 is then not the worst value but no value at all; look at `n_pairs`.
        """
        return LegacyMetrics(
            average_giou=self.mean_giou if self.n_pairs else 0.0,
            average_giou_per_class=dict(self.giou_per_class),
            overall_f1_score=self.f1_weighted if self.n_pairs else 0.0,
            f1_score_per_class=dict(self.f1_per_class),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return all fields ready for JSON; NaN becomes None."""
        return as_record(self)


def matched_metrics(
    truth: TruthLike,
    detections: DetectionsLike,
    *,
    check: bool = True,
) -> MatchedMetrics:
    """Score detections as Deep Dissect 1.0 does: optimal matching by GIoU, then GIoU and F1 of the pairs.

    Per image, truth (crowd included) is matched one-to-one with all detections so that the total GIoU is as
    large as can be, whatever class and score; images without truth or without detections are skipped. Read it
    beside `detection_metrics` and `chance_level`: boxes drawn at random also have a high matched GIoU.

    Parameters
    ----------
    truth : GroundTruth
        The split.
    detections : Detections
        Of images and categories that `truth` has; images not run have none.
    check : bool
        Whether to look for mistakes that would score without an error, such as x, y, width, height as corners, or
        shifted labels, and warn; see `check_split`.

    Returns
    -------
    MatchedMetrics

    Warns
    -----
    SplitWarning
        If `check` finds such a sign; once for the same truth and detections.

    Raises
    ------
    DetectionError
        If a detection has an image or category that `truth` does not have.

    Notes
    -----
    Among matchings of equal total GIoU the solver's choice depends on the order of the detections. It rarely
    happens with real boxes, and `mean_giou` is the same for all of them.

    References
    ----------
    Deep Dissect 1.0, ``calculate_average_giou_*`` and ``calculate_average_f1_score_*``, here in float64.

    Examples
    --------
    >>> from dissect_eval import Detections, GroundTruth
    >>> truth = GroundTruth.from_coco(
    ...     {
    ...         "images": [{"id": 1}],
    ...         "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
    ...         "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 2, 2]}],
    ...     }
    ... )
    >>> found = Detections.from_arrays([([[0, 0, 2, 1], [5, 5, 9, 9]], [0.1, 0.9], [0, 1])], [1], [1, 2])
    >>> result = matched_metrics(truth, found)
    >>> result.mean_giou, result.f1_weighted, result.n_unmatched_detections
    (0.5, 1.0, 1)
    """
    truth, _, aligned, _ = checked_pair(truth, detections, check=check)
    pairs = pairs_of_aligned(truth, aligned)
    true, predicted = truth.category_ids[pairs.truth_index], aligned.category_ids[pairs.detection_index]
    paired = paired_labels_f1(true, predicted)
    agree = true == predicted
    undefined: dict[str, str] = {}
    if not len(pairs):
        undefined = {"mean_giou": NO_PAIR, "f1_weighted": NO_PAIR}
    if not (truth.n_boxes or aligned.n_boxes):
        undefined["f1_micro_with_unmatched"] = "there is neither truth nor a detection"
    micro, per_class = _with_unmatched(truth.category_ids, aligned.category_ids, true[agree])
    return MatchedMetrics(
        mean_giou=float(pairs.giou.mean()) if len(pairs) else float("nan"),
        giou_per_class=PerClass(_mean_per_class(true[agree], pairs.giou[agree]), truth.category_names),
        f1_weighted=paired.weighted,
        f1_per_class=PerClass(
            zip(paired.labels.tolist(), paired.f1.tolist(), strict=True), truth.category_names
        ),
        f1_micro_with_unmatched=micro,
        f1_per_class_with_unmatched=PerClass(per_class, truth.category_names),
        n_images=truth.n_images,
        n_images_without_truth=int((np.diff(truth.image_splits) == 0).sum()),
        n_images_without_detections=int((np.diff(aligned.image_splits) == 0).sum()),
        n_truth=truth.n_boxes,
        n_detections=aligned.n_boxes,
        n_pairs=len(pairs),
        n_unmatched_truth=truth.n_boxes - len(pairs),
        n_unmatched_detections=aligned.n_boxes - len(pairs),
        undefined=undefined,
    )


def _mean_per_class(categories: Ints, values: np.ndarray[Any, np.dtype[np.float64]]) -> dict[int, float]:
    present, place, counts = np.unique(categories, return_inverse=True, return_counts=True)
    means = np.bincount(place.reshape(-1), weights=values, minlength=len(present)) / counts
    return dict(zip(present.tolist(), means.tolist(), strict=True))


def _with_unmatched(truth: Ints, detections: Ints, hits: Ints) -> tuple[float, dict[int, float]]:
    """Return F1 where every box that is not in an agreeing pair is an error: micro, and per category."""
    present = np.union1d(truth, detections)
    n_truth, n_detections, n_hits = (
        np.bincount(np.searchsorted(present, x), minlength=len(present)) for x in (truth, detections, hits)
    )
    per_class = f1_of_counts(n_hits, n_detections - n_hits, n_truth - n_hits)
    micro = f1_of_counts(n_hits.sum(), (n_detections - n_hits).sum(), (n_truth - n_hits).sum())
    return float(micro), dict(zip(present.tolist(), per_class.tolist(), strict=True))
