"""Fields of other libraries' objects, found by name: arrays from any device, labels, image ids."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .._arrays import Ints
from .._numbers import plain_values
from ..errors import EvalError
from ._records import ids

__all__ = [
    "array_field",
    "array_of",
    "checked_ids",
    "field",
    "items_of",
    "label_field",
    "one_number",
    "own_ids",
]

Error: TypeAlias = type[EvalError]


def field(owner: Any, key: str) -> Any:
    """Return an entry of a mapping or a field of an object, None where there is none."""
    return owner.get(key) if isinstance(owner, Mapping) else getattr(owner, key, None)


def array_field(owner: Any, key: str, where: str, error: Error) -> NDArray[Any]:
    """Return a field as an array, from any device, also if it requires gradients."""
    value = field(owner, key)
    if value is None:
        raise error(
            f"{where}: `{key}` must be given, got {type(owner).__name__} without it. "
            "Pass what the detector returns, one item per image."
        )
    return array_of(value, f"{where}: `{key}`", error)


def array_of(value: Any, what: str, error: Error) -> NDArray[Any]:
    """Return numbers as an array, from any device, also if they require gradients; `what` begins the messages."""
    layout = getattr(value, "format", None)  # torchvision's BoundingBoxes
    if layout is not None and str(getattr(layout, "value", layout)).upper() != "XYXY":
        raise error(
            f"{what} must be xyxy, got boxes in {getattr(layout, 'value', layout)}. "
            "Convert them with torchvision's `ConvertBoundingBoxFormat`."
        )
    value = getattr(value, "tensor", value)  # MMDetection's HorizontalBoxes
    try:
        return np.asarray(plain_values(value))
    except (TypeError, ValueError, RuntimeError) as exc:
        raise error(f"{what} must be an array of numbers; {exc}. Give one row per box.") from exc


def label_field(owner: Any, key: str, where: str, error: Error) -> NDArray[Any]:
    """Return labels as integers; Ultralytics gives them as floats."""
    labels = array_field(owner, key, where, error)
    if labels.dtype.kind != "f":
        return labels
    whole = np.isfinite(labels) & (labels == np.trunc(labels))
    if not whole.all():
        raise error(f"{where}: `{key}` must be whole numbers, got {labels[~whole][0]}. Are these scores?")
    return labels.astype(np.int64)


def items_of(items: Iterable[Any], name: str, mark: str, error: Error) -> list[Any]:
    """Return a list of items, or raise for a single one, known by its field `mark`: some can be iterated too."""
    single = isinstance(items, Mapping) or hasattr(items, mark)
    if single or isinstance(items, str) or not isinstance(items, Iterable):
        raise error(
            f"`{name}` must be a sequence with one item per image, got {type(items).__name__}. "
            "For one image put it in [ ]."
        )
    return list(items)


def checked_ids(image_ids: Iterable[Any], items: Sequence[Any], name: str, error: Error) -> Ints:
    """Return the ids of the items as integers, one each."""
    if isinstance(image_ids, (str, Mapping)) or not isinstance(image_ids, Iterable):
        raise error(
            f"`image_ids` must be a sequence with one id per image, got {type(image_ids).__name__}. For one image "
            "put it in [ ]."
        )
    values = [one_number(value) for value in image_ids]
    if len(values) != len(items):
        raise error(
            f"`{name}` and `image_ids` must be of one length, got {len(items)} and {len(values)}. "
            "Give one id per image, in the same order."
        )
    return ids(values, "image_ids", lambda i: f"image {i}", error)


def own_ids(items: Sequence[Any], name: str, key: str, error: Error) -> list[Any]:
    """Return the ids that the items hold, also as tensors of one number."""
    found = []
    for i, item in enumerate(items):
        value = field(item, key)
        value = field(field(item, "metainfo") or {}, key) if value is None else value
        if value is None:
            raise error(f"`{name}` item {i} must hold an `{key}`, got none. Pass `image_ids`.")
        found.append(value)
    return found


def one_number(value: Any) -> Any:
    """Return the number in an array or tensor of one."""
    shape = getattr(value, "shape", None)
    return value.item() if shape is not None and tuple(shape) in ((), (1,)) else value
