"""Stepping into every module's forward at once, for the length of a block."""

import functools
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import MethodType
from typing import Any, TypeAlias

import torch
from torch import nn

Around: TypeAlias = Callable[[str, nn.Module, Callable[..., Any], Any, Any], Any]


@contextmanager
def every_forward(
    modules: Iterable[tuple[str, nn.Module]], around: Callable[[], Around | None]
) -> Iterator[None]:
    """Let `around` run the forward of every one of some modules, as long as it gives something to run it with.

    Hooks of others still fire, before and after. What others put around a forward inside the block lies outside of
    this. Compiled modules (TorchScript) are left alone: what is inside them is not seen, and they are not stood in for.
    """
    wrapped: list[tuple[nn.Module, Any, Any]] = []
    try:
        for path, module in modules:
            if isinstance(module, torch.jit.ScriptModule):
                continue
            wrapper = _wrapper(path, module, module.forward, around)
            wrapped.append((module, module.__dict__.get("forward"), wrapper))
            module.__dict__["forward"] = wrapper
        yield
    finally:
        for module, before, wrapper in wrapped:
            if module.__dict__.get("forward") is not wrapper:
                continue  # the model has put something else there, for good
            if before is None:
                module.__dict__.pop("forward", None)
            else:
                module.__dict__["forward"] = before


def _wrapper(
    path: str, module: nn.Module, inner: Callable[..., Any], around: Callable[[], Around | None]
) -> Callable[..., Any]:
    if not isinstance(inner, MethodType) or inner.__self__ is not module:

        @functools.wraps(inner)
        def forward(*args: Any, **kwargs: Any) -> Any:
            run = around()
            return inner(*args, **kwargs) if run is None else run(path, module, inner, args, kwargs)

        return forward

    # A method takes the place of a method: the copy that a model makes of a module has its own, and is not watched.
    function = inner.__func__

    @functools.wraps(function)
    def method(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        run = around() if self is module else None
        return function(self, *args, **kwargs) if run is None else run(path, module, inner, args, kwargs)

    return MethodType(method, module)


def compiled_part(model: nn.Module) -> str | None:
    """Return which part of a model was made by `torch.compile`, as a reason; None if there is none."""
    for path, module in model.named_modules():
        forward = getattr(module, "forward", None)
        if (
            hasattr(module, "_orig_mod")
            or getattr(module, "_compiled_call_impl", None) is not None
            or hasattr(forward, "_torchdynamo_orig_callable")
        ):
            return f"{path!r} is compiled" if path else "it is compiled"
    return None
