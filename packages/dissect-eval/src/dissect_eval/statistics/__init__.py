"""Intervals, p-values and tables over resampled images, for one or many variants."""

from ._beside import Beside, Measured, variant_table
from ._bootstrap import BootstrapResult, bootstrap
from ._intervals import (
    Correction,
    RepeatSummary,
    adjust_p_values,
    least_p_value,
    percentile_intervals,
    replicates_needed,
    summarize_repeats,
)
from ._metrics import METRICS, Floats, Key, MetricSettings
from ._resampled import Resampling
from ._summary import DetectionCounts, Evaluation, evaluate
from ._variant_table import VariantRow, VariantTable
from ._variants import evaluate_variants

__all__ = [
    "METRICS",
    "Beside",
    "BootstrapResult",
    "Correction",
    "DetectionCounts",
    "Evaluation",
    "Floats",
    "Key",
    "Measured",
    "MetricSettings",
    "RepeatSummary",
    "Resampling",
    "VariantRow",
    "VariantTable",
    "adjust_p_values",
    "bootstrap",
    "evaluate",
    "evaluate_variants",
    "least_p_value",
    "percentile_intervals",
    "replicates_needed",
    "summarize_repeats",
    "variant_table",
]
