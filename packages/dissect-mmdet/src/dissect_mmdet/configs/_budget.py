"""Limits on building a model: on its memory, by the size of its checkpoint, and on its modules and calls."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch.nn.modules import module as hooks
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

from ..errors import ConfigError

AT_LEAST = 1 << 28
"""Bytes that any model may take, however small its checkpoint."""
TIMES = 8
"""A model may take this many times the bytes of its checkpoint, which may be stored in half precision."""
MODULES_AT_MOST = 10_000
"""MMDetection's own models have some 3,000."""
CALLS_AT_MOST = 200_000
"""Calls of torch's functions: MMDetection's own models take some 10,000."""
LOOKED_AT = 1 << 22
"""Calls that may make a tensor of more values than this are measured before they are made."""

_FACTORIES = frozenset(
    {
        *(
            torch.empty,
            torch.zeros,
            torch.ones,
            torch.full,
            torch.eye,
            torch.rand,
            torch.randn,
            torch.randint,
        ),
        *(torch.randperm, torch.arange, torch.linspace, torch.logspace),
    }
)


@contextmanager
def building_budget(n_bytes: int, source: str) -> Iterator[None]:
    """Refuse a model that takes more memory than its checkpoint could fill, before the memory is taken.

    Parameters
    ----------
    n_bytes : int
        Size of the checkpoint.
    source : str
        Where the model's config is from, for messages.

    Raises
    ------
    ConfigError
        If the bytes, modules or calls of torch are too many.
    """
    budget = _Budget(max(AT_LEAST, TIMES * n_bytes), source)
    with ExitStack() as stack:
        for register in (
            hooks.register_module_parameter_registration_hook,
            hooks.register_module_buffer_registration_hook,
        ):
            stack.callback(register(budget.see_tensor).remove)
        stack.callback(hooks.register_module_module_registration_hook(budget.see_module).remove)
        stack.enter_context(budget)
        yield


class _Budget(TorchFunctionMode):
    """Counter of the bytes, modules and calls that this thread asks of torch."""

    def __init__(self, n_bytes: int, source: str) -> None:
        super().__init__()
        self._most, self._source = n_bytes, source
        self._made = self._registered = self._n_modules = self._n_calls = 0
        self._thread = threading.get_ident()

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        self._n_calls += 1
        if self._n_calls > CALLS_AT_MOST:
            self._refuse(f"over {CALLS_AT_MOST:,} steps to be built, as no model of MMDetection does")
        # In place, or an attribute's ``__get__``: these take no new memory.
        if "out" in kwargs or getattr(func, "__name__", "")[-1:] == "_":
            return func(*args, **kwargs)
        given = [value for value in tree_leaves((args, kwargs)) if isinstance(value, (torch.Tensor, int))]
        if func in _FACTORIES or _largest_of(given) > LOOKED_AT:
            self._check(self._made + _n_asked(func, args, kwargs))  # before the memory is taken
        made = func(*args, **kwargs)
        self._made += _n_new(made, given)
        self._check(self._made)
        return made

    def see_tensor(self, module: torch.nn.Module, name: str, tensor: torch.Tensor | None) -> None:
        """Count a parameter or buffer, however it was made."""
        if tensor is not None and threading.get_ident() == self._thread:
            self._registered += _n_bytes(tensor)
            self._check(self._registered)

    def see_module(self, module: torch.nn.Module, name: str, inner: torch.nn.Module | None) -> None:
        """Count a module."""
        if inner is None or threading.get_ident() != self._thread:
            return
        self._n_modules += 1
        if self._n_modules > MODULES_AT_MOST:
            self._refuse(f"over {MODULES_AT_MOST:,} modules, as no model of MMDetection does")

    def _check(self, n_bytes: int) -> None:
        if n_bytes > self._most:
            self._refuse(f"over {self._most / 1e6:,.0f} MB, which its checkpoint could not fill")

    def _refuse(self, what: str) -> None:
        raise ConfigError(
            f"{self._source} was refused: its model takes {what}. If you trust "
            "the file, say --trust; or give the config as a Python file with --config."
        )


def _largest_of(given: list[Any]) -> int:
    """Return the most values of a tensor that is made of these, by broadcasting or repeating."""
    return math.prod(value.numel() if isinstance(value, torch.Tensor) else max(1, value) for value in given)


def _n_asked(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
    """Return the bytes of the tensors that a call would make: on the device "meta", they have a size and no memory."""
    plain = {name: value for name, value in kwargs.items() if name not in ("generator", "pin_memory")}
    if func in _FACTORIES:
        plain["device"] = "meta"
    args, plain = tree_map(_without_memory, (args, plain))
    try:
        with torch.no_grad():
            return _n_new(func(*args, **plain), tree_leaves((args, plain)))
    except (RuntimeError, NotImplementedError):  # it reads values, which a meta tensor lacks, or fails anyway
        return 0


def _without_memory(value: Any) -> Any:
    return value.detach().to("meta") if isinstance(value, torch.Tensor) else value


def _n_new(made: Any, given: list[Any]) -> int:
    """Return the bytes of tensors that a call has made, without views of its arguments."""
    tensors = [value for value in tree_leaves(made) if isinstance(value, torch.Tensor)]
    if not tensors:
        return 0
    with torch._C.DisableTorchFunction():  # counting these calls takes as long as building
        known = {one.untyped_storage()._cdata for one in given if isinstance(one, torch.Tensor)}
        new = {one.untyped_storage()._cdata: one.untyped_storage().nbytes() for one in tensors}
    return sum(size for storage, size in new.items() if storage not in known)


def _n_bytes(tensor: torch.Tensor) -> int:
    with torch._C.DisableTorchFunction():
        return tensor.numel() * tensor.element_size()
