"""What building a model may take: bounded by what its checkpoint could fill."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch.nn.modules import module as hooks
from torch.overrides import TorchFunctionMode

from .errors import ConfigError

AT_LEAST = 1 << 28
"""Bytes that any model may take."""
TIMES = 8
"""How many times the bytes of its checkpoint a model may take: numbers may be stored in half precision."""
MODULES_AT_MOST = 20_000
"""MMDetection's own models have some 4,000."""

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
    """Stop the building of a model that takes more than its checkpoint could fill, before the memory is taken.

    Parameters
    ----------
    n_bytes : int
        Size of the checkpoint.
    source : str
        Where the model's config is from, for messages.

    Raises
    ------
    ConfigError
        If modules or bytes are too many.
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
    """Counts what this thread asks torch for."""

    def __init__(self, n_bytes: int, source: str) -> None:
        super().__init__()
        self._most, self._source = n_bytes, source
        self._made = self._registered = self._n_modules = 0
        self._thread = threading.get_ident()

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if (
            func in _FACTORIES and "out" not in kwargs
        ):  # on the device "meta", tensors have a size and no memory
            self._made += _n_asked(func, args, kwargs)
            self._check(self._made)
        made = func(*args, **kwargs)
        if func is torch.Tensor.clone:  # as copies of modules are made
            self._made += _n_bytes(made)
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
            self._refuse(f"over {MODULES_AT_MOST:,} modules")

    def _check(self, n_bytes: int) -> None:
        if n_bytes > self._most:
            self._refuse(f"over {self._most / 1e6:,.0f} MB")

    def _refuse(self, what: str) -> None:
        raise ConfigError(
            f"{self._source} was refused: its model takes {what}, which its checkpoint could not fill. If you trust "
            "the file, say --trust; or give the config as a Python file with --config."
        )


def _n_asked(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
    """Bytes of the tensor that a call would make."""
    if (
        func is torch.empty and len(args) == 1 and isinstance(args[0], tuple)
    ):  # as modules make their parameters
        return 4 * math.prod(args[0])
    plain = {name: value for name, value in kwargs.items() if name not in ("generator", "pin_memory")}
    return _n_bytes(func(*args, **{**plain, "device": "meta"}))


def _n_bytes(tensor: torch.Tensor) -> int:
    with torch._C.DisableTorchFunction():  # counting these calls takes as long as building
        return tensor.numel() * tensor.element_size()
