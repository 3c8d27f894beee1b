"""Shards: Parquet files with the detections of all variants on some images, whole or not there at all."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..errors import StudyError
from ..files import write_whole
from . import _layout
from ._rows import SCHEMA

MARK = b"dissect_core.study"
ROWS_OF_A_GROUP = 256
"""About how many rows are read together: enough to compress, few enough to read one variant alone."""
REQUESTS_AT_ONCE = 32
_DAMAGE = (pa.ArrowException, OSError, KeyError, ValueError, OverflowError, MemoryError)


def write_shard(path: Path, table: pa.Table, fingerprint: str) -> None:
    """Write a table in a file; equal tables give equal bytes."""
    marked = table.replace_schema_metadata({MARK: fingerprint.encode()})
    write_whole(
        path,
        lambda file: pq.write_table(
            marked,
            file,
            row_group_size=_group_size(table),
            compression="zstd",
            use_dictionary=["variant", "image", "status", "masked", "changed"],
            use_byte_stream_split=["boxes.list.element", "scores.list.element"],
            column_encoding=None,
            write_page_index=False,
        ),
        StudyError,
    )


def _group_size(table: pa.Table) -> int:
    """Rows of a group: those of some whole variants, so that one variant lies in one group of each shard."""
    n_variants = len(table.column("variant").unique()) if table.num_rows else 1
    each: int = max(1, table.num_rows // max(1, n_variants))
    return each * max(1, ROWS_OF_A_GROUP // each)


def is_whole(path: Path, fingerprint: str, n_rows: int) -> bool:
    """Whether a file is a shard of this study with all of its rows."""
    try:
        with _layout.parquet_file(path) as file:
            _check(file, path, fingerprint)
            return bool(file.metadata.num_rows == n_rows)
    except (StudyError, *_DAMAGE):
        return False


def in_parallel(checks: Sequence[Callable[[], bool]], at_once: bool) -> list[bool]:
    """Results of checks, many at a time where each waits for an object store."""
    if not at_once:
        return [check() for check in checks]
    with ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool:
        return list(pool.map(lambda check: check(), checks))


def read_shard(
    path: Path, fingerprint: str, variants: Sequence[int] | None = None, columns: Sequence[str] | None = None
) -> pa.Table:
    """Read some variants and columns of a shard, or all; other row groups stay unread.

    Raises
    ------
    StudyError
        If the file is damaged, or no shard of this study.
    """
    try:
        with _layout.parquet_file(path) as file:
            _check(file, path, fingerprint)
            groups = list(range(file.num_row_groups))
            if variants is not None:
                groups = [i for i in groups if _may_hold(file.metadata.row_group(i), variants)]
            names = None if columns is None else list(dict.fromkeys(["variant", *columns]))
            table = file.read_row_groups(groups, columns=names)
            table.validate(full=True)
            if "queries" not in file.schema_arrow.names and (names is None or "queries" in names):
                nothing = pa.nulls(table.num_rows, SCHEMA.field("queries").type)
                table = table.append_column(SCHEMA.field("queries"), nothing)
    except _DAMAGE as error:
        raise StudyError(
            f"The shard {path} is damaged: {' '.join(str(error).split())}. Delete it and run the study again."
        ) from error
    if variants is None:
        return table
    return table.filter(pc.is_in(table.column("variant"), pa.array(list(variants), pa.int32())))


def _check(file: pq.ParquetFile, path: Path, fingerprint: str) -> None:
    schema = file.schema_arrow
    without_queries = SCHEMA.remove(SCHEMA.get_field_index("queries"))  # studies of earlier versions
    if not any(schema.equals(each, check_metadata=False) for each in (SCHEMA, without_queries)):
        raise StudyError(
            f"The file {path} is no shard of detections: it has the columns {', '.join(schema.names)}."
        )
    if (schema.metadata or {}).get(MARK, b"") != fingerprint.encode():
        raise StudyError(f"The shard {path} belongs to another study. Take it out of the folder.")


def _may_hold(group: pq.RowGroupMetaData, variants: Sequence[int]) -> bool:
    statistics = group.column(0).statistics
    if statistics is None or not statistics.has_min_max:
        return True
    return any(statistics.min <= variant <= statistics.max for variant in variants)
