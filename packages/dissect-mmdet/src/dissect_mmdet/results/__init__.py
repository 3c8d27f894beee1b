"""What a study found out: its metrics and tables (`dissect_eval.study`), its report, and slimmer models."""

from dissect_eval.study import (
    DEFAULT_METRIC,
    METRICS,
    TRUTH,
    Comparison,
    Example,
    NamedFigure,
    Settings,
    Spread,
    StudyDetections,
    StudyResults,
    StudyTables,
    class_table,
    compare,
    error_rows,
    examples,
    figures,
    in_processes,
    kept_truth,
    measure,
    summary_rows,
    truth_file,
)

from ._redundant import Slimmed, removable, slim
from ._report import latex_table, write_report
from ._write import write_results

__all__ = [
    "DEFAULT_METRIC",
    "METRICS",
    "TRUTH",
    "Comparison",
    "Example",
    "NamedFigure",
    "Settings",
    "Slimmed",
    "Spread",
    "StudyDetections",
    "StudyResults",
    "StudyTables",
    "class_table",
    "compare",
    "error_rows",
    "examples",
    "figures",
    "in_processes",
    "kept_truth",
    "latex_table",
    "measure",
    "removable",
    "slim",
    "summary_rows",
    "truth_file",
    "write_report",
    "write_results",
]
