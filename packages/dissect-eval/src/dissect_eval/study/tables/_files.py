"""Tables of a study as files: written as Parquet and CSV, and read back only if they are what was written."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..._plain import csv_text
from ...errors import MissingExtraError, StudyDataError
from ..stored import content_of, require_written, unreadable
from ._checked import require_columns, require_size

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["csv_bytes", "parquet_bytes", "pyarrow", "read_table", "rows_of", "with_note", "with_nulls"]


def pyarrow() -> Any:
    """Return pyarrow, or raise an error that says how to install it."""
    try:
        import pyarrow as library
    except ImportError as error:
        raise MissingExtraError(
            'Tables of studies need pyarrow, which is not installed: pip install "dissect-eval[study]"'
        ) from error
    return library


def read_table(path: Path, columns: tuple[str, ...], sums: Any) -> pa.Table:
    """Return the table in a Parquet file, after a check that it is what was written and not too large.

    Parameters
    ----------
    path : Path
    columns : tuple of str
        Columns that it must have.
    sums : mapping of str to str, or None
        Checksums of the study's tables by file name; earlier versions had none.

    Raises
    ------
    StudyDataError
        If the file cannot be read, is not what was written, or lacks a column.
    """
    import pyarrow.parquet as pq

    pa = pyarrow()
    try:
        content = content_of(path)
        require_written(path, content, sums)
        with pq.ParquetFile(pa.BufferReader(content)) as file:
            require_size(file.metadata, len(content))
            table = file.read(use_threads=False)
        table.validate(full=True)
        require_columns(table)
    except (OSError, ValueError, MemoryError, pa.ArrowException) as error:
        raise unreadable(path, error) from error
    missing = [name for name in columns if name not in table.column_names]
    if missing:
        raise StudyDataError(
            f"{path} must have the columns {', '.join(columns)}, it lacks {', '.join(missing)}."
        )
    return table


def rows_of(table: pa.Table) -> list[dict[str, Any]]:
    """Return the rows of a table, with NaN where a number is undefined."""
    pa = pyarrow()
    numbers = {field.name for field in table.schema if pa.types.is_floating(field.type)}
    return [
        {name: math.nan if value is None and name in numbers else value for name, value in row.items()}
        for row in table.to_pylist()
    ]


def csv_bytes(table: pa.Table) -> bytes:
    """Return a table as a CSV file, without columns of lists, and with texts that no spreadsheet runs as formulas."""
    from pyarrow.csv import write_csv

    pa = pyarrow()
    cells = [field.name for field in table.schema if not pa.types.is_list(field.type)]  # a list fits no cell
    for i, column in enumerate((table := table.select(cells)).columns):
        if pa.types.is_string(column.type):
            texts = [None if text is None else csv_text(text) for text in column.to_pylist()]
            table = table.set_column(i, cells[i], pa.array(texts, pa.string()))
    sink = io.BytesIO()
    write_csv(table, sink)
    return sink.getvalue()


def parquet_bytes(table: pa.Table) -> bytes:
    """Return a table as a Parquet file."""
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def with_note(table: pa.Table, note: str) -> pa.Table:
    """Return the table with the note in each row, as `missing_weights`: a table may be read without its report."""
    pa = pyarrow()
    if not note or "missing_weights" in table.column_names:
        return table
    return table.append_column("missing_weights", pa.array([note] * table.num_rows, pa.string()))


def with_nulls(table: pa.Table) -> pa.Table:
    """Return the table with nulls for numbers that are NaN or infinite."""
    import pyarrow.compute as pc

    pa = pyarrow()
    for i, column_field in enumerate(table.schema):
        if pa.types.is_floating(column_field.type):
            column = table.column(i)
            table = table.set_column(
                i, column_field, pc.if_else(pc.is_finite(column), column, pa.scalar(None, column_field.type))
            )
    return table
