"""Masks: bool arrays of a component's shape, True where the component is ablated."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..anatomy import Indices, Mask, Unit, chosen_units, shape_units, unit_count, unit_kind
from ..errors import MaskError


def unit_mask(
    shape: Sequence[int], unit: Unit, indices: Indices, *, segments_per_row: int | None = None
) -> Mask:
    """Return the mask of the chosen units, whatever the unit.

    Parameters
    ----------
    shape : sequence of int
        Shape of the component.
    unit : {"component", "element", "row", "column", "segment"}
        What `indices` count; see `unit_count`.
    indices : sequence or array of int, shape (n,)
        Distinct units, each at least 0 and below ``unit_count(shape, unit, ...)``. May be empty.
    segments_per_row : int, optional
        For ``"segment"`` only.

    Returns
    -------
    ndarray of bool
        Mask of the given shape, True in the chosen units.

    Raises
    ------
    UnitError
        If an index is no integer, out of range or given twice, or the shape has no such units.

    Examples
    --------
    >>> unit_mask((2, 4), "segment", [1, 2], segments_per_row=2).astype(int)
    array([[0, 0, 1, 1],
           [1, 1, 0, 0]])
    """
    shape = tuple(shape)
    n_units = unit_count(shape, unit, segments_per_row=segments_per_row)
    chosen = chosen_units(indices, n_units, f"the shape {shape} has {unit_kind(unit).counted(n_units)}")
    if math.prod(shape) == 0:
        return np.zeros(shape, dtype=np.bool_)
    return shape_units(unit).mask(shape, chosen)


def element_mask(shape: Sequence[int], indices: Indices) -> Mask:
    """Return the mask of single values, counted in C order (last dimension fastest).

    Parameters, errors and result are those of `unit_mask` for the unit ``"element"``.

    Examples
    --------
    >>> element_mask((2, 3), [0, 5]).astype(int)
    array([[1, 0, 0],
           [0, 0, 1]])
    """
    return unit_mask(shape, "element", indices)


def row_mask(shape: Sequence[int], indices: Indices) -> Mask:
    """Return the mask of rows: row *i* is ``array[i]``, in one or more dimensions.

    Parameters, errors and result are those of `unit_mask` for the unit ``"row"``. A row of a linear layer's
    weight is one output feature, a row of a convolution's weight one output channel, a row of a query
    embedding one object query.

    Examples
    --------
    >>> row_mask((3, 2), [1]).astype(int)
    array([[0, 0],
           [1, 1],
           [0, 0]])
    """
    return unit_mask(shape, "row", indices)


def column_mask(shape: Sequence[int], indices: Indices) -> Mask:
    """Return the mask of columns: column *j* is ``array[:, j]``, in two or more dimensions.

    Parameters, errors and result are those of `unit_mask` for the unit ``"column"``. A column of a linear
    layer's weight reads one input feature.

    Examples
    --------
    >>> column_mask((2, 3), [1]).astype(int)
    array([[0, 1, 0],
           [0, 1, 0]])
    """
    return unit_mask(shape, "column", indices)


def segment_mask(shape: Sequence[int], indices: Indices, segments_per_row: int) -> Mask:
    """Return the mask of row segments, the unit that Deep Dissect 1.0 ablates.

    With *n* segments per row and the width ``columns // n``, segment *s* is row ``s // n``, columns from
    ``width * (s % n)`` onward. A segment is a piece of one row and not an attention head: for these see
    `dissect_core.head_masks`.

    Parameters, errors and result are those of `unit_mask` for the unit ``"segment"``. The shape must have two
    dimensions and `segments_per_row` must divide the number of columns.

    Examples
    --------
    >>> segment_mask((2, 6), [0, 5], segments_per_row=3).astype(int)
    array([[1, 1, 0, 0, 0, 0],
           [0, 0, 0, 0, 1, 1]])
    """
    return unit_mask(shape, "segment", indices, segments_per_row=segments_per_row)


def dose(mask: Mask) -> float:
    """Return the share of a component's values that a mask ablates.

    Parameters
    ----------
    mask : ndarray of bool, any shape

    Returns
    -------
    float
        In [0, 1]; 0 for a mask without values, as there is nothing to ablate.

    Examples
    --------
    >>> dose(row_mask((4, 8), [0]))
    0.25
    """
    return float(np.count_nonzero(mask) / mask.size) if mask.size else 0.0


def check_mask(name: str, mask: Any, shape: Sequence[int]) -> Mask:
    """Return a mask as a bool array, after checking that it fits its component.

    Parameters
    ----------
    name : str
        Name of the component, for messages.
    mask : array-like of bool
        True where ablated. Integers are refused: they could as well be indices.
    shape : sequence of int
        Shape of the component.

    Returns
    -------
    ndarray of bool
        The mask; not a copy where `mask` is such an array already.

    Raises
    ------
    MaskError
        If the values are not bool, or the shapes differ.

    Examples
    --------
    >>> check_mask("norm.weight", [True, False], (2,))
    array([ True, False])
    """
    array = np.asarray(mask)
    if array.dtype != np.bool_:
        raise MaskError(
            f"The mask of {name!r} must be of bool, got {array.dtype}. "
            "Build it with `row_mask` or its siblings, or call `.astype(bool)`."
        )
    if array.shape != tuple(shape):
        raise MaskError(
            f"The mask of {name!r} must have the component's shape {tuple(shape)}, got {array.shape}. "
            "Build it from the shape in the model's own `Component`."
        )
    return array
