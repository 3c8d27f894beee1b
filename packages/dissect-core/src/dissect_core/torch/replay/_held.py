"""The arguments of calls and what modules hold, noted before a call and compared after it.

A call that changes any of this does more than return, and no recorded result can stand in for it.
"""

import contextvars
import os
import random
import types
from collections import deque
from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..activations import parts_in
from ._values import is_scalar, slots_of, version

_GLOBAL: np.random.RandomState = np.random.mtrand._rand  # what `np.random.seed` seeds
MOST = 20_000
"""Objects looked at, at most, of what a module holds."""
_TORCH = frozenset({"_parameters", "_buffers", "_modules", "_non_persistent_buffers_set"})
_HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_forward_hooks_always_called",
    "_forward_hooks_with_kwargs",
    "_forward_pre_hooks_with_kwargs",
)
_ENVIRONMENT = frozenset(os.environ)
"""Variables that were there before any model ran: libraries add some of their own when they are first used."""
Marks = list[tuple[Any, Any]]
"""Objects with what tells whether one was changed since; the objects themselves, so that no other takes their place."""


# Why not `torch.utils._pytree`: it passes over objects that it does not know. Here each of these is noted, as a call
# may have changed it unseen.


class Given:
    """The arguments of a call, as they were when it began.

    Attributes
    ----------
    unknown : str or None
        An object in it whose changes cannot be seen, by its type.
    tensors : list of torch.Tensor
    """

    def __init__(self, args: Any, kwargs: Any) -> None:
        self.unknown: str | None = None
        self.tensors: list[Tensor] = []
        self._containers: dict[int, Any] = {}
        self._marks: Marks = []
        for item in (*args, *kwargs.values()):
            self._take(item)
        self.versions = [version(tensor) for tensor in self.tensors]

    def _take(self, value: Any) -> None:
        if isinstance(value, Tensor):
            self.tensors.append(value)
            if torch._C._functorch.is_functorch_wrapped_tensor(value):
                self.unknown = self.unknown or "tensors of vmap or another transform"
            elif type(value) not in (Tensor, nn.Parameter, nn.Buffer):
                self.unknown = self.unknown or f"a {type(value).__name__}"
        elif (
            is_scalar(value)
            or isinstance(value, (nn.Module, slice, range, type))
            or id(value) in self._containers
        ):
            pass  # a module's own state is looked at when it is called
        elif isinstance(value, (list, tuple, dict)) and not hasattr(value, "__slots__"):
            self._containers[id(value)] = value
            self._marks.append((value, _items(value)))
            for item in (*value, *value.values()) if isinstance(value, dict) else value:
                self._take(item)
        elif isinstance(value, tuple):  # a named one
            for item in value:
                self._take(item)
        elif isinstance(value, np.ndarray) and not value.dtype.hasobject and value.nbytes <= 2**16:
            self._marks.append((value, value.tobytes()))
        else:
            self.unknown = self.unknown or f"a {type(value).__name__}"

    def is_changed(self) -> bool:
        """Return whether a tensor or container of it is not as it was."""
        if any(before != version(tensor) for before, tensor in zip(self.versions, self.tensors, strict=True)):
            return True
        return any(
            value.tobytes() != before if isinstance(value, np.ndarray) else not _alike(_items(value), before)
            for value, before in self._marks
        )

    def holds(self, result: Any) -> bool:
        """Return whether a container in a result is one of those given."""
        return any(
            isinstance(part, (list, dict)) and id(part) in self._containers for part in parts_in(result)
        )


def _items(value: Any) -> list[Any]:
    return [item for pair in value.items() for item in pair] if isinstance(value, dict) else list(value)


def _alike(one: list[Any], other: list[Any]) -> bool:
    return len(one) == len(other) and all(a is b for a, b in zip(one, other, strict=True))


def has_hooks(module: nn.Module) -> bool:
    """Return whether a module has hooks: they would not be called if a call around it were answered from the record."""
    of_all = torch.nn.modules.module
    return bool(
        module._forward_hooks
        or module._forward_pre_hooks
        or of_all._global_forward_hooks
        or of_all._global_forward_pre_hooks
    )


def held(module: nn.Module) -> Marks:
    """List what a module itself holds, without looking into objects."""
    values = [(name, value) for name, value in vars(module).items() if name != "forward"]
    values += list(module._buffers.items())
    return [(value, (name, _stamp(value))) for name, value in values]


def _stamp(value: Any) -> Any:
    if isinstance(value, Tensor):
        return version(value)
    return len(value) if isinstance(value, (list, dict, set)) else 0


def held_deeply(module: nn.Module, *, alone: bool = False) -> Marks:
    """List all that a module's code and hooks can reach: attributes, closures, globals, and other modules' attributes.

    Parameters
    ----------
    module : torch.nn.Module
    alone : bool
        Leave out what only the modules inside of it hold.
    """
    marks: Marks = []
    if isinstance(module, torch.jit.ScriptModule):
        return marks  # no Python is in it
    seen: set[int] = {id(module)}
    inner = vars(module).get("forward", None)
    roots = _attributes(module)
    roots += [hook for name in _HOOKS for hook in vars(module).get(name, {}).values()]
    roots += [getattr(inner, "__wrapped__", inner), type(module).forward]
    roots += _of_class(type(module))
    waiting = deque(roots if alone else [*roots, *module._modules.values()])
    marks.append((module, [*vars(module), *_known(roots)]))
    marks += [(os.environ, (name, value)) for name, value in os.environ.items() if name in _ENVIRONMENT]
    while waiting and len(marks) < MOST:
        value = waiting.popleft()
        if is_scalar(value) or id(value) in seen or isinstance(value, (type, types.ModuleType)):
            continue
        seen.add(id(value))
        try:
            mark, inside = _look_into(value)
        except Exception:  # some objects fail when their attributes are read
            mark, inside = None, ()
        marks.append((value, mark))
        waiting.extend(inside)
    return marks


def _attributes(module: nn.Module) -> list[Any]:
    """List what a module holds itself: attributes and buffers, but for what belongs to torch."""
    own = [value for name, value in vars(module).items() if name not in (*_TORCH, *_HOOKS, "forward")]
    return [*own, *module._buffers.values()]


def _of_class(kind: type) -> list[Any]:
    """List the data that a class of modules and its bases hold, up to torch's own."""
    bases = (base for base in kind.__mro__ if base.__module__ not in (nn.Module.__module__, "builtins"))
    values = (value for base in bases for name, value in vars(base).items() if not name.startswith("__"))
    return [value for value in values if is_scalar(value) or isinstance(value, (list, dict, set, deque))]


def _look_into(value: Any) -> tuple[Any, Iterable[Any]]:
    """Return a value that differs once an object was changed, and the objects that can be reached from it."""
    if isinstance(value, Tensor):
        return version(value), ()
    if isinstance(value, np.ndarray):
        return (value.tobytes() if value.nbytes <= 2**16 and not value.dtype.hasobject else None), ()
    if isinstance(value, nn.Module):
        # Reached by a bound method, say, through which the module at hand may change what this one holds.
        if isinstance(value, torch.jit.ScriptModule):
            return None, ()
        own = [*_attributes(value), *_of_class(type(value))]
        return [*vars(value), *_known(own)], [*own, *value._modules.values()]
    if isinstance(value, contextvars.ContextVar):
        now = value.get(None)
        return _known([now]), (now,)
    if isinstance(value, torch.Generator):
        return value.get_state().tolist(), ()
    if isinstance(value, random.Random):
        return value.getstate(), ()
    if isinstance(value, np.random.Generator):
        return repr(value.bit_generator.state), ()
    if isinstance(value, np.random.RandomState):
        return _drawn_by(value), ()
    if isinstance(value, dict):
        return _known([*value, *value.values()]), (*value.values(), *value)
    if isinstance(value, (list, tuple, set, frozenset, deque)):
        return _known(list(value)), tuple(value)
    if isinstance(value, partial):
        return None, (value.func, value.args, value.keywords)
    if isinstance(value, types.MethodType):
        return None, (value.__func__, value.__self__)
    if isinstance(value, types.FunctionType):
        return _function(value)
    if isinstance(value, types.CellType):
        return _known(_cell(value)), _cell(value)
    inside: list[Any] = list(vars(value).values()) if hasattr(value, "__dict__") else []
    names = [name for kind in type(value).__mro__ for name in slots_of(kind)]
    inside += [getattr(value, name) for name in names if hasattr(value, name)]
    return _known(inside), inside


def _known(items: list[Any]) -> list[Any]:
    """Describe scalars by value, all else by which object it is."""
    return [item if is_scalar(item) else id(item) for item in items]


def _cell(cell: types.CellType) -> list[Any]:
    try:
        return [cell.cell_contents]
    except ValueError:  # empty yet
        return []


def _function(function: types.FunctionType) -> tuple[Any, list[Any]]:
    inside: list[Any] = [*(function.__closure__ or ()), function.__defaults__, function.__kwdefaults__]
    inside.append(vars(function))
    used = [function.__globals__[name] for name in _names(function.__code__) if name in function.__globals__]
    values = [
        v for v in used if not isinstance(v, (type, types.ModuleType, types.FunctionType)) and not callable(v)
    ]
    return _known(values), inside + values


def _names(code: types.CodeType) -> set[str]:
    inner = (const for const in code.co_consts if isinstance(const, types.CodeType))
    return set(code.co_names).union(*(_names(each) for each in inner))


def same_marks(before: Marks, after: Marks) -> bool:
    """Return whether nothing that is held was changed."""
    return len(before) == len(after) and all(
        a[0] is b[0] and _equal(a[1], b[1]) for a, b in zip(before, after, strict=True)
    )


def _equal(one: Any, other: Any) -> bool:
    return bool(one == other) or repr(one) == repr(other)  # NaN among scalars


def drawn_by_torch() -> bytes:
    """Return the state of torch's own generator on the CPU."""
    with torch._C._DisableFuncTorch():  # inside its transforms no tensor has memory to read
        return torch.default_generator.get_state().numpy().tobytes()


def _drawn_by(generator: np.random.RandomState) -> Any:
    state: Any = generator.get_state()
    return state[1].tobytes(), state[2:]


def chance() -> Any:
    """Return the state of torch's generators, of NumPy's and of Python's."""
    found = [drawn_by_torch(), _drawn_by(_GLOBAL), random.getstate()]
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]  # torch's
        found += [state.numpy().tobytes() for state in torch.cuda.get_rng_state_all()]
    return found
