"""Checksums of the values in tables, taken after decoding: so damage anywhere between memory and file is seen."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

MARK = b"dissect_core.sha256"
"""Where a shard keeps them: for each column one of each row group."""


def column_sha256(column: pa.ChunkedArray) -> str:
    """Return the SHA-256 of a column of numbers or lists of numbers: values, lengths of the lists, and nulls.

    Examples
    --------
    >>> two = pa.chunked_array([[[0.5], [1.5, 2.5]]])
    >>> column_sha256(two) == column_sha256(pa.chunked_array([[[0.5]], [[1.5, 2.5]]]))
    True
    >>> column_sha256(two) == column_sha256(pa.chunked_array([[[0.5, 1.5], [2.5]]]))
    False
    """
    digest = hashlib.sha256()
    parts = column.chunks
    if pa.types.is_list(column.type):
        for part in parts:
            lengths = pc.fill_null(pc.list_value_length(part), -1)
            digest.update(np.ascontiguousarray(numbers_of(lengths)).data)
        parts = [part.flatten() for part in parts]
    for part in parts:
        digest.update(np.ascontiguousarray(numbers_of(part)).data)
    return digest.hexdigest()


def numbers_of(array: pa.Array) -> NDArray[Any]:
    """Return the values of an Arrow array.

    By DLPack where that will do: `to_numpy` imports pandas where that is installed, for which `status` would wait.

    Examples
    --------
    >>> numbers_of(pa.array([1, 2])), numbers_of(pa.array([0.5, None]))
    (array([1, 2]), array([0.5, nan]))
    """
    plain = pa.types.is_integer(array.type) or pa.types.is_floating(array.type)
    if plain and not array.null_count and len(array):
        return np.from_dlpack(array)
    return np.asarray(array.to_numpy(zero_copy_only=False))


def group_checksums(table: pa.Table, group_size: int) -> bytes:
    """Checksums of a table that is to be written in groups of so many rows, as its file keeps them."""
    groups = [table.slice(start, group_size) for start in range(0, table.num_rows, group_size)]
    found = {name: [column_sha256(group.column(name)) for group in groups] for name in table.column_names}
    return json.dumps(found, separators=(",", ":")).encode()


def kept_checksums(metadata: Mapping[bytes, bytes]) -> dict[str, list[str]] | None:
    """Checksums that a file keeps; None if it keeps none.

    Raises
    ------
    ValueError
        If they are damaged.
    """
    if MARK not in metadata:
        return None
    try:
        found = json.loads(metadata[MARK])
    except RecursionError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(each, list) for each in found.values()):
        raise ValueError("its checksums are damaged")
    return found


def require_checksums(table: pa.Table, kept: Mapping[str, Sequence[str]], group: int) -> None:
    """See that each column of a row group is what was written.

    Raises
    ------
    ValueError
        If one is not; it is named.
    """
    for name in table.column_names:
        if kept.get(name, [])[group : group + 1] != [column_sha256(table.column(name))]:
            raise ValueError(f"its column `{name}` is not what was written")
