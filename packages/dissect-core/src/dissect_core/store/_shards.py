"""Shards: Parquet files with the detections of all variants on some images, whole or not there at all."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..errors import StudyError
from ..storage.files import write_whole
from ..storage.locations import is_remote
from . import _small_files
from ._checksums import MARK as CHECKSUMS, group_checksums, kept_checksums, numbers_of, require_checksums
from ._pages import decoded_size
from ._rows import SCHEMA

MARK = b"dissect_core.study"
ROWS_OF_A_GROUP = 256
"""About how many rows are read together: enough to compress, few enough to read one variant alone."""
REQUESTS_AT_ONCE = 32
T = TypeVar("T")
_DAMAGE = (pa.ArrowException, OSError, KeyError, ValueError, OverflowError, MemoryError, RecursionError)
_BYTES_OF_A_GROUP = 2**20
_BYTES_OF_A_ROW = 2**18
"""Most bytes of a row: enough for a thousand detections."""
_BYTES_OF_A_BYTE = 256
"""Most decoded bytes for each byte of the file: detections compress far less."""


class MissingShardError(StudyError):
    """A shard that was listed is not there: joined from its parts, perhaps, by a run that is at work."""


def write_shard(path: Path, table: pa.Table, fingerprint: str) -> None:
    """Write a table in a file, with checksums of what it holds; equal tables give equal bytes."""
    size = _group_size(table)
    marked = table.replace_schema_metadata(
        {MARK: fingerprint.encode(), CHECKSUMS: group_checksums(table, size)}
    )
    write_whole(
        path,
        lambda file: pq.write_table(
            marked,
            file,
            row_group_size=size,
            compression="zstd",
            use_dictionary=["variant", "image", "status", "masked", "changed"],
            use_byte_stream_split=["boxes.list.element", "scores.list.element"],
            column_encoding=None,
            write_page_index=False,
            write_page_checksum=True,
        ),
        StudyError,
    )


def _group_size(table: pa.Table) -> int:
    """Return the rows of a group: those of some whole variants, so that a variant lies in one group of each shard."""
    n_variants = len(table.column("variant").unique()) if table.num_rows else 1
    each: int = max(1, table.num_rows // max(1, n_variants))
    return each * max(1, ROWS_OF_A_GROUP // each)


def in_parallel(checks: Sequence[Callable[[], T]], at_once: bool) -> list[T]:
    """Return the results of checks, done many at a time where each waits for an object store."""
    if not at_once:
        return [check() for check in checks]
    with ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool:
        return list(pool.map(lambda check: check(), checks))


@dataclass(frozen=True)
class ShardFile:
    """A file of detections, and what it must hold: one row for each variant and image, in this order.

    Attributes
    ----------
    path : Path
    fingerprint : str
        Checksum of the study's facts.
    n_variants : int
    images : range
        Numbers of its images.
    is_checked : bool
        Whether it must hold checksums; files of earlier versions hold none.
    """

    path: Path
    fingerprint: str
    n_variants: int
    images: range
    is_checked: bool = True

    def look(self) -> None:
        """See that this is the file, as far as its footer tells.

        Raises
        ------
        StudyError
            If it is damaged, or no shard of this study.
        """
        with self._opened():
            pass

    def check(self) -> None:
        """See that it holds what was written, all of it.

        Raises
        ------
        StudyError
            If it does not.
        """
        for _ in self._groups(None, None):
            pass

    def read(self, variants: Sequence[int] | None = None, columns: Sequence[str] | None = None) -> pa.Table:
        """Read some variants and columns, or all; other row groups stay unread. What is read is what was written.

        Raises
        ------
        StudyError
            If the file is damaged, or no shard of this study.
        """
        return pa.concat_tables(list(self._groups(variants, columns)))

    def _groups(self, variants: Sequence[int] | None, columns: Sequence[str] | None) -> Iterator[pa.Table]:
        """Read the variants and columns asked for, row group by row group."""
        wanted = None if variants is None else set(variants)
        with self._opened() as (file, source):
            kept, start, n = kept_checksums(file.schema_arrow.metadata or {}), 0, len(self.images)
            for number in range(file.num_row_groups):
                end = start + file.metadata.row_group(number).num_rows
                if wanted is None or wanted & set(range(start // n, -(-end // n))):
                    table = self._group(file, source, number, range(start, end), columns)
                    if kept is not None:
                        require_checksums(table, kept, number)
                    yield self._chosen(table, variants, columns)
                start = end
            if wanted is not None and not wanted & set(range(self.n_variants)):
                yield self._chosen(SCHEMA.empty_table(), variants, columns)

    def _group(
        self,
        file: pq.ParquetFile,
        source: pa.NativeFile,
        number: int,
        rows: range,
        columns: Sequence[str] | None,
    ) -> pa.Table:
        """Read a row group, and check that its rows are those that it must have."""
        wanted = SCHEMA.names if columns is None else dict.fromkeys(["variant", "image", *columns])
        names = [name for name in wanted if name in file.schema_arrow.names]
        self._require_pages(file.metadata, source, number, names)
        # Bytes of an object store are Python's: one of Arrow's threads that lets go of them while Python ends stops it.
        table = file.read_row_group(number, columns=names, use_threads=not is_remote(self.path))
        table.validate(full=True)
        expected = np.arange(rows.start, rows.stop)
        for name, numbers in (
            ("variant", expected // len(self.images)),
            ("image", self.images.start + expected % len(self.images)),
        ):
            column = table.column(name).combine_chunks()
            if column.null_count or not np.array_equal(numbers_of(column), numbers):
                raise ValueError(f"its rows are not those of the study's variants and images (`{name}`)")
        return table

    def _chosen(
        self, table: pa.Table, variants: Sequence[int] | None, columns: Sequence[str] | None
    ) -> pa.Table:
        """Select the variants and columns asked for, with columns that older files lack filled in."""
        names = SCHEMA.names if columns is None else list(dict.fromkeys(["variant", *columns]))
        if "queries" in names and "queries" not in table.column_names:
            nothing = pa.nulls(table.num_rows, SCHEMA.field("queries").type)
            table = table.append_column(SCHEMA.field("queries"), nothing)
        table = table.select(names).replace_schema_metadata()
        if variants is None:
            return table
        # Of a buffer, as `pa.array` imports pandas where that is installed, for which `status` would wait.
        numbers = pa.py_buffer(np.array(list(variants), dtype=np.int32))
        wanted = pa.Array.from_buffers(pa.int32(), len(variants), [None, numbers])
        return table.filter(pc.is_in(table.column("variant"), wanted))

    @contextmanager
    def _opened(self) -> Iterator[tuple[pq.ParquetFile, pa.NativeFile]]:
        """Open the file, once its footer is that of this shard: nothing is allocated by what the file says before."""
        try:
            with _small_files.parquet_file(self.path) as (file, source):
                self._require_footer(file, source)
                yield file, source
        except FileNotFoundError as error:
            raise MissingShardError(f"The shard {self.path} is not there any more.") from error
        except _DAMAGE as error:
            reason = " ".join(str(error).split()).rstrip(".")[:300] or type(error).__name__
            raise StudyError(
                f"The shard {self.path} is damaged: {reason}. Run the study again with `repair` (--repair): this file "
                "is put aside and computed again."
            ) from error

    def _require_footer(self, file: pq.ParquetFile, source: pa.NativeFile) -> None:
        schema = file.schema_arrow
        without_queries = SCHEMA.remove(SCHEMA.get_field_index("queries"))  # studies of earlier versions
        if not any(schema.equals(each, check_metadata=False) for each in (SCHEMA, without_queries)):
            raise ValueError(
                f"it is no shard of detections, but has the columns {', '.join(schema.names)[:200]}"
            )
        metadata = schema.metadata or {}
        if metadata.get(MARK, b"") != self.fingerprint.encode():
            raise ValueError("it belongs to another study")
        kept = kept_checksums(metadata)
        if kept is None and self.is_checked:
            raise ValueError("it has no checksums, so that it is not what was written")
        if kept is not None and list(kept) != schema.names:
            raise ValueError("its columns are not those that were written")
        n_rows = self.n_variants * len(self.images)
        groups = [file.metadata.row_group(i) for i in range(min(file.num_row_groups, n_rows + 1))]
        if file.metadata.num_rows != n_rows or sum(group.num_rows for group in groups) != n_rows:
            raise ValueError(
                f"it has {file.metadata.num_rows:,} rows instead of {n_rows:,}, one for each of {self.n_variants:,} "
                f"variants and {len(self.images):,} images"
            )
        if any(group.num_rows < 1 for group in groups):
            raise ValueError("it has a group of no rows")
        if sum(map(_stored_size, groups)) > source.size():
            raise ValueError("its columns would take more bytes than the file has")

    def _require_pages(
        self, about: pq.FileMetaData, source: pa.NativeFile, number: int, names: list[str]
    ) -> None:
        """See that a row group is as large as detections are, before anything of it is allocated."""
        group = about.row_group(number)
        n_bytes = decoded_size(source, about, range(number, number + 1), names)
        at_most = (
            _BYTES_OF_A_GROUP + group.num_rows * _BYTES_OF_A_ROW + _stored_size(group) * _BYTES_OF_A_BYTE
        )
        if n_bytes > at_most:
            raise ValueError(f"{n_bytes:,} bytes are too many for {group.num_rows:,} rows of detections")


def _stored_size(group: pq.RowGroupMetaData) -> int:
    """Return the bytes of a row group in its file."""
    return sum(group.column(i).total_compressed_size for i in range(group.num_columns))
