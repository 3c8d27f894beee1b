"""Turn JSON records into checked columns: conversion that loses nothing, and errors that name the record.

Each column has a fast path over the whole list; only when that fails are records looked at one by one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from difflib import get_close_matches
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._arrays import Ints
from .._text import NAME_AT_MOST, quoted
from ..errors import EvalError, TruthError

__all__ = [
    "Describe",
    "duplicates",
    "exact_int",
    "flags",
    "floats",
    "ids",
    "is_text",
    "listing",
    "require_name",
    "with_guesses",
]

CATEGORY_NAME_AT_MOST = 1000
"""Most characters of a category's name: it is in every row of a study's tables."""

GUESSES_AMONG = 2000
"""Known names that a misspelt one is compared with."""

Describe = Callable[[int], str]
"""Names the i-th record in a message, such as ``annotation 17 of image 3``."""

_INT64 = 2**63
_NUMBERS = {int, float}
_FLAGS: set[object] = {0, 1, None}


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


def ids(values: Sequence[object], key: str, describe: Describe, error: type[EvalError]) -> Ints:
    """Return ids as int64; integral floats and decimal strings are coerced, anything else raises."""
    if all(type(value) is int for value in values):
        try:
            return np.array(values, dtype=np.int64)
        except OverflowError:
            pass
    out = np.empty(len(values), dtype=np.int64)
    for i, value in enumerate(values):
        number = exact_int(value)
        if number is None and key == "image_ids" and isinstance(value, str):
            raise error(
                f"{describe(i)}: `image_ids` must be an integer (3, 3.0 or '3'), got {quoted(value)}. For names of "
                "files give `truth.ids_of_files(names)`."
            )
        if number is None:
            raise error(
                f"{describe(i)}: `{key}` must be an integer (3, 3.0 or '3'), got {quoted(value)}. "
                "Number the records in the file."
            )
        out[i] = number
    return out


def floats(
    values: Sequence[object], width: int, key: str, describe: Describe, error: type[EvalError]
) -> NDArray[np.float64]:
    """Return finite numbers as float64 of shape (n, width), or raise naming the first bad record.

    A text or a boolean is refused, though NumPy would convert it.
    """
    try:
        # A value that is no row raises a TypeError; values are then checked one by one, below.
        cells: Iterable[Any] = values if width == 1 else chain.from_iterable(values)  # type: ignore[arg-type]
        if set(map(type, cells)) <= _NUMBERS:
            array = np.array(values, dtype=np.float64).reshape(len(values), width)
            if np.isfinite(array).all():
                return array
    except (TypeError, ValueError, OverflowError):
        pass
    rule = "a finite number" if width == 1 else f"{width} finite numbers"
    rows = []
    for i, value in enumerate(values):
        row = _row(value, width)
        if row is None:
            raise error(
                f"{describe(i)}: `{key}` must be {rule}, got {quoted(value)}. Mend or remove the record."
            )
        rows.append(row)
    return np.array(rows, dtype=np.float64).reshape(len(values), width)


def _row(value: Any, width: int) -> list[float] | None:
    """Return a record's numbers; None unless they are finite and as many as `width`."""
    is_list = isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.ndim > 0)
    cells = value if is_list else [value]
    if len(cells) != width or not all(
        isinstance(cell, (int, float, np.integer, np.floating)) and not isinstance(cell, bool)
        for cell in cells
    ):
        return None
    try:
        row = [float(cell) for cell in cells]
    except OverflowError:
        return None
    return row if all(map(math.isfinite, row)) else None


def flags(
    values: Sequence[object], key: str, describe: Describe, error: type[EvalError]
) -> NDArray[np.bool_]:
    """Return 0/1 flags as bool; a missing one (None) is False, anything else raises."""
    with suppress(TypeError):  # a value that cannot be in a set is no flag
        if set(values) <= _FLAGS:
            return np.array([value == 1 for value in values], dtype=np.bool_)
    out = np.zeros(len(values), dtype=np.bool_)
    for i, value in enumerate(values):
        if value is None or value is False or value is True:
            out[i] = bool(value)
            continue
        number = exact_int(value)
        if number not in (0, 1):
            raise error(f"{describe(i)}: `{key}` must be 0 or 1, got {quoted(value)}. Mend the record.")
        out[i] = number == 1
    return out


def is_text(value: object) -> bool:
    """Return whether it is a text that a file can hold; half of a character, which JSON can express, is not."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def require_name(category: object, name: object) -> None:
    """Raise `TruthError` unless it is a text of limited length: the name is in every row of a study's tables."""
    if not isinstance(name, str) or not name:
        raise TruthError(
            f"category {category}: its name must be a text, got {quoted(name)}. Name the category."
        )
    if not is_text(name):
        raise TruthError(
            f"category {category}: its name must be a text that a file can hold, got {quoted(name)}: half of a "
            "character is in it. Name the category otherwise."
        )
    if len(name) > CATEGORY_NAME_AT_MOST:
        raise TruthError(
            f"category {category}: its name must have at most {CATEGORY_NAME_AT_MOST:,} characters, got {len(name):,}: "
            f"{quoted(name)}. Give the category a shorter name."
        )


def duplicates(values: Ints) -> list[int]:
    """Return the values that occur more than once, ascending."""
    unique, counts = np.unique(values, return_counts=True)
    return [int(value) for value in unique[counts > 1]]


def listing(values: Sequence[object], limit: int = 8) -> str:
    """Return the first few values for a message, and how many more there are."""
    shown = ", ".join(map(quoted, values[:limit]))
    return shown if len(values) <= limit else f"{shown} and {len(values) - limit} more"


def with_guesses(missing: Sequence[str], known: Sequence[str]) -> str:
    """Return the missing names for a message, with known ones that they may be misspellings of."""
    shown = listing(missing)
    # To compare very long names, or very many, would take too long for a guess.
    folded = {name.casefold(): name for name in known[:GUESSES_AMONG] if len(name) <= NAME_AT_MOST}
    guesses = []
    for name in missing[:8]:
        close = get_close_matches(name.casefold()[:NAME_AT_MOST], list(folded), n=1, cutoff=0.8)
        if close:
            guesses.append(f"{quoted(name)} may be {quoted(folded[close[0]])}")
    return f"{shown} ({', '.join(guesses)})" if guesses else shown
