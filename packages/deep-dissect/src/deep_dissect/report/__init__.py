"""The report of a study: one page, tables as files, and a table for papers."""

from ._latex import latex_table
from ._report import (
    FORMATS as FORMATS,
    counted_variants as counted_variants,
    say_nothing as say_nothing,
    write_report,
    write_results,
)

__all__ = ["latex_table", "write_report", "write_results"]
