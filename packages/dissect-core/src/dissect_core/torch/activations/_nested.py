"""Tensors nested in tuples, lists and dicts, as modules take and return them.

`torch.utils._pytree` does the same for types that are registered with it, but not for subclasses of them: a dict of
MMEngine, or a tuple of one's own, is a leaf to it, and an intervention would silently miss the tensors inside. Here a
subclass of tuple, list or dict counts as what it is derived from.
"""

import copy
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from torch import Tensor

TensorMap: TypeAlias = Callable[[Tensor], Tensor]


def parts_in(value: Any) -> Iterator[Any]:
    """Yield a value and all that is nested in it, each container before what it holds."""
    yield value
    if isinstance(value, (tuple, list)):
        for item in value:
            yield from parts_in(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from parts_in(item)


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Yield the tensors nested in a value, in order; other objects are passed over."""
    return (part for part in parts_in(value) if isinstance(part, Tensor))


def floats_in(value: Any) -> Iterator[Tensor]:
    """Yield the floating tensors nested in a value, in order."""
    return (tensor for tensor in tensors_in(value) if tensor.is_floating_point())


def map_parts(edit: Callable[[Any], Any], value: Any) -> Any:
    """Return a copy of a structure with some of its parts replaced.

    Parameters
    ----------
    edit : callable
        Called with every part, each container before what it holds. It returns what takes the part's place, or None to
        keep the part, and to go on inside it.
    value : object
        Anything; it is not changed, and nor are its containers.
    """
    edited = edit(value)
    if edited is not None:
        return edited
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(map_parts(edit, item) for item in value))
    if isinstance(value, (tuple, list)):
        return type(value)(map_parts(edit, item) for item in value)
    if isinstance(value, dict):
        changed = copy.copy(value)  # keeps its class, and its other attributes
        for key, item in value.items():
            changed[key] = map_parts(edit, item)
        return changed
    return value


def map_tensors(edit: TensorMap, value: Any) -> Any:
    """Return a copy of a structure with `edit` applied to its floating tensors, in order.

    Examples
    --------
    >>> import torch
    >>> map_tensors(lambda tensor: tensor + 1, {"features": (torch.zeros(2), torch.tensor(7)), "level": 3})
    {'features': (tensor([1., 1.]), tensor(7)), 'level': 3}
    """

    def edited(part: Any) -> Tensor | None:
        return edit(part) if isinstance(part, Tensor) and part.is_floating_point() else None

    return map_parts(edited, value)
