"""A study's numbers as tables: rows, files, data frames, groups of variants, and two studies side by side."""

from ._compare import Comparison as Comparison, compare as compare
from ._doses import dose_rows as dose_rows
from ._frames import frame as frame
from ._groups import (
    DRAWS_FOR_A_BAND as DRAWS_FOR_A_BAND,
    Group as Group,
    Row as Row,
    controls_of as controls_of,
    groups_of as groups_of,
    is_single as is_single,
    variant_groups as variant_groups,
)
from ._names import BlockName as BlockName, block_names as block_names, variant_names as variant_names
from ._rows import class_table as class_table, error_rows as error_rows, summary_rows as summary_rows
from ._tables import StudyTables as StudyTables
