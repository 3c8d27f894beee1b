"""Rows grouped by image without a list of arrays: the offsets of compressed sparse rows (CSR).

Image ``i`` owns the rows ``splits[i]:splits[i + 1]``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Ints", "freeze_fields", "group_rows", "image_of_rows", "rows_of_images", "splits_of"]

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
    order = np.argsort(image_of_row, kind="stable").astype(np.int64, copy=False)
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
