"""The headers of a Parquet file's pages, compared with its footer before anything is decoded.

Arrow allocates by the headers of pages, and the footer that was checked before may understate them: five kilobytes
became six gigabytes. So a reader asks here first. Headers are Thrift's compact protocol, one between any two pages; see
https://github.com/apache/parquet-format and its `parquet.thrift`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

_DATA, _DICTIONARY, _DATA_V2 = 0, 2, 3
_DETAILS = {_DATA: 5, _DICTIONARY: 7, _DATA_V2: 8}
"""Kinds of pages, and which field of a header is about each."""
_ENCODING = {_DATA: 2, _DICTIONARY: 2, _DATA_V2: 4}
_PLAIN, _RLE, _BYTE_STREAM_SPLIT = 0, 3, 9
_BY_DICTIONARY = (2, 8)
_TYPES = ("BOOLEAN", "INT32", "INT64", "FLOAT", "DOUBLE", "BYTE_ARRAY")
_HEADER_BYTES = 2**16
"""Largest header: Arrow cuts the statistics in it at a few kilobytes."""
_DEPTH = 4
_VALUE_BYTES = 16
"""Memory that a number, or a reference to a text, takes with its levels."""


def decoded_size(source: Any, about: pq.FileMetaData, groups: range, names: list[str] | None = None) -> int:
    """Return how many bytes row groups take at most when decoded, after a check of their pages against the footer.

    Parameters
    ----------
    source : file
        With `seek`, `read` and `size`, as Arrow's are.
    about : pyarrow.parquet.FileMetaData
    groups : range
        Numbers of row groups.
    names : list of str, optional
        Columns; all, if left out.

    Raises
    ------
    ValueError
        If a page's header is damaged, of a kind that is not written here, or contradicts the footer.
    """
    columns = (about.row_group(group).column(i) for group in groups for i in range(about.num_columns))
    return sum(
        _chunk_size(source, column)
        for column in columns
        if names is None or column.path_in_schema.split(".")[0] in names
    )


def _chunk_size(source: Any, column: pq.ColumnChunkMetaData) -> int:
    """Return how many bytes a column of one row group takes at most, by the headers of its pages."""
    if not column.num_values:  # Arrow reads nothing then
        return 0
    if column.physical_type not in _TYPES:
        raise ValueError(f"its column {column.path_in_schema} has the unknown type {column.physical_type}")
    start = column.data_page_offset
    if column.dictionary_page_offset:
        start = min(start, column.dictionary_page_offset)
    end = start + column.total_compressed_size
    if not 4 <= start <= end <= source.size():
        raise ValueError(f"its column {column.path_in_schema} lies outside of the file")
    size, n_bytes, n_values, longest = 0, 0, 0, 0
    while start < end:
        source.seek(start)
        header = _Header(source.read(min(_HEADER_BYTES, end - start)))
        kind, n_full, n_stored = (_count(header.fields, field) for field in (1, 2, 3))
        details = header.fields.get(_DETAILS.get(kind, -1))
        if not isinstance(details, dict):
            raise ValueError(f"its column {column.path_in_schema} has a page of the unknown kind {kind}")
        n, encoding = _count(details, 1), _count(details, _ENCODING[kind])
        if kind == _DICTIONARY:
            if n > n_full or longest:
                raise ValueError(f"the dictionary of its column {column.path_in_schema} is damaged")
            longest = _VALUE_BYTES
            if column.physical_type == "BYTE_ARRAY":
                source.seek(start + header.size)
                longest += _longest(source.read(n_stored), n_full, n, column.compression)
        elif encoding in _BY_DICTIONARY:
            size, n_values = size + n * longest, n_values + n
        elif encoding in (_PLAIN, _RLE, _BYTE_STREAM_SPLIT):
            size, n_values = size + n * _VALUE_BYTES, n_values + n
        else:
            raise ValueError(f"its column {column.path_in_schema} has the unknown encoding {encoding}")
        n_bytes += header.size + n_full
        start += header.size + n_stored
    if start != end or n_values != column.num_values or n_bytes != column.total_uncompressed_size:
        raise ValueError(f"its column {column.path_in_schema} has other pages than its footer says")
    return size + n_bytes


def _longest(content: bytes, n_full: int, n: int, compression: str) -> int:
    """Return the bytes of the longest text in a dictionary."""
    if compression != "UNCOMPRESSED":
        try:
            content = pa.decompress(content, n_full, compression.lower(), asbytes=True)
        except (pa.ArrowException, OSError) as error:
            raise ValueError(f"a dictionary of it cannot be read: {error}") from error
    at, longest = 0, 0
    for _ in range(n):
        length = int.from_bytes(content[at : at + 4], "little")
        at, longest = at + 4 + length, max(longest, length)
    if at > len(content):
        raise ValueError("a dictionary of it is cut off")
    return longest


def _count(fields: Mapping[int, Any], field: int) -> int:
    """Return a field of a header that must be there and not negative."""
    value = fields.get(field)
    if type(value) is not int or value < 0:
        raise ValueError("a header of its pages is damaged")
    return value


class _Header:
    """A page's header: `fields` by their numbers, whole numbers and structs of them, and its `size` in bytes."""

    def __init__(self, content: bytes) -> None:
        self._content, self.size = content, 0
        self._readers: dict[int, Callable[[int], Any]] = {
            1: lambda _: True,
            2: lambda _: False,
            3: lambda _: self._take(1),
            **dict.fromkeys((4, 5, 6), lambda _: self._signed()),
            7: lambda _: self._take(8),
            8: lambda _: self._take(self._varint()),
            12: self._struct,
        }
        self.fields = self._struct(0)

    def _struct(self, depth: int) -> dict[int, Any]:
        found: dict[int, Any] = {}
        field = 0
        while (mark := self._take(1)[0]) != 0:
            field = field + (mark >> 4) if mark >> 4 else self._signed()
            read = self._readers.get(mark & 15)
            if read is None or field in found or depth == _DEPTH:
                raise ValueError("a header of its pages is damaged")
            found[field] = read(depth + 1)
        return found

    def _take(self, n: int) -> bytes:
        taken = self._content[self.size : self.size + n]
        if len(taken) < n:
            raise ValueError("a header of its pages is cut off")
        self.size += n
        return taken

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._take(1)[0]
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            if (shift := shift + 7) > 63:
                raise ValueError("a header of its pages is damaged")

    def _signed(self) -> int:
        value = self._varint()
        return value >> 1 ^ -(value & 1)
