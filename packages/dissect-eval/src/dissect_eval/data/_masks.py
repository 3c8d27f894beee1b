"""Masks of boxes, read and encoded only when masks are scored: who scores boxes pays nothing for them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .._arrays import Ints
from .._files import read_json
from ..errors import EvalError
from ._rle import encode_all

__all__ = ["Masks", "masks_of_arrays", "masks_of_records"]

Describe: TypeAlias = Callable[[int], str]


class Masks:
    """One mask for each of n boxes, in any of COCO's forms.

    Masks that came with a file are not kept: `encoded` reads them again, and refuses a file that has changed since.

    Parameters
    ----------
    source : _Kept or _InFile
        What gives the masks, in an order of its own.
    rows : ndarray of int64, shape (n,)
        Place of each box's mask in the source.
    """

    def __init__(self, source: _Kept | _InFile, rows: Ints) -> None:
        self._source, self._rows = source, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __reduce__(self) -> tuple[Any, ...]:
        return Masks, (self._source.for_pickle(self._rows))

    def take(self, rows: Ints) -> Masks:
        """Return the masks of some boxes."""
        return Masks(self._source, self._rows[rows])

    def joined(self, others: Sequence[Masks]) -> Masks:
        """Return these masks and those of others, one after the other."""
        parts = [self, *others]
        raw = [one for part in parts for one in part._source.raw(part._rows)]
        return Masks(_Kept(raw), np.arange(len(raw)))

    def encoded(
        self, image_sizes: NDArray[np.float64], describe: Describe, error: type[EvalError]
    ) -> NDArray[np.object_]:
        """Return the masks as compressed run lengths, an object array of shape (n,).

        Parameters
        ----------
        image_sizes : ndarray of float64, shape (n, 2)
            Width and height of each box's image; NaN where unknown.
        describe : callable
            Names a box in a message.
        error : type of EvalError
            Raised where a mask is missing or cannot be right.
        """
        found: NDArray[np.object_] = np.empty(len(self._rows), dtype=object)
        found[:] = encode_all(self._source.raw(self._rows), image_sizes, describe, error)
        return found


class _Kept:
    """Masks in memory."""

    def __init__(self, masks: Sequence[Any]) -> None:
        self._masks = masks

    def raw(self, rows: Ints) -> list[Any]:
        return [self._masks[row] for row in rows.tolist()]

    def for_pickle(self, rows: Ints) -> tuple[_Kept, Ints]:
        return _Kept(self.raw(rows)), np.arange(len(rows))


class _InFile:
    """Masks in the records of a JSON file: under `key`, or of the list that the file is."""

    def __init__(self, path: str, key: str | None, stamp: tuple[int, int], error: type[EvalError]) -> None:
        self._path, self._key, self._stamp, self._error = path, key, stamp, error

    def raw(self, rows: Ints) -> list[Any]:
        try:
            stamp = _stamp_of(self._path)
        except OSError as exc:
            raise self._error(
                f"The masks must be read again from '{self._path}', which is not there ({exc.strerror}). Read the file "
                "where it is, or give the parsed content, which is kept."
            ) from exc
        if stamp != self._stamp:
            raise self._error(
                f"The masks must be those of the file that was read, but '{self._path}' has changed since. Read it "
                "anew."
            )
        data = read_json(self._path, "mask", self._error)
        records = data if self._key is None else data[self._key]
        return [records[row].get("segmentation") for row in rows.tolist()]

    def for_pickle(self, rows: Ints) -> tuple[_InFile, Ints]:
        return self, rows


def masks_of_records(
    source: Any, records: Sequence[Any], key: str | None, rows: Ints, error: type[EvalError]
) -> Masks | None:
    """Return the masks of some of a file's records; None if no record has one.

    Parameters
    ----------
    source : path or other
        Where the records are from; from a path they are not kept.
    records : sequence of mapping
    key : str or None
        Where the records lie in the file.
    rows : ndarray of int64, shape (n,)
        The records of the boxes.
    error : type of EvalError
        Raised where the file cannot be read again.
    """
    if not any(record.get("segmentation") for record in records):
        return None
    if isinstance(source, (str, os.PathLike)):
        path = os.fspath(Path(source).absolute())
        return Masks(_InFile(path, key, _stamp_of(path), error), rows)
    return Masks(_Kept([record.get("segmentation") for record in records]), rows)


def masks_of_arrays(
    masks: Sequence[Sequence[Any]], counts: Sequence[int], order: Ints, error: type[EvalError]
) -> Masks:
    """Return masks given per image, for the images in another order.

    Parameters
    ----------
    masks : sequence of sequence
        One per image, of one mask per box: an array of booleans of shape (height, width), run lengths, or polygons.
    counts : sequence of int
        Number of boxes of each image.
    order : ndarray of int64
        The images in the order of the rows.
    error : type of EvalError
        Raised if the numbers differ.
    """
    parts = list(masks)
    if len(parts) != len(counts):
        raise error(f"`masks` must have one entry per image, {len(counts)}, got {len(parts)}.")
    for i, (part, count) in enumerate(zip(parts, counts, strict=True)):
        if len(part) != count:
            raise error(
                f"`masks` entry {i} must have one mask per box, {count}, got {len(part)}. For an image without boxes "
                "give []."
            )
    raw = [one for i in order.tolist() for one in parts[i]]
    return Masks(_Kept(raw), np.arange(len(raw)))


def _stamp_of(path: str) -> tuple[int, int]:
    """Return size and time of change of a file."""
    state = Path(path).stat()
    return state.st_size, state.st_mtime_ns
