"""From JSON records to checked columns: exact coercion, and errors that name the record.

Each column has a fast path over the whole list; only when that fails are records looked at one by one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._files import read_regular
from ._ragged import Ints
from .errors import DissectEvalError

__all__ = ["Describe", "duplicates", "exact_int", "flags", "floats", "ids", "listing", "read_json"]

Describe = Callable[[int], str]
"""Names the i-th record in a message, such as ``annotation 17 of image 3``."""

_INT64 = 2**63


def read_json(path: str | os.PathLike[str], what: str, error: type[DissectEvalError]) -> Any:
    """Return the parsed JSON file, or raise `error` that names it."""
    try:
        return json.loads(read_regular(path).decode("utf-8-sig"))
    except OSError as exc:
        raise error(f"Cannot read the {what} file '{os.fspath(path)}': {exc.strerror or exc}.") from exc
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as exc:
        raise error(
            f"The {what} file '{os.fspath(path)}' is not valid JSON ({exc}). "
            "It may be cut short: fetch or export it again."
        ) from exc


def exact_int(value: object) -> int | None:
    """Return `value` as an int if that loses nothing (3, 3.0, "3"), else None."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and not (value.isascii() and value.strip().lstrip("+-").isdecimal()):
        return None
    if isinstance(value, (float, np.floating)) and not float(value).is_integer():
        return None
    if not isinstance(value, (str, int, float, np.integer, np.floating)):
        return None
    try:
        number = int(value)
    except ValueError:  # "+-3", or more digits than Python converts
        return None
    return number if -_INT64 <= number < _INT64 else None


def ids(values: Sequence[object], key: str, describe: Describe, error: type[DissectEvalError]) -> Ints:
    """Return ids as int64; integral floats and decimal strings are coerced, anything else raises."""
    if all(type(value) is int for value in values):
        try:
            return np.array(values, dtype=np.int64)
        except OverflowError:
            pass
    out = np.empty(len(values), dtype=np.int64)
    for i, value in enumerate(values):
        number = exact_int(value)
        if number is None:
            raise error(
                f"{describe(i)}: `{key}` must be an integer (3, 3.0 or '3'), got {value!r}. "
                "Number the records in the file."
            )
        out[i] = number
    return out


def floats(
    values: Sequence[object], width: int, key: str, describe: Describe, error: type[DissectEvalError]
) -> NDArray[np.float64]:
    """Return finite numbers as float64 of shape (n, width), or raise naming the first bad record."""
    shape = (len(values), width)
    try:
        array = np.array(values, dtype=np.float64).reshape(shape)
        if np.isfinite(array).all():
            return array
    except (TypeError, ValueError, OverflowError):
        pass
    rule = "a finite number" if width == 1 else f"{width} finite numbers"
    for i, value in enumerate(values):
        try:
            good = np.array(value, dtype=np.float64).size == width and bool(
                np.isfinite(np.array(value, dtype=np.float64)).all()
            )
        except (TypeError, ValueError, OverflowError):
            good = False
        if not good:
            raise error(f"{describe(i)}: `{key}` must be {rule}, got {value!r}. Mend or remove the record.")
    return np.array([np.ravel(np.array(value, dtype=np.float64)) for value in values]).reshape(shape)


def flags(
    values: Sequence[object], key: str, describe: Describe, error: type[DissectEvalError]
) -> NDArray[np.bool_]:
    """Return 0/1 flags as bool; a missing one (None) is False, anything else raises."""
    out = np.zeros(len(values), dtype=np.bool_)
    for i, value in enumerate(values):
        if value is None or value is False or value is True:
            out[i] = bool(value)
            continue
        number = exact_int(value)
        if number not in (0, 1):
            raise error(f"{describe(i)}: `{key}` must be 0 or 1, got {value!r}. Mend the record.")
        out[i] = number == 1
    return out


def duplicates(values: Ints) -> list[int]:
    """Return the values that occur more than once, ascending."""
    unique, counts = np.unique(values, return_counts=True)
    return [int(value) for value in unique[counts > 1]]


def listing(values: Sequence[object], limit: int = 8) -> str:
    """Return the first few values for a message, and how many more there are."""
    shown = ", ".join(repr(value) for value in values[:limit])
    return shown if len(values) <= limit else f"{shown} and {len(values) - limit} more"
