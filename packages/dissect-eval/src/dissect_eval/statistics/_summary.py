"""Everything about one set of detections in one call: both modes, COCO AP, chance level and counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._plain import as_record
from .._readable import Readable, number_text
from ..boxes import degenerate_rows
from ..coco import DEFAULT, CocoAP, Ranking, TieBreak, ap_of_aligned, coco_ap, index_of, rank, tell_cut
from ..data import (
    Detections,
    DetectionsLike,
    GroundTruth,
    OnUnknown,
    TruthHealth,
    TruthLike,
    checked_pair,
    count_repeats,
    require_threshold,
)
from ..matching import (
    ChanceLevel,
    ChanceVerdict,
    DetectionMetrics,
    MatchedMetrics,
    better_than_chance,
    chance_of_aligned,
    matched_metrics,
    metrics_of_aligned,
    require_draws,
)

__all__ = ["DetectionCounts", "Evaluation", "evaluate"]


@dataclass(frozen=True)
class DetectionCounts:
    """What the detections look like, before any score cut.

    Attributes
    ----------
    n_images, n_images_not_run, n_images_without_detections : int
        Images of the split; those that the detector has not seen; those without a detection.
    n_detections, n_dropped : int
        Detections of known images and categories, and those left out on loading.
    n_degenerate, n_negative : int
        Boxes without area, and those among them that came with a negative width or height.
    n_duplicate : int
        Boxes that repeat another of the same image and category.
    """

    n_images: int
    n_images_not_run: int
    n_images_without_detections: int
    n_detections: int
    n_dropped: int
    n_degenerate: int
    n_negative: int
    n_duplicate: int


@dataclass(frozen=True)
class Evaluation(Readable):
    """All results of `evaluate`.

    Attributes
    ----------
    detection : DetectionMetrics
        Precision, recall and F1 with every miss and false positive counted.
    matched : MatchedMetrics
        The numbers of Deep Dissect 1.0.
    ap : CocoAP or None
        COCO's twelve numbers; None if not asked for.
    chance : ChanceLevel or None
        The same numbers for as many random boxes per image; None if not asked for.
    better_than_chance : ChanceVerdict or None
        Whether the detections are better than chance; None if not asked for.
    truth : TruthHealth
        Counts over the ground truth.
    detections : DetectionCounts
        Counts over the detections.
    category_names : dict of int to str
        Names of the categories by id, for the results per category.
    warnings : tuple of str
        Reasons to doubt that truth and detections belong together.
    """

    detection: DetectionMetrics
    matched: MatchedMetrics
    ap: CocoAP | None
    chance: ChanceLevel | None
    better_than_chance: ChanceVerdict | None
    truth: TruthHealth
    detections: DetectionCounts
    category_names: dict[int, str]
    warnings: tuple[str, ...]

    def lines(self) -> list[str]:
        """Return everything that was measured, the common numbers first, and what looks like a mistake before them."""
        lines = [f"WARNING: {text}" for text in self.warnings]
        if self.ap is not None:
            lines += [*self.ap.lines(), ""]
        lines += [*self.detection.lines(), ""]
        lines.append(
            "Pairs by optimal matching, as Deep Dissect 1.0 measured: mean GIoU "
            f"{number_text(self.matched.mean_giou)}, F1 of their classes {number_text(self.matched.f1_weighted)}. "
            "Misses and false positives do not count in them."
        )
        if self.chance is not None:
            lines.append(f"As many random boxes reach mean GIoU {number_text(self.chance.mean_giou)}.")
        return lines

    def records(self) -> list[dict[str, Any]]:
        """Return a row for each category: AP, precision, recall, F1 and counts."""
        rows = self.detection.records()
        if self.ap is None:
            return rows
        return [{**row, "AP": self.ap.per_class[row["category_id"]]} for row in rows]

    def to_dict(self) -> dict[str, Any]:
        """Return all results ready for JSON: integer keys as text, NaN as None (see `undefined` for why)."""
        return as_record(self)


def evaluate(
    truth: TruthLike,
    detections: DetectionsLike,
    *,
    iou_threshold: float = 0.5,
    score_threshold: float = 0.3,
    ap: bool = True,
    chance_repeats: int = 3,
    seed: int = 0,
    tie_break: TieBreak = "canonical",
    on_unknown: OnUnknown = "error",
    check: bool = True,
) -> Evaluation:
    """Score detections against ground truth in every way this package knows.

    Parameters
    ----------
    truth : GroundTruth, path or mapping
        The split, or a COCO file or its content. To score a part pass ``truth.subset(detections.image_ids)``.
    detections : Detections, path or list of dict
        Detections, or a COCO results file or its content. Images of `truth` that they do not cover count as run without
        a detection, and are counted.
    iou_threshold, score_threshold : float
        Settings of `detection_metrics`.
    ap : bool
        Whether to compute COCO AP.
    chance_repeats : int
        Draws of `chance_level`; 0 leaves it out, and `better_than_chance` too.
    seed : int
        Seed of `chance_level` and `better_than_chance`.
    tie_break : {"canonical", "input"}
        Setting of `coco_ap`.
    on_unknown : {"error", "drop"}
        What to do with a detection of an image or category that `truth` does not have.
    check : bool
        Whether to look for mistakes that would score without an error, and warn; see `check_split`. In a study of many
        variants check the baseline.

    Returns
    -------
    Evaluation

    Warns
    -----
    SplitWarning
        If `check` finds such a sign; once for the same truth and detections. The signs are in the result too.

    Raises
    ------
    SettingError
        If a setting is out of range.
    DetectionError
        If a detection has an unknown image or category and `on_unknown` is "error".

    Examples
    --------
    >>> truth = GroundTruth.from_coco(
    ...     {
    ...         "images": [{"id": 1, "width": 50, "height": 50}],
    ...         "categories": [{"id": 1, "name": "cat"}],
    ...         "annotations": [{"id": 0, "image_id": 1, "category_id": 1, "bbox": [0, 0, 20, 20]}],
    ...     }
    ... )
    >>> found = Detections.from_arrays([([[0, 0, 20, 20]], [0.9], [0])], [1], [1])
    >>> result = evaluate(truth, found)
    >>> result.detection.micro.f1, result.matched.mean_giou, round(result.ap.AP, 6)
    (1.0, 1.0, 1.0)
    """
    pair = checked_pair(truth, detections, check=check, on_unknown=on_unknown)
    truth, aligned = pair.truth, pair.aligned
    require_threshold(score_threshold, aligned)
    if check and ap:
        tell_cut(truth, pair.given, DEFAULT)
    not_run = len(np.setdiff1d(truth.image_ids, pair.given.image_ids))
    counts = np.diff(aligned.image_splits)
    ranking = rank(index_of(truth, "canonical"), aligned, "canonical")
    chance = None
    if chance_repeats:
        require_draws(chance_repeats, seed)
        chance = chance_of_aligned(
            truth, aligned, ranking, seed, chance_repeats, iou_threshold, score_threshold, ap
        )
    return Evaluation(
        detection=metrics_of_aligned(truth, aligned, iou_threshold, score_threshold, ranking),
        matched=matched_metrics(truth, aligned, check=False),
        ap=_ap(truth, aligned, tie_break, ranking) if ap else None,
        chance=chance,
        better_than_chance=better_than_chance(truth, aligned, seed) if chance_repeats else None,
        truth=truth.health(),
        detections=DetectionCounts(
            n_images=truth.n_images,
            n_images_not_run=not_run,
            n_images_without_detections=int((counts == 0).sum()),
            n_detections=aligned.n_boxes,
            n_dropped=aligned.n_dropped,
            n_degenerate=int(degenerate_rows(aligned.boxes).sum()),
            n_negative=aligned.n_negative,
            n_duplicate=count_repeats(aligned.image_index, aligned.category_ids, aligned.boxes),
        ),
        category_names=dict(truth.category_names),
        warnings=pair.doubts,
    )


def _ap(truth: GroundTruth, aligned: Detections, tie_break: TieBreak, ranking: Ranking) -> CocoAP:
    if tie_break == "canonical":
        return ap_of_aligned(truth, aligned, ranking=ranking)
    return coco_ap(truth, aligned, tie_break=tie_break, check=False)
