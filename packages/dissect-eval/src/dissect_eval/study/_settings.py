"""How a study is measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .._resampled import Resampling
from .._statistics import Settings as Statistics

__all__ = ["DEFAULT_METRIC", "METRICS", "Settings"]

METRICS = (
    "AP",
    "AP50",
    "AP75",
    "APs",
    "APm",
    "APl",
    "AR100",
    "f1",
    "precision",
    "recall",
    "giou",
    "matched_giou",
    "matched_f1",
)

DEFAULT_METRIC = "AP"
"""What tables, pictures, comparisons and `simplify` are about unless another metric is asked for: COCO's own."""


@dataclass(frozen=True)
class Settings:
    """How a study is measured.

    Attributes
    ----------
    metrics : tuple of str
        Of `dissect_eval.METRICS`.
    n_replicates : int
        Resamples of the paired bootstrap; 0 leaves intervals and p-values out.
    confidence : float
    score_threshold, iou_threshold : float
        Of F1, precision and recall.
    correction : {"holm", "bh", "none"}
        Of p-values, for the number of variants.
    seed : int
    common_classes : bool
        Score the classes that detector and truth both know; see `dissect_eval.match_classes`.
    class_map : mapping of str to (str or None), optional
        For names of the detector the truth's names; see there. What a study was begun with need not be given again.
    """

    metrics: tuple[str, ...] = METRICS
    n_replicates: int = 1000
    confidence: float = 0.95
    score_threshold: float = 0.3
    iou_threshold: float = 0.5
    correction: Any = "holm"
    seed: int = 0
    common_classes: bool = False
    class_map: Mapping[str, str | None] | None = None

    @property
    def statistics(self) -> Statistics:
        """What the metrics need to know.

        Raises
        ------
        SettingError
            If one is unknown or out of range.
        """
        return Statistics(
            self.metrics,
            per_class=True,
            iou_threshold=self.iou_threshold,
            score_threshold=self.score_threshold,
        )

    @property
    def resampling(self) -> Resampling:
        """How images are resampled.

        Raises
        ------
        SettingError
            If a number is out of range.
        """
        return Resampling(self.n_replicates, self.confidence, seed=self.seed)
