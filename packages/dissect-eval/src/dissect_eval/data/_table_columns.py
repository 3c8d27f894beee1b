"""Detections from tables of one row per box: columns of pandas, Arrow, Parquet, or arrays by name."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._arrays import Ints, group_rows, splits_of
from .._text import quoted
from ..errors import DetectionError, MissingExtraError
from ._columns import DetectionColumns
from ._records import duplicates, listing

__all__ = ["columns_of_table"]

CORNERS = (
    ("x_min", "y_min", "x_max", "y_max"),
    ("xmin", "ymin", "xmax", "ymax"),
    ("x1", "y1", "x2", "y2"),
    ("left", "top", "right", "bottom"),
)
SIZES = (("x", "y", "width", "height"), ("x", "y", "w", "h"), ("left", "top", "width", "height"))
NEEDED = ("image_id", "category_id", "score")
MOST_LISTED = 20

Floats = NDArray[np.float64]


def columns_of_table(
    table: Any, image_ids: Iterable[int] | None, names: Mapping[str, str] | None
) -> DetectionColumns:
    """Return the columns of `Detections` from a table of one row per box."""
    given = _Table(_read(table), names or {})
    image, category = given.whole("image_id"), given.whole("category_id")
    scores = given.numbers("score")
    boxes, sizes = _boxes(given)
    lengths = {
        "image_id": len(image),
        "category_id": len(category),
        "score": len(scores),
        "the boxes": len(boxes),
    }
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} {n}" for name, n in lengths.items())
        raise DetectionError(f"The columns of `table` must be of one length, got {told}.")
    known = _images(image, image_ids)
    index = _places(known, image)
    order = None if (np.diff(index) >= 0).all() else group_rows(index, len(known))[0]
    negative = (sizes[:, 0] < 0) | (sizes[:, 1] < 0)
    if negative.any():
        sizes[negative] = 0
        boxes[negative, 2:] = boxes[negative, :2]

    def in_order(column: NDArray[Any]) -> NDArray[Any]:
        return column if order is None else column.take(order, axis=0)

    return DetectionColumns(
        image_ids=known,
        image_splits=splits_of(np.bincount(index, minlength=len(known))),
        boxes=in_order(boxes),
        sizes=in_order(sizes),
        scores=in_order(scores),
        category_ids=in_order(category),
        n_dropped=0,
        n_negative=int(negative.sum()),
        notes=(),
    )


class _Table:
    """Columns by name, as NumPy arrays."""

    def __init__(self, table: Any, names: Mapping[str, str]) -> None:
        self._table = table
        columns = getattr(table, "column_names", None)  # Arrow's
        if columns is None:
            columns = table.keys() if isinstance(table, Mapping) else getattr(table, "columns", None)
        if columns is None or isinstance(table, np.ndarray):
            raise DetectionError(
                "`table` must be a pandas or Arrow table, a mapping of names to arrays, or the path of a Parquet "
                f"file, got {type(table).__name__}. COCO results go to `Detections.from_results`."
            )
        self.names = [str(name) for name in columns]
        self._renamed = dict(names)
        unknown = [name for name in self._renamed.values() if name not in self.names]
        if unknown:
            raise DetectionError(
                f"`names` must name columns of `table`, got {listing(unknown)}; it has {self._told()}."
            )

    def __contains__(self, name: str) -> bool:
        return self._renamed.get(name, name) in self.names

    def array(self, name: str) -> NDArray[Any]:
        """Return a column, or raise naming it."""
        if name not in self:
            raise DetectionError(
                f"`table` must have a column '{name}', got {self._told()}. Name yours by names={{'{name}': …}}."
            )
        column = self._table[self._renamed.get(name, name)]
        if getattr(column, "null_count", 0):
            raise DetectionError(
                f"`table` column '{name}' must have no nulls, got {column.null_count}. Leave them out."
            )
        if hasattr(column, "combine_chunks"):
            column = column.combine_chunks()
            if hasattr(column, "num_chunks"):
                column = column.chunk(0) if column.num_chunks else column
            if hasattr(column, "flatten") and "list" in str(column.type):
                return np.asarray(column.flatten()).reshape(len(column), -1)
        is_arrow = hasattr(column, "null_count")
        try:
            values: NDArray[Any] = column.to_numpy(zero_copy_only=False) if is_arrow else np.asarray(column)
            if values.dtype == object and len(values) and isinstance(values[0], (list, tuple, np.ndarray)):
                values = np.array(values.tolist(), dtype=np.float64)
        except (TypeError, ValueError) as exc:
            raise DetectionError(
                f"`table` column '{name}' must be numbers, as many in each row; {exc}."
            ) from exc
        return values

    def numbers(self, name: str, width: int = 1) -> Floats:
        """Return a column of finite numbers."""
        values = self.array(name)
        try:
            if values.dtype.kind not in "iuf" and len(values):
                raise TypeError(f"they are {values.dtype}")
            found = np.ascontiguousarray(values, dtype=np.float64)
        except (TypeError, ValueError) as exc:
            raise DetectionError(f"`table` column '{name}' must be numbers; {exc}.") from exc
        if found.ndim != (1 if width == 1 else 2) or (width > 1 and found.shape[1] != width):
            found = found.reshape(0, width) if not found.size else found
            if found.ndim == 1 or found.shape[1:] != (width,):
                raise DetectionError(
                    f"`table` column '{name}' must have {width} numbers a row, got {found.shape}."
                )
        if not np.isfinite(found).all():
            row = int(np.argmin(np.isfinite(found.reshape(len(found), -1)).all(axis=1)))
            raise DetectionError(
                f"`table` column '{name}' row {row} must be finite, got {found[row].tolist()}."
            )
        return found

    def whole(self, name: str) -> Ints:
        """Return a column of ids."""
        values = self.array(name)
        if values.dtype.kind in "iu" and (values.dtype != np.uint64 or not (values > 2**63 - 1).any()):
            return values.astype(np.int64, copy=False)
        found = self.numbers(name)
        if (found != np.trunc(found)).any() or (np.abs(found) >= 2**53).any():
            bad = found[(found != np.trunc(found)) | (np.abs(found) >= 2**53)][0]
            raise DetectionError(f"`table` column '{name}' must be whole numbers, got {bad:g}.")
        return found.astype(np.int64)

    def _told(self) -> str:
        return listing(self.names, MOST_LISTED) if self.names else "no columns"


def _read(table: Any) -> Any:
    if not isinstance(table, (str, os.PathLike)):
        return table
    try:
        import pyarrow.parquet as parquet
    except ImportError as exc:
        raise MissingExtraError(
            "Parquet files need pyarrow, which is not installed. Run `pip install pyarrow`, or give the columns as "
            "arrays."
        ) from exc
    try:
        return parquet.read_table(os.fspath(table))
    except (OSError, ValueError) as exc:  # an ArrowInvalid is a ValueError
        raise DetectionError(
            f"`table` must be a Parquet file, got {quoted(os.fspath(table))}: {exc}."
        ) from exc


def _boxes(table: _Table) -> tuple[Floats, Floats]:
    """Return corners and sizes from columns of corners, or of x, y, width and height, or from one called ``bbox``."""
    for names in CORNERS:
        if all(name in table for name in names):
            boxes = np.stack([table.numbers(name) for name in names], axis=1)
            return boxes, boxes[:, 2:] - boxes[:, :2]
    for names in SIZES:
        if all(name in table for name in names):
            xywh = np.stack([table.numbers(name) for name in names], axis=1)
            break
    else:
        if "bbox" not in table:
            raise DetectionError(
                "`table` must have boxes: columns x_min, y_min, x_max, y_max, or x, y, width, height, or `bbox` with "
                f"x, y, width, height, got {table._told()}. Name yours by names={{'x_min': …}}."
            )
        xywh = table.numbers("bbox", 4)
    sizes = xywh[:, 2:].copy()
    with np.errstate(over="ignore"):  # an infinite corner is refused with the boxes
        return np.concatenate([xywh[:, :2], xywh[:, :2] + sizes], axis=1), sizes


def _images(image: Ints, image_ids: Iterable[int] | None) -> Ints:
    """Return the images that were run, ascending: those given, or those that occur."""
    if image_ids is None:
        small = len(image) and image.min() >= 0 and image.max() < 10 * len(image) + 1000
        return np.flatnonzero(np.bincount(image)) if small else np.unique(image)
    known = np.sort(np.fromiter(image_ids, dtype=np.int64))
    repeated = duplicates(known)
    if repeated:
        raise DetectionError(
            f"`image_ids` must be unique, but these occur more than once: {listing(repeated)}."
        )
    unknown = np.setdiff1d(image, known)
    if len(unknown):
        raise DetectionError(
            f"`image_ids` must hold all images of `table`, but it lacks {listing(unknown.tolist())}. Leave their rows "
            "out."
        )
    return known


def _places(known: Ints, image: Ints) -> Ints:
    """Return the place of each image among the known ones, for small ids by a table, which is several times faster."""
    if not len(known) or known[0] < 0 or known[-1] > 10 * len(image) + 1000:
        return np.searchsorted(known, image)
    table = np.zeros(int(known[-1]) + 1, dtype=np.int64)
    table[known] = np.arange(len(known))
    return table[image]
