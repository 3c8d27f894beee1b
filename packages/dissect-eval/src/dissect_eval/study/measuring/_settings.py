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
"""Metrics of a study unless others are asked for; all there are is `dissect_eval.METRICS`."""

DEFAULT_METRIC = "AP"
"""Metric of tables, pictures, comparisons and `simplify` unless another is asked for: COCO's own."""

ALPHA = 0.05
"""Level of significance of everything that is said to be found."""
RESOLUTION = 0.01
"""Corrected p-values can fall below this, so that clear losses do not all have the p-value of the level itself."""
REPLICATES = 1000
MOST_REPLICATES = 20_000
"""Most resamples that are drawn without being asked for: enough for a thousand variants on many images."""


@dataclass(frozen=True)
class Settings:
    """Settings of a study's measurement.

    Attributes
    ----------
    metrics : tuple of str
        Of `dissect_eval.METRICS`.
    n_replicates : int, optional
        Resamples of the paired bootstrap; 0 leaves intervals and p-values out. Left out, 1,000, and for p-values of
        `n_for_p`.
    n_for_p : int, optional
        Resamples for p-values over all categories that are small. Left out, `n_replicates` if that is given, else as
        many as it takes for one to be below 0.01 when it is corrected for the number of variants, up to 20,000.
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
        """Return settings with as many resamples as a study of so many tested variants and images needs.

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
        return Resampling(n_replicates, self.confidence, seed=self.seed, n_for_p=self.n_for_p or 0)
