"""Settings that are numbers, and arrays from anywhere: each is checked or converted, or refused in a sentence."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._text import quoted
from .errors import SettingError

__all__ = ["is_number", "plain_values", "require_fraction", "require_whole"]


def is_number(value: object) -> bool:
    """Return whether it is one real number, and no truth value."""
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def require_fraction(value: Any, name: str, usual: str) -> None:
    """Raise `SettingError` unless it is a number in (0, 1].

    Examples
    --------
    >>> require_fraction(0.5, "iou_threshold", "0.5")
    """
    if not is_number(value) or not 0 < value <= 1:
        raise SettingError(f"`{name}` must be in (0, 1], got {quoted(value)}. The usual one is {usual}.")


def require_whole(value: Any, name: str, least: int) -> None:
    """Raise `SettingError` unless it is a whole number from `least` on.

    Examples
    --------
    >>> require_whole(3, "repeats", 1)
    """
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < least:
        raise SettingError(f"`{name}` must be a whole number >= {least}, got {quoted(value)}.")


def plain_values(value: Any) -> Any:
    """Return tensors, also those in a list, as NumPy arrays: from any device, of any float type, without gradients.

    Anything else is returned as it is.
    """
    if isinstance(value, (list, tuple)):
        first = value[0] if value else None
        first = first[0] if isinstance(first, (list, tuple)) and first else first
        return [plain_values(one) for one in value] if hasattr(first, "detach") else value
    if not hasattr(value, "detach"):
        return value
    value = value.detach().cpu()
    try:
        array: NDArray[Any] = value.numpy()
    except TypeError:  # bfloat16, which NumPy does not have
        array = value.float().numpy()
    return array
