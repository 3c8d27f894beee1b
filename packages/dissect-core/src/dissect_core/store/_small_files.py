"""The small files of a study's folder: plain data as JSON, and tables whose columns are known beforehand."""

import errno
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import StudyError
from ..storage import is_remote, read_regular, require_regular, why_refused, write_bytes_whole
from ..storage.locations import reached
from . import _file_names
from ._pages import decoded_size

BLOCK_BYTES = 2**20
BYTES_OF_A_FILE = 2**31
DIGITS_AT_MOST = 100
BYTES_OF_A_ROW = 2**16
"""Most bytes of a row of a plan or a list of images: far more than rows have on average."""
BYTES_OF_A_TABLE = 2**24
"""Beside its rows."""
BYTES_OF_TABLES = 2**29
ROWS_OF_A_BYTE = 16
"""More than names of images, however regular, are compressed to."""
_PLACES = pa.list_(pa.struct([("path", pa.string()), ("units", pa.list_(pa.int64()))]))


def _known(name: str, kind: pa.DataType) -> pa.Field:
    """Return a column in which every row has a value."""
    return pa.field(name, kind, nullable=False)


COLUMNS: dict[str, pa.Schema] = {
    "plan.parquet": pa.schema(
        [
            *(_known(name, pa.string()) for name in ("id", "ablation", "kind", "unit", "intervention")),
            *(_known(name, pa.int64()) for name in ("n_units", "n_available")),
            _known("dose", pa.float64()),
            ("repeat", pa.int64()),
            ("removed", _PLACES),
            ("n_parameters", pa.int64()),
            ("share", pa.float64()),
            ("n_merged", pa.int64()),
            ("space", pa.string()),
            ("control_of", pa.string()),
            ("merged", pa.list_(pa.string())),
            ("singles", pa.list_(pa.string())),
        ]
    ),
    "images.parquet": pa.schema(
        [_known("file_name", pa.string()), _known("image_id", pa.int64()), ("sha256", pa.string())]
    ),
    "effects.parquet": pa.schema(
        [
            _known("id", pa.string()),
            ("output_change", pa.float64()),
            ("no_op", pa.string()),
            ("flops_saved", pa.float64()),
        ]
    ),
}


def read_small(path: Path) -> bytes:
    """Read all of a file that is small in any study.

    Raises
    ------
    OSError
        If it is missing, cannot be read, or is not small.
    """
    with reached(path):
        if path.is_file() and path.stat().st_size > BYTES_OF_A_FILE:
            raise OSError(errno.EFBIG, f"it has more than {BYTES_OF_A_FILE:,} bytes")
    return read_regular(path)


def write_json(path: Path, content: Any) -> None:
    """Write plain data, whole or not at all."""
    text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    write_bytes_whole(path, text.encode())


def read_json(path: Path) -> Any:
    """Read plain data.

    Raises
    ------
    StudyError
        If the file is missing or damaged.
    """
    try:
        return parse_json(read_small(path))
    except FileNotFoundError:
        raise StudyError(f"{path.parent} is no study: it holds no {path.name}.") from None
    except OSError as error:
        raise StudyError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (ValueError, RecursionError, MemoryError) as error:
        text = " ".join(str(error).split())[:200]
        raise StudyError(f"{path} is damaged: {text}. Restore it from a copy.") from error


def parse_json(content: bytes) -> Any:
    """Read plain data from JSON, in which no name is given twice.

    Raises
    ------
    ValueError, RecursionError
        If it is none.
    """
    return json.loads(content.decode("utf-8"), object_pairs_hook=_once, parse_int=_number)


def _number(text: str) -> int:
    if len(text) > DIGITS_AT_MOST:
        raise ValueError(f"it holds a number of {len(text):,} digits")
    return int(text)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        name = next(name for name, n in Counter(name for name, _ in pairs).items() if n > 1)
        raise ValueError(f"it gives {name[:100]!r} twice")
    return found


@contextmanager
def parquet_file(path: Path) -> Iterator[tuple[pq.ParquetFile, pa.NativeFile]]:
    """Open a Parquet file, and its bytes; of one in an object store, only what is asked for is fetched, in blocks."""
    with ExitStack() as stack:
        if is_remote(path):
            stack.enter_context(reached(path))
            options: Any = {"block_size": BLOCK_BYTES}  # of fsspec's files
            source = pa.PythonFile(stack.enter_context(path.open("rb", **options)), mode="r")
        else:
            require_regular(path)
            source = stack.enter_context(pa.OSFile(str(path)))
        yield stack.enter_context(pq.ParquetFile(source, page_checksum_verification=True)), source


def encode_table(table: pa.Table) -> bytes:
    """Return the content of the file of a small table."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue())


def decode_table(content: bytes, path: Path, columns: tuple[str, ...], n_rows: int | None = None) -> pa.Table:
    """Read a small table from the content of its file, which must have some columns.

    Raises
    ------
    StudyError
        If it is damaged, lacks a column, or has other than so many rows.
    """
    try:
        source = pa.BufferReader(content)
        with pq.ParquetFile(source, pre_buffer=False) as file:
            _require_size(file.metadata, n_rows, source)
            # On this thread alone: one of Arrow's that lets go of Python's bytes while Python ends stops the process.
            table = file.read(use_threads=False)
        table.validate(full=True)
        require_types(table, COLUMNS[path.name])
    except (pa.ArrowException, OSError, KeyError, ValueError, OverflowError, MemoryError) as error:
        raise damaged(path, error) from error
    missing = [name for name in columns if name not in table.column_names]
    if missing:
        raise damaged(path, f"it has no column {', '.join(missing)}")
    return table


def _require_size(about: pq.FileMetaData, n_rows: int | None, source: pa.NativeFile) -> None:
    """Refuse a file that claims a wrong or impossible size, before any memory is reserved for it."""
    if n_rows is not None and about.num_rows != n_rows:
        raise ValueError(f"it has {about.num_rows:,} rows instead of {n_rows:,}")
    n_bytes = decoded_size(source, about, range(about.num_row_groups))
    at_most = min(BYTES_OF_A_TABLE + about.num_rows * BYTES_OF_A_ROW, BYTES_OF_TABLES)
    if n_bytes > at_most or about.num_rows > ROWS_OF_A_BYTE * source.size():
        raise ValueError(f"it would take {n_bytes:,} bytes, for {about.num_rows:,} rows")


def damaged(path: Path, reason: object) -> StudyError:
    """Return the error for a file whose content is not what was written."""
    text = " ".join(str(reason).split()).rstrip(".")[:200] or type(reason).__name__
    return StudyError(
        f"{path} is damaged: {text}. Restore it, or run the study again with `repair` (--repair)."
    )


def put_aside(path: Path) -> None:
    """Rename a damaged file, so that it counts no more and is not lost.

    Raises
    ------
    StudyError
        If it cannot be renamed.
    """
    aside = path.with_name(f"{path.name}{_file_names.DAMAGED}")
    try:
        with reached(path):
            path.rename(aside)
    except OSError as error:
        raise StudyError(
            f"{path} is damaged, and cannot be put aside as {aside.name}: {why_refused(error)}."
        ) from error


def fault_of(look: Callable[[], object]) -> StudyError | None:
    """Run a check of a file, and return the error that it raises for damage; None if it raises none."""
    try:
        look()
    except StudyError as error:
        return error
    return None


def require_types(table: pa.Table, expected: pa.Schema) -> None:
    """See that columns hold what they are written with; a type of nulls alone stands for any.

    Raises
    ------
    ValueError
        If one does not; it is named.

    Examples
    --------
    >>> require_types(pa.table({"id": [1, 2]}), COLUMNS["effects.parquet"])
    Traceback (most recent call last):
    ValueError: its column `id` must be string, is int64
    """
    for field in expected:
        if field.name not in table.column_names:
            continue
        column = table.column(field.name)
        if not _is_of(column.type, field.type):
            raise ValueError(f"its column `{field.name}` must be {field.type}, is {str(column.type)[:100]}")
        if column.null_count and not field.nullable:
            raise ValueError(f"its column `{field.name}` lacks a value")


def _is_of(kind: pa.DataType, wanted: pa.DataType) -> bool:
    """Return whether a type is the one that is wanted, as far as there were values to tell."""
    if pa.types.is_list(kind) and pa.types.is_list(wanted):
        return _is_of(kind.value_type, wanted.value_type)
    if pa.types.is_integer(kind) and pa.types.is_floating(wanted):  # all of them whole
        return True
    return pa.types.is_null(kind) or bool(kind.equals(wanted))
