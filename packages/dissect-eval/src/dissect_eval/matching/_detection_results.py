"""Results of `detection` mode: scores, overall, per category and by size, and the counts behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .._per_class import PerClass
from .._plain import as_record
from .._readable import Readable, class_records, number_text, undefined_lines

__all__ = ["ClassMetrics", "DetectionMetrics", "Scores"]


@dataclass(frozen=True)
class Scores:
    """Precision, recall and F1, each in [0, 1], NaN where undefined."""

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class ClassMetrics:
    """Results for one category, or for one size of objects; NaN where undefined.

    Attributes
    ----------
    n_truth, n_detections : int
        Counted true boxes and detections.
    n_true_positives, n_false_positives, n_false_negatives : int
        A true box that is not found is a false negative.
    precision, recall, f1 : float
        TP / detections, TP / truth and 2 TP / (truth + detections).
    mean_giou : float
        Mean GIoU of the true positives.
    """

    n_truth: int
    n_detections: int
    n_true_positives: int
    n_false_positives: int
    n_false_negatives: int
    precision: float
    recall: float
    f1: float
    mean_giou: float


@dataclass(frozen=True)
class DetectionMetrics(Readable):
    """Detection as a count of hits, misses and false alarms at one IoU threshold and score cut.

    Attributes
    ----------
    iou_threshold, score_threshold : float
        The settings, because F1 means nothing without them.
    micro : Scores
        From the counts of all categories together.
    macro : Scores
        Mean over the categories for which each is defined; F1 is the mean of F1s.
    weighted : Scores
        The same, weighted by the number of true boxes.
    mean_giou : float
        Mean GIoU of all true positives; NaN if there is none.
    per_class : mapping of int to ClassMetrics
        Every category of the ground truth by its id or name, used or not; ``per_class.by_name`` has all by name.
    by_size : mapping of str to ClassMetrics
        "small", "medium" and "large" as COCO has them: area up to 32², from 32² to 96², from 96² pixels, both
        ends included. Hits and misses go by the area of the truth, false positives by that of their box.
    n_images, n_images_without_truth, n_images_without_detections : int
        All images count; those without counted truth, and those without a detection above the cut.
    n_truth, n_regions, n_degenerate_truth : int
        True boxes to be found; crowd and ignored regions, which are not; boxes without area among the
        first, which nothing can match.
    n_detections, n_true_positives, n_false_positives, n_false_negatives : int
        Counted detections are true or false positives.
    n_excused, n_below_score, n_dropped : int
        Detections in a crowd or ignored region, under the score cut, and dropped on loading.
    undefined : mapping of str to str
        Why a field is NaN.
    notes : tuple of str
        Which categories the macro and weighted means leave out.
    """

    iou_threshold: float
    score_threshold: float
    micro: Scores
    macro: Scores
    weighted: Scores
    mean_giou: float
    per_class: PerClass[ClassMetrics]
    by_size: Mapping[str, ClassMetrics]
    n_images: int
    n_images_without_truth: int
    n_images_without_detections: int
    n_truth: int
    n_regions: int
    n_degenerate_truth: int
    n_detections: int
    n_true_positives: int
    n_false_positives: int
    n_false_negatives: int
    n_excused: int
    n_below_score: int
    n_dropped: int
    undefined: Mapping[str, str]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return all fields ready for JSON; NaN becomes None."""
        return as_record(self)

    def lines(self) -> list[str]:
        """Return the averages and the counts behind them."""
        head = f"IoU {self.iou_threshold:g}, score {self.score_threshold:g}"
        lines = [f"{head:24}{'precision':>10}{'recall':>8}{'F1':>8}"]
        for name in ("micro", "macro", "weighted"):
            one = getattr(self, name)
            lines.append(
                f"{name:24}{number_text(one.precision):>10}{number_text(one.recall):>8}{number_text(one.f1):>8}"
            )
        lines.append(
            f"{self.n_truth:,} objects in {self.n_images:,} images: {self.n_true_positives:,} found, "
            f"{self.n_false_negatives:,} missed; {self.n_false_positives:,} false positives; mean GIoU of those found "
            f"{number_text(self.mean_giou)}"
        )
        out = {
            "in crowd or ignored regions": self.n_excused,
            "under the score": self.n_below_score,
            "dropped": self.n_dropped,
        }
        if any(out.values()):
            lines.append("left out: " + ", ".join(f"{n:,} {what}" for what, n in out.items() if n))
        return [*lines, *undefined_lines(self.undefined), *self.notes]

    def records(self) -> list[dict[str, Any]]:
        """Return the numbers of each category, with its name."""
        names = ("n_truth", "n_detections", "n_true_positives", "n_false_positives", "n_false_negatives")
        return class_records(
            self.per_class, **{name: name for name in (*names, "precision", "recall", "f1", "mean_giou")}
        )
