"""Detections of many variants as columns of one Arrow table, made and read without a loop over detections."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ..detections import ImageDetections
from ..errors import StudyError

Status = Literal["ok", "bad image", "not finite"]
DETECTIONS_AT_MOST = 100_000
"""Most detections of one image; a file that claims more is not read."""
STATUSES: tuple[Status, ...] = ("ok", "bad image", "not finite")

# Single-precision boxes fit double precision exactly, and take hardly more room when compressed by byte streams.
SCHEMA: pa.Schema = pa.schema(
    [
        pa.field("variant", pa.int32(), nullable=False),
        pa.field("image", pa.int32(), nullable=False),
        pa.field("status", pa.int8(), nullable=False),
        pa.field("masked", pa.int64(), nullable=False),
        pa.field("changed", pa.int64(), nullable=False),
        pa.field("boxes", pa.list_(pa.field("element", pa.float64(), nullable=False)), nullable=False),
        pa.field("scores", pa.list_(pa.field("element", pa.float64(), nullable=False)), nullable=False),
        pa.field("labels", pa.list_(pa.field("element", pa.int32(), nullable=False)), nullable=False),
        pa.field("queries", pa.list_(pa.field("element", pa.int32(), nullable=False))),
    ]
)
"""One row for each variant and image: their numbers in the plan and in the list of images, how it went, how many
values the variant masked and changed, and what was found, as in `ImageDetections`; `queries` are null where unknown."""


@dataclass(frozen=True)
class Row:
    """What a variant found in one image."""

    variant: int
    image: int
    status: Status
    masked: int
    changed: int
    found: ImageDetections | None


def rows_to_table(rows: Iterable[Row]) -> pa.Table:
    """Make a table of rows, ordered by variant and image."""
    ordered = sorted(rows, key=lambda row: (row.variant, row.image))
    nothing = ImageDetections(np.zeros((0, 4)), np.zeros(0), np.zeros(0, dtype=np.int64))
    found = [row.found or nothing for row in ordered]
    counts = np.array([len(one.scores) for one in found], dtype=np.int64)
    if len(counts) and counts.max() > DETECTIONS_AT_MOST:
        raise StudyError(
            f"The detector gives {counts.max():,} detections for one image; a study keeps at most "
            f"{DETECTIONS_AT_MOST:,}. Let the detector keep the best of them."
        )
    columns = [
        pa.array([row.variant for row in ordered], pa.int32()),
        pa.array([row.image for row in ordered], pa.int32()),
        pa.array([STATUSES.index(row.status) for row in ordered], pa.int8()),
        pa.array([row.masked for row in ordered], pa.int64()),
        pa.array([row.changed for row in ordered], pa.int64()),
        _lists("boxes", [one.boxes.reshape(-1) for one in found], 4 * counts, np.float64),
        _lists("scores", [one.scores for one in found], counts, np.float64),
        _lists("labels", [one.labels for one in found], counts, np.int32),
        _queries(found, counts),
    ]
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def _queries(found: list[ImageDetections], counts: NDArray[np.int64]) -> pa.Array:
    """Return the object queries of detections; null for images whose detector has none."""
    parts = [one.queries for one in found]
    known = np.array([part is not None for part in parts])
    values = _lists("queries", [part for part in parts if part is not None], counts * known, np.int32)
    return pa.ListArray.from_arrays(
        values.offsets, values.values, type=SCHEMA.field("queries").type, mask=pa.array(~known)
    )


def _lists(name: str, parts: list[NDArray[Any]], counts: NDArray[np.int64], dtype: type) -> pa.Array:
    values: NDArray[Any] = np.concatenate([np.zeros(0, dtype=dtype), *parts]).astype(dtype, copy=False)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    if offsets[-1] != len(values):
        raise StudyError(
            f"`{name}` of an image must fit its {int(counts.sum())} scores, got {len(values)} values. "
            "Check the detector with `check_detector`."
        )
    if offsets[-1] > np.iinfo(np.int32).max:
        raise StudyError(f"{offsets[-1]:,} values are too many for one shard. Take fewer images a shard.")
    kind = SCHEMA.field(name).type
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(values), type=kind)


def flat(column: pa.ChunkedArray, dtype: type) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the values of a column of lists in one array, and how many each row has."""
    whole = column.combine_chunks()
    if isinstance(whole, pa.ChunkedArray):  # an empty one keeps its chunks
        whole = pa.concat_arrays(whole.chunks) if whole.num_chunks else pa.array([], whole.type)
    counts = np.diff(whole.offsets.to_numpy(zero_copy_only=False)).astype(np.int64)
    return whole.flatten().to_numpy(zero_copy_only=False).astype(dtype, copy=False), counts


def is_finite(found: ImageDetections) -> bool:
    """Return whether all numbers of an image's detections are finite."""
    return bool(np.isfinite(found.boxes).all() and np.isfinite(found.scores).all())
