"""What modules take and give, as far as it can be recorded: tensors in plain containers."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

_SCALARS = (int, float, complex, bool, str, bytes, type(None), torch.Size, torch.dtype, torch.device)


class UnplainError(Exception):
    """An object that cannot be recorded: it may be changed later, or hold tensors out of sight."""


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Tensors in tuples, lists and dicts, in order; other objects are passed over."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from tensors_in(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from tensors_in(item)


def copied(value: Any, memo: dict[int, Tensor] | None = None) -> Any:
    """Copy of a structure with every tensor copied; one that occurs twice is the same one twice in the copy.

    Raises
    ------
    UnplainError
        If it holds anything but tensors, numbers, strings, tuples, lists and dicts.
    """
    memo = {} if memo is None else memo
    if isinstance(value, Tensor):
        if type(value) is not Tensor or value.layout != torch.strided:
            raise UnplainError(type(value).__name__)
        if id(value) not in memo:
            # Strides too: kernels may sum in another order over another layout.
            memo[id(value)] = value.detach().clone(memory_format=torch.preserve_format)
        return memo[id(value)]
    if isinstance(value, _SCALARS):
        return value
    if type(value) in (tuple, list):
        return type(value)(copied(item, memo) for item in value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(copied(item, memo) for item in value))
    if type(value) is dict:
        return {key: copied(item, memo) for key, item in value.items()}
    raise UnplainError(type(value).__name__)


def is_plain(value: Any) -> bool:
    """Whether `copied` can copy it."""
    if isinstance(value, Tensor):
        return type(value) is Tensor and value.layout == torch.strided
    if isinstance(value, tuple) and (type(value) is tuple or hasattr(value, "_fields")):
        return all(map(is_plain, value))
    if type(value) is list:
        return all(map(is_plain, value))
    if type(value) is dict:
        return all(map(is_plain, value.values()))
    return isinstance(value, _SCALARS)


def storage(tensor: Tensor) -> int:
    """Address of the memory that a tensor is a view of, 0 where it has none."""
    return tensor.untyped_storage().data_ptr() if tensor.layout == torch.strided else 0


def n_bytes(value: Any) -> int:
    """Memory that the tensors of a structure take."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors_in(value))
