"""How the shape of a component divides into units, and which of several units are chosen."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import UnitError

Indices: TypeAlias = Sequence[int] | NDArray[np.integer[Any]]
Mask: TypeAlias = NDArray[np.bool_]
"""Bool array of a component's shape, True where it is ablated."""


@dataclass(frozen=True)
class UnitsOfShape:
    """How units of one kind divide a component, by its shape alone.

    Attributes
    ----------
    count : callable
        From a shape and the segments of each row (None unless the unit has them) to the number of units.
    mask : callable
        From a shape and a bool for each unit to a mask of the shape. It is called for shapes that hold a value.
    axis : int or None
        The axis along which the units follow each other, where each is all of one index of that axis.
    has_segments : bool
        Whether `segments_per_row` says how large a unit is.
    """

    count: Callable[[tuple[int, ...], int | None], int]
    mask: Callable[[tuple[int, ...], Mask], Mask]
    axis: int | None
    has_segments: bool


def along_axis(axis: int) -> UnitsOfShape:
    """Return the rule of units that are all of one index of an axis."""

    def count(shape: tuple[int, ...], _segments: int | None) -> int:
        if len(shape) <= axis:
            raise UnitError(
                f"`shape` must have {axis + 1} or more dimensions to have {('rows', 'columns')[axis]}, got {shape}. "
                f"Use the unit {'row' if axis and shape else 'element'!r}."
            )
        return shape[axis]

    def mask(shape: tuple[int, ...], chosen: Mask) -> Mask:
        along = chosen.reshape([-1 if i == axis else 1 for i in range(len(shape))])
        return np.array(np.broadcast_to(along, shape))

    return UnitsOfShape(count, mask, axis, has_segments=False)


def _count_segments(shape: tuple[int, ...], segments_per_row: int | None) -> int:
    if len(shape) != 2:
        raise UnitError(f"`shape` must have 2 dimensions to have segments, got {shape}. Use the unit 'row'.")
    if segments_per_row is None:
        raise UnitError("`segments_per_row` must be given for the unit 'segment'. Deep Dissect 1.0 uses 8.")
    if segments_per_row < 1 or shape[1] % segments_per_row:
        fitting = [n for n in range(1, min(shape[1], 64) + 1) if shape[1] % n == 0]
        raise UnitError(
            f"`segments_per_row` must divide the {shape[1]} columns of the shape {shape}, "
            f"got {segments_per_row}. Use one of {fitting}."
        )
    return segments_per_row * shape[0]


WHOLE = UnitsOfShape(
    count=lambda shape, _segments: 1 if math.prod(shape) else 0,
    mask=lambda shape, chosen: np.full(shape, chosen[0], dtype=np.bool_),
    axis=None,
    has_segments=False,
)
SINGLE_VALUES = UnitsOfShape(
    count=lambda shape, _segments: math.prod(shape),
    mask=lambda shape, chosen: chosen.reshape(shape),
    axis=None,
    has_segments=False,
)
PARTS_OF_ROWS = UnitsOfShape(
    count=_count_segments,
    mask=lambda shape, chosen: np.repeat(chosen, math.prod(shape) // len(chosen)).reshape(shape),
    axis=None,
    has_segments=True,
)


def chosen_units(indices: Indices, n_units: int, there_are: str) -> NDArray[np.bool_]:
    """Return a bool array over all units, True at the given ones; `there_are` says in messages how many exist.

    Raises
    ------
    UnitError
        If an index is no integer, out of range or given twice.
    """
    array = np.asarray(indices)
    if array.size == 0:
        return np.zeros(n_units, dtype=np.bool_)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise UnitError(
            f"`indices` must be one row of integers, got shape {array.shape} of {array.dtype}. "
            "For a bool array pass `np.flatnonzero(array)`."
        )
    wrong = array[(array < 0) | (array >= n_units)]
    if wrong.size:
        limits = f"within 0 to {n_units - 1}" if n_units else "empty"
        raise UnitError(f"`indices` must be {limits} ({there_are}), got {wrong[0]}. Count units from 0.")
    chosen = np.zeros(n_units, dtype=np.bool_)
    chosen[array] = True
    if np.count_nonzero(chosen) != array.size:
        values, counts = np.unique(array, return_counts=True)
        raise UnitError(
            f"`indices` must be distinct, got {values[counts > 1][0]} more than once. "
            "Pass `np.unique(indices)` if that is meant."
        )
    return chosen
