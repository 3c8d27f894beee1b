"""Names of a study folder's files, and reading the small ones of them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import StudyError
from ..files import read_regular, require_regular, write_whole
from ..places import is_remote, reached

SPEC = "spec.yaml"
ENVIRONMENT = "environment.json"
PLAN = "plan.parquet"
IMAGES = "images.parquet"
TRUTH = "truth.json"
DETECTIONS = "detections"
EFFECTS = "effects.parquet"
LOG = "log.jsonl"
REFERENCE = "reference.npz"
OPTIMAL = "optimal"
BLOCK_BYTES = 2**20


def shard_name(number: int) -> str:
    """File of a shard, below the folder of detections."""
    return f"shard-{number:05d}.parquet"


def part_name(number: int, batch: int) -> str:
    """File of one batch of a shard that is not complete."""
    return f"part-{number:05d}-{batch:05d}.parquet"


def write_json(path: Path, content: Any) -> None:
    """Write plain data, whole or not at all."""
    text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    write_whole(path, lambda file: file.write(text.encode()), StudyError)


def read_json(path: Path) -> Any:
    """Read plain data.

    Raises
    ------
    StudyError
        If the file is missing or damaged.
    """
    try:
        return json.loads(read_regular(path).decode("utf-8"))
    except FileNotFoundError:
        raise StudyError(f"{path.parent} is no study: it holds no {path.name}.") from None
    except OSError as error:
        raise StudyError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        raise StudyError(f"{path} is damaged: {' '.join(str(error).split())[:200]}.") from error


@contextmanager
def parquet_file(path: Path) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file; of one in an object store, only what is asked for is fetched, in blocks."""
    if not is_remote(path):
        require_regular(path)
        with pq.ParquetFile(path) as file:
            yield file
        return
    options: Any = {"block_size": BLOCK_BYTES}  # of fsspec's files
    with reached(path), path.open("rb", **options) as source, pq.ParquetFile(source) as file:
        yield file


def write_table(path: Path, table: pa.Table) -> None:
    """Write a small table, whole or not at all."""
    write_whole(path, lambda file: pq.write_table(table, file, compression="zstd"), StudyError)


def read_table(path: Path, columns: tuple[str, ...]) -> pa.Table:
    """Read a small table that must have some columns.

    Raises
    ------
    StudyError
        If the file is missing, damaged, or lacks a column.
    """
    with reached(path):
        if not path.is_file():
            raise StudyError(f"{path.parent} is no study: it holds no {path.name}.")
    try:
        with parquet_file(path) as file:
            table = file.read()
        table.validate(full=True)
    except (pa.ArrowException, OSError, KeyError, ValueError, OverflowError) as error:
        raise StudyError(f"{path} is damaged: {' '.join(str(error).split())[:200]}.") from error
    missing = [name for name in columns if name not in table.column_names]
    if missing:
        raise StudyError(f"{path} is damaged: it has no column {', '.join(missing)}.")
    return table
