"""Numbers and pictures of a study in a folder: many variants of a detector on one data split.

Takes any `StoredStudy`, such as `dissect_core.study.Study`. Needs the extra ``study``, which brings pyarrow, and for
pictures the extra ``plot``.
"""

from ._compare import Comparison, compare
from ._examples import Example, examples
from ._figures import NamedFigure, figures, title_of
from ._found import TRUTH, ImageBoxes, StudyDetections, kept_truth, truth_file
from ._measure import METRICS, Settings, StudyResults, measure
from ._stored import StoredFound, StoredImage, StoredStudy
from ._tables import StudyTables, class_table, error_rows, summary_rows

__all__ = [
    "METRICS",
    "TRUTH",
    "Comparison",
    "Example",
    "ImageBoxes",
    "NamedFigure",
    "Settings",
    "StoredFound",
    "StoredImage",
    "StoredStudy",
    "StudyDetections",
    "StudyResults",
    "StudyTables",
    "class_table",
    "compare",
    "error_rows",
    "examples",
    "figures",
    "kept_truth",
    "measure",
    "summary_rows",
    "title_of",
    "truth_file",
]
