"""Results in the forms that other programs read: plain JSON values, and cells of CSV files."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from ._per_class import PerClass
from ._text import visible

__all__ = ["as_record", "csv_text", "to_jsonable"]

_FORMULA = re.compile(r" *[=+\-@\uff1d\uff0b\uff0d\uff20]|'")
"""Beginnings of cells that a spreadsheet may run as a formula, full-width forms included; or the mark against that."""


def to_jsonable(value: Any) -> Any:
    """Return `value` as dicts, lists, strings and finite numbers; NaN and infinities become None.

    Examples
    --------
    >>> to_jsonable({1: float("nan"), "a": (np.float64(0.5), np.int64(2))})
    {'1': None, 'a': [0.5, 2]}
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        found = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        by_name = {
            f"{name}_by_name": v.by_name for name, v in found.items() if isinstance(v, PerClass) and v.names
        }
        return {name: to_jsonable(v) for name, v in {**found, **by_name}.items()}
    if isinstance(value, Mapping):
        return {str(key): to_jsonable(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return to_jsonable(value.tolist())
    if isinstance(value, (list, tuple)):
        return [to_jsonable(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def as_record(result: Any) -> dict[str, Any]:
    """Return a result dataclass as a dict ready for JSON."""
    record: dict[str, Any] = to_jsonable(result)
    return record


def csv_text(text: str) -> str:
    r"""Return a text as a cell that a spreadsheet shows and never computes.

    Parameters
    ----------
    text : str
        A name, whole.

    Returns
    -------
    str
        In one line, visible; with an apostrophe before it if it began like a formula, or with an apostrophe.

    Examples
    --------
    >>> csv_text("=1+1"), csv_text("cat"), csv_text("a\n=1")
    ("'=1+1", 'cat', 'a\\n=1')
    """
    shown = visible(text)
    return f"'{shown}" if _FORMULA.match(shown) else shown
