"""Results of modules, as far as they can be recorded and compared: tensors in plain containers."""

import enum
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..activations import tensors_in

_SCALARS = (int, float, complex, bool, str, bytes, type(None), torch.Size, torch.dtype, torch.device)
_ALIGNED = 64
_INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


# Why not `torch.utils._pytree`: what stands in for a call must be the same in every respect that the model can notice.
# So containers are copied by exact type, and any other type (a subclass with state of its own too) is refused, where
# pytree takes what it does not know for a leaf, and hands on the very object that the model may change later. What
# occurs twice in a result occurs twice in its copy, which pytree does not keep either.


class UnplainError(Exception):
    """An object that cannot be recorded: it may be changed later, or hold tensors out of sight."""


def is_scalar(value: Any) -> bool:
    """Return whether a value can never change: a number, a string, a shape, a member of an enumeration."""
    return type(value) in _SCALARS or isinstance(value, (enum.Enum, np.generic))


def is_plain_tensor(tensor: Tensor) -> bool:
    """Return whether a copy of a tensor can take its place: strided, of torch's own type, nothing attached."""
    return (
        type(tensor) is Tensor
        and not torch._C._functorch.is_functorch_wrapped_tensor(tensor)
        and tensor.layout == torch.strided
        and not tensor.is_nested
        and not tensor.is_conj()
        and not tensor.is_neg()
        and not tensor.is_quantized
        and not vars(tensor)
        and _is_copyable(tensor)
    )


def is_plain(value: Any) -> bool:
    """Return whether `copied` can copy a value."""
    if isinstance(value, Tensor):
        return is_plain_tensor(value)
    if isinstance(value, tuple) and (type(value) is tuple or hasattr(value, "_fields")):
        return all(map(is_plain, value))
    if type(value) is list:
        return all(map(is_plain, value))
    if type(value) in (dict, OrderedDict):
        return all(is_scalar(key) for key in value) and all(map(is_plain, value.values()))
    return is_scalar(value)


def copied(value: Any, memo: dict[int, Any] | None = None) -> Any:
    """Copy a structure with every tensor and container in it; what occurs twice is the same twice in the copy.

    Raises
    ------
    UnplainError
        If it holds anything but tensors, numbers, strings, tuples, lists and dicts.
    """
    return _rebuilt(value, _clone, {} if memo is None else memo)


def skeleton(value: Any) -> Any:
    """Copy a structure's containers, with the same tensors in them; what their owner puts in later is missing."""
    return _rebuilt(value, lambda tensor: tensor, {})


def _rebuilt(value: Any, of_tensor: Any, memo: dict[int, Any]) -> Any:
    if is_scalar(value):
        return value
    if id(value) in memo:
        return memo[id(value)]
    made: Any
    if isinstance(value, Tensor):
        made = of_tensor(value)
    elif type(value) in (tuple, list):
        made = type(value)(_rebuilt(item, of_tensor, memo) for item in value)
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        made = type(value)(*(_rebuilt(item, of_tensor, memo) for item in value))
    elif type(value) in (dict, OrderedDict):
        made = type(value)((key, _rebuilt(item, of_tensor, memo)) for key, item in value.items())
    else:
        raise UnplainError(type(value).__name__)
    memo[id(value)] = made
    return made


def _clone(tensor: Tensor) -> Tensor:
    """Copy with the same strides, and as far from an aligned address: kernels may sum in another order otherwise."""
    if not is_plain_tensor(tensor):
        raise UnplainError(type(tensor).__name__)
    source = tensor.detach()
    size, stride = source.size(), source.stride()
    if source.is_contiguous() and not source.storage_offset():
        return source.clone()
    offset = source.storage_offset() % _ALIGNED
    span = 1 + sum((n - 1) * step for n, step in zip(size, stride, strict=True)) if source.numel() else 0
    memory = torch.empty(offset + span, dtype=source.dtype, device=source.device)
    made = memory.as_strided(size, stride, offset)
    once = tuple(slice(0, 1) if not step else slice(None) for step in stride)
    made[once].copy_(source[once])
    return made


def _is_copyable(tensor: Tensor) -> bool:
    """Return whether no two elements lie at the same address, but for those of expanded dimensions."""
    reach = 1
    dims = sorted((step, n) for step, n in zip(tensor.stride(), tensor.size(), strict=True) if n > 1 and step)
    for step, n in dims:
        if step < reach:
            return False
        reach = step * (n - 1) + reach
    return True


def storage(tensor: Tensor) -> int:
    """Return the address of the memory that a tensor is a view of; 0 if it has none of its own."""
    if torch._C._functorch.is_functorch_wrapped_tensor(tensor) or tensor.layout != torch.strided:
        return 0
    try:
        return tensor.untyped_storage().data_ptr()
    except (RuntimeError, NotImplementedError):  # subclasses that only look like tensors
        return 0


def partly_shared(tensors: Iterable[Tensor]) -> set[int]:
    """Return the addresses, as `storage` gives them, of tensors whose memory overlaps that of another one in part.

    Arrays of NumPy that are parts of one another are such: each seems to begin memory of its own.
    """
    found: set[int] = set()
    spans = {(at, at + tensor.untyped_storage().nbytes()) for tensor in tensors if (at := storage(tensor))}
    owner, end = 0, 0
    for begin, stop in sorted(spans):
        if begin < end:
            found |= {owner, begin}
        if stop > end:
            owner, end = begin, stop
    return found


def version(tensor: Tensor) -> int | None:
    """Return a number that changes whenever a tensor is changed in place; None if torch keeps none for it."""
    if torch._C._functorch.is_functorch_wrapped_tensor(tensor) or tensor.is_inference():
        return None
    return tensor._version


def n_bytes(value: Any) -> int:
    """Return the memory that the tensors of a structure take."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors_in(value))


SAMPLED = 2**18
"""About the most elements of a tensor that go into its digest."""


def digest(value: Any) -> tuple[Any, ...]:
    """Return a short description of a structure's tensors to compare: shapes, types and a checksum of their bits.

    Of large tensors it reads a part: a difference elsewhere shows in what is computed from them.
    """
    found: list[Any] = []
    for tensor in tensors_in(value):
        if not is_plain_tensor(tensor):
            found.append((type(tensor).__name__,))
            continue
        bits = _bits(tensor.detach())
        step = max(1, bits.numel() // SAMPLED)
        part = bits.reshape(-1)[::step] if step > 1 and bits.is_contiguous() else bits
        found.append((tensor.dtype, tuple(tensor.shape), int(part.sum(dtype=torch.int64))))
    return tuple(found)


def _bits(tensor: Tensor) -> Tensor:
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor)
    return tensor.view(_INTEGERS[tensor.element_size()])


def same(one: Any, other: Any) -> bool:
    """Compare two results bit for bit; objects are compared by what they hold."""
    return _same(one, other, set())


def _same(one: Any, other: Any, seen: set[tuple[int, int]]) -> bool:
    if one is other or (id(one), id(other)) in seen:
        return True
    if _name(one) != _name(other):
        return False
    seen.add((id(one), id(other)))
    if isinstance(one, Tensor):
        return _same_tensors(one, other)
    if isinstance(one, np.ndarray):
        if one.dtype != other.dtype or one.shape != other.shape:
            return False
        return (
            _same(one.tolist(), other.tolist(), seen)
            if one.dtype.hasobject
            else one.tobytes() == other.tobytes()
        )
    if isinstance(one, float):
        return one == other or (one != one and other != other)
    if isinstance(one, Mapping):
        return list(one) == list(other) and all(_same(one[key], other[key], seen) for key in one)
    if isinstance(one, (tuple, list)):
        return len(one) == len(other) and all(_same(a, b, seen) for a, b in zip(one, other, strict=True))
    names = [name for kind in type(one).__mro__ for name in slots_of(kind)]
    if hasattr(one, "__dict__") or names:
        inside = [[getattr(each, name, None) for name in names] for each in (one, other)]
        return _same(
            [getattr(one, "__dict__", {}), *inside[0]], [getattr(other, "__dict__", {}), *inside[1]], seen
        )
    try:
        return bool(one == other)
    except (TypeError, ValueError, RuntimeError):  # not comparable, so not the same
        return False


def slots_of(kind: type) -> tuple[str, ...]:
    """Return the names of the attributes that a class itself declares as slots."""
    slots = vars(kind).get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _name(value: Any) -> tuple[str, str]:
    """Return the name of a value's type: a class that a function makes is another object each time."""
    return type(value).__module__, type(value).__qualname__


def _same_tensors(one: Tensor, other: Tensor) -> bool:
    if one.layout != other.layout or one.dtype != other.dtype:
        return False
    parts, others = _parts(one), _parts(other)
    return len(parts) == len(others) and all(
        a.shape == b.shape and a.dtype == b.dtype and torch.equal(_bits(a), _bits(b))
        for a, b in zip(parts, others, strict=True)
    )


def _parts(tensor: Tensor) -> list[Tensor]:
    """Return contiguous tensors that together hold what a tensor of any kind does."""
    tensor = tensor.detach()
    if tensor.is_nested:
        return [part for each in tensor.unbind() for part in _parts(each)]
    if type(tensor) is not Tensor:
        tensor = tensor.as_subclass(Tensor)
    shape = torch.tensor(tensor.shape)
    if tensor.is_quantized:
        return [tensor.int_repr().contiguous(), tensor.dequantize().contiguous()]
    if tensor.layout == torch.strided:
        return [tensor.resolve_conj().resolve_neg().contiguous()]
    if tensor.layout == torch.sparse_coo:
        return [shape, tensor._indices(), tensor._values().contiguous()]
    if tensor.layout in (torch.sparse_csr, torch.sparse_bsr):
        return [shape, tensor.crow_indices(), tensor.col_indices(), tensor.values().contiguous()]
    if tensor.layout in (torch.sparse_csc, torch.sparse_bsc):
        return [shape, tensor.ccol_indices(), tensor.row_indices(), tensor.values().contiguous()]
    return [tensor.to_dense().contiguous()]
