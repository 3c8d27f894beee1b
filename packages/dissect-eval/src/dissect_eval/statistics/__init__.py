"""Intervals, p-values and tables over resampled images, for one or many variants."""

from ._accumulator import Accumulator as Accumulator
from ._beside import Beside as Beside, Measured as Measured, variant_table as variant_table
from ._bootstrap import BootstrapResult as BootstrapResult, bootstrap as bootstrap
from ._compared import standard_errors as standard_errors
from ._intervals import (
    Correction as Correction,
    RepeatSummary as RepeatSummary,
    adjust_p_values as adjust_p_values,
    least_p_value as least_p_value,
    replicates_needed as replicates_needed,
    summarize_repeats as summarize_repeats,
    t_intervals as t_intervals,
)
from ._metrics import METRICS as METRICS, Floats as Floats, Key as Key, MetricSettings as MetricSettings
from ._resampled import Resampling as Resampling
from ._summary import DetectionCounts as DetectionCounts, Evaluation as Evaluation, evaluate as evaluate
from ._variant_table import VariantRow as VariantRow, VariantTable as VariantTable
from ._variants import evaluate_variants as evaluate_variants
