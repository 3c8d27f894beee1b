"""NumPy's values in pickles, rebuilt from plain types and bytes only.

NumPy's own functions trust a pickle: `numpy.ndarray` may be called with a type that holds objects, and takes their
pointers from the file; the state of a dtype can turn a type that the whole process shares into another one. So a
dtype is an object of our own until it is used, and an array is made of bytes whose number fits its shape.
"""

import pickle
import re
from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._pickle import Budget, Unfinished

# bool, whole numbers, floats, complex numbers, and text and bytes of a fixed length
_CODE = re.compile(r"b1|[iu][1248]|f[248]|c(8|16)|[SU][1-9]\d{0,5}")


class Dtype(Unfinished):
    """A plain type of NumPy, as a pickle describes it."""

    def __init__(self, code: Any, align: Any = False, copy: Any = False) -> None:
        if type(code) is not str or not _CODE.fullmatch(code):
            raise pickle.UnpicklingError("a NumPy type must be plain: numbers, or text of a fixed length")
        self._made: np.dtype[Any] = np.dtype(code)

    def set_state(self, state: Any) -> None:
        """Set the order of bytes, the only thing that the state of a plain type may set."""
        if (
            type(state) is not tuple
            or len(state) < 5
            or state[1] not in ("<", ">", "|", "=")
            or any(state[2:5])
        ):
            raise pickle.UnpicklingError("a NumPy type must be plain: without fields, shape or metadata")
        if any(type(fact) is not int for fact in state[5:8]) or any(state[8:]):
            raise pickle.UnpicklingError("a NumPy type must be plain: without metadata")
        self._made = self._made.newbyteorder(state[1])

    def values(self, raw: Any, shape: Any, order: Any, budget: Budget) -> NDArray[Any]:
        """Return an array of this type made of bytes, which must be exactly as many as its shape needs."""
        if type(raw) not in (bytes, bytearray) or order not in ("C", "F"):
            raise pickle.UnpicklingError("the values of an array must be bytes")
        if type(shape) is not tuple or not all(type(n) is int and n >= 0 for n in shape) or len(shape) > 32:
            raise pickle.UnpicklingError("the shape of an array must be whole numbers")
        budget.take(prod(n or 1 for n in shape) * self._made.itemsize)
        if prod(shape) * self._made.itemsize != len(raw):
            raise pickle.UnpicklingError(f"an array of shape {shape} cannot be made of {len(raw)} bytes")
        array: NDArray[Any] = np.frombuffer(raw, self._made).reshape(shape, order=order).copy(order=order)
        if self._made.kind == "b" and (array.view(np.uint8) > 1).any():
            raise pickle.UnpicklingError("an array of bool holds other values than true and false")
        if self._made.kind == "U":
            array.tolist()  # refuses what is no character
        return array


def numpy_names(budget: Budget) -> tuple[dict[str, Any], dict[type, Callable[[Any, Any], None]]]:
    """Return a table of NumPy's names in pickles, and one of types whose objects may be given a state."""

    def reconstruct(cls: Any, shape: Any, code: Any) -> Any:
        if cls is not _no_array:
            raise pickle.UnpicklingError("an array must be a plain one")
        return np.empty(0, np.uint8)  # its state follows

    def scalar(dtype: Any, raw: Any) -> Any:
        return _dtype(dtype).values(raw, (1,), "C", budget)[0]

    def from_buffer(raw: Any, dtype: Any, shape: Any, order: Any) -> NDArray[Any]:
        return _dtype(dtype).values(raw, shape, order, budget)

    def set_array_state(array: NDArray[Any], state: Any) -> None:
        if type(state) is not tuple or len(state) != 5 or type(state[3]) is not bool or array.size:
            raise pickle.UnpicklingError("the state of an array must be its shape, type, order and bytes")
        _, shape, dtype, fortran, raw = state
        values = _dtype(dtype).values(raw, shape, "F" if fortran else "C", budget)
        array.__setstate__((1, shape, values.dtype, fortran, bytes(raw)))

    table: dict[str, Any] = {"numpy.dtype": Dtype, "numpy.ndarray": _no_array}
    for package in ("numpy.core", "numpy._core"):  # NumPy 1 and 2
        table[f"{package}.multiarray._reconstruct"] = reconstruct
        table[f"{package}.multiarray.scalar"] = scalar
        table[f"{package}.numeric._frombuffer"] = from_buffer
    return table, {np.ndarray: set_array_state, Dtype: Dtype.set_state}


def _no_array(*_: Any) -> Any:
    raise pickle.UnpicklingError("it calls numpy.ndarray, which takes pointers out of the file")


def _dtype(dtype: Any) -> Dtype:
    if type(dtype) is not Dtype:
        raise pickle.UnpicklingError("the type of an array must be a NumPy type")
    return dtype
