"""Arrays that all rooms share: rows grouped by image, an order of boxes, ratios of counts.

Rows are grouped by image without a list of arrays, by the offsets of compressed sparse rows (CSR): image ``i`` owns the
rows ``splits[i]:splits[i + 1]``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "Ints",
    "canonical_order",
    "freeze_fields",
    "group_rows",
    "image_of_rows",
    "ratio",
    "rows_of_images",
    "rows_where",
    "splits_of",
]

Ints = NDArray[np.int64]


def freeze_fields(owner: object, shapes: Mapping[str, tuple[Any, tuple[int, ...]]]) -> None:
    """Replace the named array fields of a frozen dataclass by read-only copies of a dtype and shape.

    Raises ValueError naming the first field of another shape.
    """
    for name, (dtype, shape) in shapes.items():
        array = np.array(getattr(owner, name), dtype=dtype)
        if array.size == 0 == shape[0]:
            array = array.reshape(shape)
        if array.shape != shape:
            raise ValueError(f"`{name}` must have shape {shape}, got {array.shape}.")
        array.setflags(write=False)
        object.__setattr__(owner, name, array)


def splits_of(counts: ArrayLike) -> Ints:
    """Return the offsets, shape (I + 1,), of images that own `counts` rows each."""
    counts = np.asarray(counts, dtype=np.int64)
    splits = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=splits[1:])
    return splits


def group_rows(image_of_row: Ints, n_images: int) -> tuple[Ints, Ints]:
    """Return the stable order that groups rows by image, and the offsets of the grouped rows."""
    # NumPy sorts 16-bit integers stably in linear time.
    keys = image_of_row.astype(np.uint16) if n_images <= 2**16 else image_of_row
    order = np.argsort(keys, kind="stable").astype(np.int64, copy=False)
    return order, splits_of(np.bincount(image_of_row, minlength=n_images))


def image_of_rows(splits: Ints) -> Ints:
    """Return for each row the index of the image that owns it."""
    return np.repeat(np.arange(len(splits) - 1, dtype=np.int64), np.diff(splits))


def rows_of_images(splits: Ints, images: Ints) -> tuple[Ints, Ints]:
    """Return the rows of the chosen images, one image after the other, and their new offsets."""
    counts = np.diff(splits)[images]
    new = splits_of(counts)
    rows = np.repeat(splits[images] - new[:-1], counts) + np.arange(new[-1], dtype=np.int64)
    return rows, new


def rows_where(mask: NDArray[np.bool_], image_index: Ints, n_images: int) -> tuple[Ints, Ints]:
    """Return the rows where `mask` is true, and the offsets of the images over them."""
    rows = np.flatnonzero(mask)
    return rows, splits_of(np.bincount(image_index[rows], minlength=n_images))


def canonical_order(
    image_index: Ints,
    category_ids: Ints,
    boxes: NDArray[np.float64],
    scores: NDArray[np.float64] | None = None,
    last: Ints | None = None,
) -> Ints:
    """Return the rows ordered by image, falling score, category, then x_min, y_min, x_max and y_max.

    Rows that agree in all of these are interchangeable, so whatever walks through this order gives the same
    result for any order of the input. The rows of an image stay together. `last`, if given, orders rows that
    would agree.
    """
    keys = [*([] if last is None else [last]), *boxes.T[::-1], category_ids]
    if scores is not None:
        keys.append(-scores)
    return np.lexsort([*keys, image_index]).astype(np.int64, copy=False)


def ratio(part: ArrayLike, whole: ArrayLike, undefined: float = float("nan")) -> NDArray[np.float64]:
    """Return part / whole, and `undefined` where `whole` is 0."""
    part, whole = np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64)
    out = np.full(np.broadcast_shapes(part.shape, whole.shape), undefined, dtype=np.float64)
    np.divide(part, whole, out=out, where=whole != 0)
    return out
