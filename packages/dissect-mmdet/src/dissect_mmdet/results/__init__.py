"""What a study found out: its metrics, tables and report."""

from ._found import TRUTH, StudyDetections, kept_truth, truth_file
from ._measure import METRICS, Settings, StudyResults, measure
from ._tables import class_rows, error_rows, summary_rows, write_results

__all__ = [
    "METRICS",
    "TRUTH",
    "Settings",
    "StudyDetections",
    "StudyResults",
    "class_rows",
    "error_rows",
    "kept_truth",
    "measure",
    "summary_rows",
    "truth_file",
    "write_results",
]
