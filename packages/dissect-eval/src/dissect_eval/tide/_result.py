"""Results of the decomposition of errors into TIDE's types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .._per_class import PerClass
from .._plain import as_record
from .._readable import Readable, number_text, undefined_lines

if TYPE_CHECKING:
    from ..coco import TieBreak

__all__ = ["ClassErrors", "ErrorTypes"]


@dataclass(frozen=True)
class ClassErrors:
    """Error types of one category; NaN where undefined.

    Attributes
    ----------
    n_truth, n_detections, n_true_positives, n_false_negatives : int
        Counted true boxes and detections, as in `ErrorTypes`.
    counts : mapping of str to int
        Errors by type: of detections under the category that they give, Miss under that of the truth.
    ap : float
        Average precision at the foreground threshold.
    delta_ap : mapping of str to float
        Change of this category's AP when an error type is fixed in all categories.
    """

    n_truth: int
    n_detections: int
    n_true_positives: int
    n_false_negatives: int
    counts: Mapping[str, int]
    ap: float
    delta_ap: Mapping[str, float]


@dataclass(frozen=True)
class ErrorTypes(Readable):
    """Errors of a detector by type, and the average precision that each type costs.

    Attributes
    ----------
    foreground, background : float
        IoU thresholds: of a hit, and under which a detection is background.
    tie_break : str
        How tied scores were ordered.
    counts : mapping of str to int
        Number of errors of type Cls, Loc, Both, Dupe, Bkg and Miss. The first five add up to the false
        positives; Miss is at most the number of false negatives.
    ap : float
        Mean over the categories of average precision at the foreground threshold, in [0, 1]. At .5 this is
        the AP50 of `coco_ap`.
    delta_ap : mapping of str to float
        AP gained if all errors of that type, and of no other, are fixed. The gains do not add up to 1 − `ap`.
        ``FalsePos`` and ``FalseNeg`` are TIDE's special types: no false positives, and no false negatives. NaN
        where no detection is a hit and a fix makes none.
    per_class : mapping of int to ClassErrors
        Every category of the ground truth by its id or name.
    n_truth, n_detections, n_true_positives, n_false_negatives : int
        Counted true boxes; detections that are hits or errors; hits; true boxes that are not found.
    n_regions, n_excused : int
        Crowd and ignored boxes; detections excused by one.
    n_cut, n_dropped : int
        Detections beyond the best 100 of their image and category, and dropped on loading.
    undefined : mapping of str to str
        Why a field is NaN.
    """

    foreground: float
    background: float
    tie_break: TieBreak
    counts: Mapping[str, int]
    ap: float
    delta_ap: Mapping[str, float]
    per_class: PerClass[ClassErrors]
    n_truth: int
    n_detections: int
    n_true_positives: int
    n_false_negatives: int
    n_regions: int
    n_excused: int
    n_cut: int
    n_dropped: int
    undefined: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Return all fields ready for JSON; NaN becomes None."""
        return as_record(self)

    def lines(self) -> list[str]:
        """Return the errors by type, and the AP that each costs."""
        lines = [
            f"AP at IoU {self.foreground:g}: {number_text(self.ap)}",
            f"{'error':10}{'count':>10}{'AP gained if fixed':>20}",
        ]
        for name, gain in self.delta_ap.items():
            count = f"{self.counts[name]:,}" if name in self.counts else ""
            lines.append(f"{name:10}{count:>10}{number_text(gain):>20}")
        return lines + undefined_lines(self.undefined)

    def records(self) -> list[dict[str, Any]]:
        """Return a row for each type of error."""
        return [
            {"error": name, "count": self.counts.get(name), "delta_ap": gain}
            for name, gain in self.delta_ap.items()
        ]
