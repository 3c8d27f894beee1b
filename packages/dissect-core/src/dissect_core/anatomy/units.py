"""Units: what an ablation counts in, and how many of them a component has.

The units here are those that a shape alone defines. Attention heads need to know their block and are in
`dissect_core.edits.heads`.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from ..errors import UnitError

Unit: TypeAlias = Literal["component", "element", "row", "column", "segment"]
Indices: TypeAlias = Sequence[int] | NDArray[np.integer[Any]]


def unit_count(shape: Sequence[int], unit: Unit, *, segments_per_row: int | None = None) -> int:
    """Count the units in a component.

    Parameters
    ----------
    shape : sequence of int
        Shape of the component.
    unit : {"component", "element", "row", "column", "segment"}
        ``"component"`` is the whole; an element one value; row *i* of an array is ``array[i]`` and column *j*
        is ``array[:, j]``, in any number of dimensions; a segment is one of equal parts of a matrix's row.
    segments_per_row : int, optional
        For ``"segment"``, and only there: into how many parts each row is cut.

    Returns
    -------
    int
        How many units there are; 0 where the shape holds no value.

    Raises
    ------
    UnitError
        If the shape has no such units, or `segments_per_row` is missing, out of place or does not divide
        the row.

    Examples
    --------
    >>> unit_count((768, 256), "segment", segments_per_row=8)
    6144
    >>> unit_count((100, 256), "row")
    100
    """
    shape = tuple(shape)
    if unit not in get_args(Unit):
        raise UnitError(f"`unit` must be one of {', '.join(get_args(Unit))}, got {unit!r}.")
    if unit == "segment":
        return _segments(shape, segments_per_row) * shape[0]
    if segments_per_row is not None:
        raise UnitError(
            f"`segments_per_row` must be left out for the unit {unit!r}, got {segments_per_row}. "
            "It belongs to the unit 'segment'."
        )
    if unit == "component":
        return 1 if math.prod(shape) else 0
    if unit == "element":
        return math.prod(shape)
    axis = 0 if unit == "row" else 1
    if len(shape) <= axis:
        raise UnitError(
            f"`shape` must have {axis + 1} or more dimensions to have {unit}s, got {shape}. "
            f"Use the unit {'element' if axis == 0 or not shape else 'row'!r}."
        )
    return shape[axis]


def chosen_units(indices: Indices, n_units: int, there_are: str) -> NDArray[np.bool_]:
    """Bool array over all units, True at the given ones; `there_are` says in messages how many exist."""
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


def _segments(shape: tuple[int, ...], segments_per_row: int | None) -> int:
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
    return segments_per_row
