"""Settings of a study's measurement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ...statistics import Correction, MetricSettings, Resampling, replicates_needed

__all__ = ["ALPHA", "DEFAULT_METRIC", "REPLICATES", "STUDY_METRICS", "Settings"]

STUDY_METRICS = (
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
"""Metrics of a study unless others are asked for; `dissect_eval.METRICS` names all."""

DEFAULT_METRIC = "AP"
"""Metric of tables, figures, comparisons and `simplify` unless another is asked for: COCO's main one."""

ALPHA = 0.05
"""Level of significance of all findings."""
RESOLUTION = 0.01
"""By default there are enough resamples for corrected p-values below this, so that clear losses stand out."""
REPLICATES = 1000
MOST_REPLICATES = 20_000
"""Most resamples that are drawn without being asked for: enough for a thousand variants on many images."""


@dataclass(frozen=True)
class Settings:
    """Settings of a study's measurement.

    Attributes
    ----------
    metrics : tuple of str
        Some of `dissect_eval.METRICS`.
    n_replicates : int, optional
        Resamples of the paired bootstrap; 0 leaves intervals and p-values out. If not given, 1,000, and for small
        p-values `n_for_p`.
    n_for_p : int, optional
        Resamples for small p-values over all categories. If not given, `n_replicates` if that is given, else as many as
        a p-value corrected for the number of variants needs to fall below 0.01, up to 20,000.
    confidence : float
        Coverage of the intervals, in (0, 1).
    score_threshold, iou_threshold : float
        Settings of `dissect_eval.detection_metrics`.
    correction : {"holm", "bh", "none"}
        How p-values are corrected for the number of variants.
    seed : int
        Seed of the resamples.
    common_classes : bool
        Whether to score only the classes that detector and truth share; see `dissect_eval.match_classes`.
    class_map : mapping of str to (str or None), optional
        The truth's names by the detector's; see `dissect_eval.match_classes`. One that the study was begun with need
        not be given again.
    """

    metrics: tuple[str, ...] = STUDY_METRICS
    n_replicates: int | None = None
    confidence: float = 0.95
    score_threshold: float = 0.3
    iou_threshold: float = 0.5
    correction: Correction = "holm"
    seed: int = 0
    common_classes: bool = False
    class_map: Mapping[str, str | None] | None = None
    n_for_p: int | None = None

    def of_study(self, n_tests: int, n_images: int) -> Settings:
        """Return settings with as many resamples as a study with these numbers of tested variants and images needs.

        Examples
        --------
        >>> Settings().of_study(5, 5000).n_for_p, Settings().of_study(35, 5000).n_for_p
        (1000, 3540)
        >>> Settings(n_replicates=200).of_study(300, 5000).n_for_p
        200
        """
        if self.n_replicates is not None:
            return replace(self, n_for_p=self.n_replicates if self.n_for_p is None else self.n_for_p)
        enough = min(replicates_needed(n_tests, n_images, RESOLUTION), MOST_REPLICATES)
        n_for_p = max(REPLICATES, int(enough)) if self.n_for_p is None else self.n_for_p
        return replace(self, n_replicates=REPLICATES, n_for_p=n_for_p)

    @property
    def statistics(self) -> MetricSettings:
        """Settings of the metrics.

        Raises
        ------
        SettingError
            If one is unknown or out of range.
        """
        return MetricSettings(
            self.metrics,
            per_class=True,
            iou_threshold=self.iou_threshold,
            score_threshold=self.score_threshold,
        )

    @property
    def resampling(self) -> Resampling:
        """Settings of the resampling.

        Raises
        ------
        SettingError
            If a number is out of range.
        """
        n_replicates = REPLICATES if self.n_replicates is None else self.n_replicates
        return Resampling(n_replicates, self.confidence, "t", seed=self.seed, n_for_p=self.n_for_p or 0)
