"""Results as plain JSON values: what cannot be said in JSON (NaN, tuples, integer keys) is translated."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["as_record", "to_jsonable"]


def to_jsonable(value: Any) -> Any:
    """Return `value` in dicts, lists, strings and finite numbers; NaN and infinities become None.

    Examples
    --------
    >>> to_jsonable({1: float("nan"), "a": (np.float64(0.5), np.int64(2))})
    {'1': None, 'a': [0.5, 2]}
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_jsonable(getattr(value, f.name)) for f in dataclasses.fields(value)}
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
