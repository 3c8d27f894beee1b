"""Names that pickles of checkpoints may use, each answered by a function of our own that checks its arguments.

=============================== ======================================= =======================================
name                            needed for                              worst that it could do; how it is bounded
=============================== ======================================= =======================================
``collections.OrderedDict``     state dicts                             attributes that hide its methods: only
                                                                        ``_metadata`` is set
``collections.Counter``         milestones of learning rates            iterates what it is given: a dict only
``set``, ``frozenset``          tags, random states                     copies a list again and again: budget;
                                                                        deep keys: plain ones only
``bytearray``                   random states                           allocates any number: bytes or text only
``complex``                     settings                                nothing: two floats
``_codecs.encode``              bytes in protocol 2                     any codec (zlib, a bomb): latin1 only
``torch.Size``, ``device``      shapes, settings                        nothing: whole numbers; text
``torch.float32`` …             types of tensors                        nothing: values
``torch.FloatStorage`` …        types of memory                         nothing: they are answered by markers
``_rebuild_tensor``, ``_v2``,   tensors                                 reach beyond its memory, enlarge it, repeat
``_v3``                                                                 it to terabytes: offsets, sizes and strides
                                                                        are checked, and the budget counts a copy
``_rebuild_parameter``          parameters                              nothing: a tensor and a bool
``numpy … _reconstruct``,       arrays in logs and random states        pointers out of the file, types changed for
``_frombuffer``, ``scalar``,                                            the whole process: see `_pickle_numpy`
``dtype``, ``ndarray``
=============================== ======================================= =======================================

`torch.load` admits more, which no checkpoint of a detector needs: sparse, nested, quantized and meta tensors and
subclasses (whose sizes say nothing of their memory), and `torch.Tensor` itself. They are refused by name.
"""

import pickle
import re
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch

from ._pickle import Budget, Unfinished, plain_key
from ._pickle_numpy import numpy_names

_STORAGES = {
    "BFloat16": torch.bfloat16,
    "Bool": torch.bool,
    "Byte": torch.uint8,
    "Char": torch.int8,
    "ComplexDouble": torch.complex128,
    "ComplexFloat": torch.complex64,
    "Double": torch.float64,
    "Float": torch.float32,
    "Half": torch.float16,
    "Int": torch.int32,
    "Long": torch.int64,
    "Short": torch.int16,
}
_MAX_AXES = 64
_DTYPE = re.compile(r"(u?int(8|16|32|64)|float(16|32|64|8_\w+)|bfloat16|bool|complex(32|64|128))")


class StorageType(Unfinished):
    """Type of the memory of tensors, as a pickle names it."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype


class Values(Unfinished):
    """Memory of tensors: a vector of all its values."""

    def __init__(self, vector: torch.Tensor) -> None:
        self.vector = vector


def harmless_names(budget: Budget) -> tuple[dict[str, Any], dict[type, Callable[[Any, Any], None]]]:
    """Return a table of all names that every file may use, and one of types whose objects may be given a state."""
    table: dict[str, Any] = {
        "collections.OrderedDict": _counting(budget, _ordered),
        "collections.Counter": _counting(budget, _counter),
        "builtins.set": _counting(budget, _set),
        "builtins.frozenset": _counting(budget, lambda items=(): frozenset(_set(items))),
        "builtins.bytearray": _counting(budget, _bytearray),
        "builtins.complex": _complex,
        "_codecs.encode": _counting(budget, _latin1),
        "torch.Size": _counting(budget, _size),
        "torch.device": _device,
        "torch._utils._rebuild_parameter": _parameter,
        "torch.storage.UntypedStorage": StorageType(torch.uint8),
    }
    table.update({f"torch.{name}Storage": StorageType(dtype) for name, dtype in _STORAGES.items()})
    table.update({f"torch.{name}": getattr(torch, name) for name in vars(torch) if _DTYPE.fullmatch(name)})

    def tensor(
        values: Any,
        offset: Any,
        size: Any,
        stride: Any,
        grad: Any = False,
        hooks: Any = None,
        facts: Any = None,
    ) -> torch.Tensor:
        if type(grad) is not bool or hooks or facts:
            raise pickle.UnpicklingError("a tensor may have no hooks and no facts beside its values")
        return _view(budget, values, offset, size, stride).requires_grad_(grad)

    def tensor_of_dtype(
        values: Any, offset: Any, size: Any, stride: Any, grad: Any, hooks: Any, dtype: Any, facts: Any = None
    ) -> torch.Tensor:
        if type(values) is not Values or not isinstance(dtype, torch.dtype):
            raise pickle.UnpicklingError("a tensor must have values and a type")
        return tensor(Values(values.vector.view(dtype)), offset, size, stride, grad, hooks, facts)

    table["torch._utils._rebuild_tensor"] = tensor
    table["torch._utils._rebuild_tensor_v2"] = tensor
    table["torch._utils._rebuild_tensor_v3"] = tensor_of_dtype
    arrays, states = numpy_names(budget)
    return table | arrays, {OrderedDict: _set_ordered_state, **states}


def _set_ordered_state(made: OrderedDict[Any, Any], state: Any) -> None:
    # PyTorch keeps the versions of modules there. Another attribute could hide a method.
    if type(state) is not dict or set(state) - {"_metadata"}:
        raise pickle.UnpicklingError("an ordered dict may have the attribute `_metadata` and no other")
    vars(made).update(state)


def check_tensor(tensor: torch.Tensor, budget: Budget) -> None:
    """Refuse a tensor of absurd size, or one of bool with bytes that are neither true nor false."""
    take_tensor(tensor.shape, tensor.element_size(), budget)
    if tensor.dtype == torch.bool and bool((tensor.view(torch.uint8) > 1).any()):
        raise pickle.UnpicklingError("memory of bool holds other values than true and false")


def take_tensor(sizes: Sequence[int], n_bytes: int, budget: Budget) -> None:
    """Count the memory of a tensor. An axis of length 0 counts as 1: an empty tensor may have long axes beside it."""
    if len(sizes) > _MAX_AXES:
        raise pickle.UnpicklingError(f"a tensor may have at most {_MAX_AXES} axes")
    budget.take(prod(n or 1 for n in sizes) * n_bytes)


def _counting(budget: Budget, make: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function that copies its argument, so that copies count: a pickle can ask for any number of them."""

    def counted(*args: Any) -> Any:
        for arg in args:
            if type(arg) in (str, bytes):
                budget.take(len(arg))
            elif type(arg) in (list, tuple, dict, set):
                budget.take(64 * len(arg))
        return make(*args)

    return counted


def _ordered(pairs: Any = ()) -> OrderedDict[Any, Any]:
    if type(pairs) not in (list, tuple) or not all(type(p) in (list, tuple) and len(p) == 2 for p in pairs):
        raise pickle.UnpicklingError("an ordered dict must be made of pairs")
    return OrderedDict((plain_key(key), value) for key, value in pairs)


def _counter(counts: Any = None) -> Counter[Any]:
    if counts is not None and type(counts) is not dict:
        raise pickle.UnpicklingError("a counter must be made of a dict")
    return Counter(counts)


def _set(items: Any = ()) -> set[Any]:
    if type(items) not in (list, tuple, set):
        raise pickle.UnpicklingError("a set must be made of a list")
    return {plain_key(item) for item in items}


def _bytearray(content: Any = b"", encoding: Any = None) -> bytearray:
    if type(content) is bytes and encoding is None:
        return bytearray(content)
    return bytearray(_latin1(content, "latin1" if encoding == "latin-1" else encoding))


def _complex(real: Any, imaginary: Any) -> complex:
    if type(real) is not float or type(imaginary) is not float:
        raise pickle.UnpicklingError("a complex number must be made of two floats")
    return complex(real, imaginary)


def _latin1(text: Any, encoding: Any) -> bytes:
    if type(text) is not str or encoding != "latin1":
        raise pickle.UnpicklingError("text may only be encoded as latin1, the way pickles hold bytes")
    return text.encode("latin1")


def _size(lengths: Any = ()) -> torch.Size:
    return torch.Size(_whole_numbers(lengths))


def _device(kind: Any, index: Any = None) -> torch.device:
    if type(kind) is not str or type(index) not in (int, type(None)):
        raise pickle.UnpicklingError("a device must be a name and a number")
    return torch.device(kind) if index is None else torch.device(kind, index)


def _parameter(data: Any, requires_grad: Any, hooks: Any = None) -> torch.nn.Parameter:
    if not isinstance(data, torch.Tensor) or type(requires_grad) is not bool or hooks:
        raise pickle.UnpicklingError("a parameter must be a tensor without hooks")
    return torch.nn.Parameter(data, requires_grad)


def _view(budget: Budget, values: Any, offset: Any, size: Any, stride: Any) -> torch.Tensor:
    """Return a tensor of values in some memory, after a check that all of them lie in it."""
    if type(values) is not Values:
        raise pickle.UnpicklingError("a tensor must have values")
    sizes, strides, (start,) = _whole_numbers(size), _whole_numbers(stride), _whole_numbers((offset,))
    if len(sizes) != len(strides):
        raise pickle.UnpicklingError("a tensor must have as many strides as axes")
    held = values.vector.numel()
    end = (
        start + sum((n - 1) * step for n, step in zip(sizes, strides, strict=True)) + 1
        if prod(sizes)
        else start
    )
    if end > held:
        raise pickle.UnpicklingError(f"a tensor reaches to value {end} of a memory of {held}")
    take_tensor(sizes, values.vector.element_size(), budget)
    memory = values.vector.untyped_storage()
    # Checked above, since `set_` enlarges a memory that is too small.
    return torch.empty(0, dtype=values.vector.dtype).set_(memory, start, sizes, strides)


def _whole_numbers(numbers: Any) -> tuple[int, ...]:
    if not isinstance(numbers, (tuple, list)) or not all(type(n) is int and n >= 0 for n in numbers):
        raise pickle.UnpicklingError("sizes, strides and offsets must be whole numbers from 0 on")
    return tuple(numbers)
