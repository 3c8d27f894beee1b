"""What a study found out: its metrics, tables and report."""

from ._compare import Comparison, compare
from ._examples import Example, examples
from ._figures import NamedFigure, figures
from ._found import TRUTH, StudyDetections, kept_truth, truth_file
from ._measure import METRICS, Settings, StudyResults, measure
from ._redundant import Slimmed, removable, slim
from ._report import latex_table, write_report
from ._tables import class_table, error_rows, summary_rows, write_results

__all__ = [
    "METRICS",
    "TRUTH",
    "Comparison",
    "Example",
    "NamedFigure",
    "Settings",
    "Slimmed",
    "StudyDetections",
    "StudyResults",
    "class_table",
    "compare",
    "error_rows",
    "examples",
    "figures",
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
