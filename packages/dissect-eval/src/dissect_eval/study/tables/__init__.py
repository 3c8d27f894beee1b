"""A study's numbers as tables: rows, files, data frames, groups of variants, and two studies side by side."""

from ._compare import Comparison, compare
from ._doses import dose_rows
from ._frames import frame
from ._groups import DRAWS_FOR_A_BAND, Group, Row, controls_of, groups_of, is_single, variant_groups
from ._rows import class_table, error_rows, summary_rows
from ._tables import StudyTables

__all__ = [
    "DRAWS_FOR_A_BAND",
    "Comparison",
    "Group",
    "Row",
    "StudyTables",
    "class_table",
    "compare",
    "controls_of",
    "dose_rows",
    "error_rows",
    "frame",
    "groups_of",
    "is_single",
    "summary_rows",
    "variant_groups",
]
