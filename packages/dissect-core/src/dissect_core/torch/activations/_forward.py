"""Read and replace what passes through a module: its arguments, its output, and the input of a fused projection."""

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from ...edits import ActivationSite
from ...errors import InterventionError
from ...names import unknown_component
from ._nested import TensorMap

Forward: TypeAlias = Callable[..., Any]
Around: TypeAlias = Callable[[Forward, tuple[Any, ...], dict[str, Any]], Any]


def module_at(model: nn.Module, path: str) -> nn.Module:
    """Return the module at a path.

    Raises
    ------
    UnknownComponentError
        If there is none; near matches are named.
    InterventionError
        If it is the output projection of `nn.MultiheadAttention`, which is never called.
    """
    try:
        module = model.get_submodule(path)
    except AttributeError:
        names = [name for name, _ in model.named_modules() if name]
        raise unknown_component(path, names, what="module") from None
    parent, _, name = path.rpartition(".")
    if name == "out_proj" and isinstance(model.get_submodule(parent), nn.MultiheadAttention):
        raise InterventionError(
            f"`path` must lead to a module that is called, but {type(module).__name__} {path!r} is not: its "
            f"attention block reads its weight. Give the block itself, {parent!r}."
        )
    return module


@contextmanager
def wrapped_forward(module: nn.Module, around: Around) -> Iterator[None]:
    """Call `around` with a module's forward and the arguments, in the place of that forward. Blocks nest."""
    inner = module.forward
    before = module.__dict__.get("forward")

    @functools.wraps(inner)
    def forward(*args: Any, **kwargs: Any) -> Any:
        return around(inner, args, kwargs)

    module.__dict__["forward"] = forward
    try:
        yield
    finally:
        if before is None:
            module.__dict__.pop("forward", None)
        else:
            module.__dict__["forward"] = before


@contextmanager
def without_fast_path() -> Iterator[None]:
    """Keep torch's transformer layers from running as one kernel, which calls no submodule."""
    enabled = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(enabled)


class _Through(nn.Module):
    """Stands in for an output projection and changes nothing: what comes out is what went in."""

    bias = None

    def __init__(self, width: int, like: Tensor) -> None:
        super().__init__()
        with torch.inference_mode(False):
            self.weight = nn.Parameter(
                torch.eye(width, dtype=like.dtype, device=like.device), requires_grad=False
            )

    def forward(self, x: Tensor) -> Tensor:
        return x


def before_projection(block: nn.MultiheadAttention, edit: TensorMap) -> Around:
    """Return a wrapper for `wrapped_forward` that passes the heads' results through `edit` before their projection.

    The block reads the projection's weight and calls no module that a hook could see. It is therefore run
    with the unit matrix in the projection's place, which is exact, and the projection is applied afterwards.
    """
    stand_ins: dict[tuple[torch.device, torch.dtype], _Through] = {}

    def around(forward: Forward, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        projection = block.out_proj
        like = projection.weight
        key = (like.device, like.dtype)
        if key not in stand_ins:
            stand_ins[key] = _Through(block.embed_dim, like)
        block._modules["out_proj"] = stand_ins[key]
        try:
            heads, *rest = forward(*args, **kwargs)
        finally:
            block._modules["out_proj"] = projection
        # Where wrappers nest, `projection` is the real one in the outermost wrapper, and the unit matrix in the others.
        return (nn.functional.linear(edit(heads), projection.weight, projection.bias), *rest)

    return around


def argument_key(
    module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any], name: str | None
) -> int | str:
    """Return where an argument of a call was given: its position, or its keyword.

    Parameters
    ----------
    module : torch.nn.Module
    args, kwargs : tuple and mapping
        Arguments of the call.
    name : str or None
        Name in the signature of ``forward``; None for the first, which carries the stream of features.

    Raises
    ------
    InterventionError
        If the call does not give it.
    """
    names = list(inspect.signature(module.forward).parameters)
    if name is None:
        if args:
            return 0
        name = next((n for n in (*names[:1], "query", "hidden_states", "x") if n in kwargs), None)
    elif name in names and names.index(name) < len(args):
        return names.index(name)
    if name is None or kwargs.get(name) is None:
        given = ", ".join([*names[: len(args)], *kwargs]) or "none"
        raise InterventionError(
            f"{type(module).__name__} was called without the argument {name or names[:1]!r}; given were: {given}. "
            "Name one of these in `argument`."
        )
    return name


def check_ran(passes: int, never: list[ActivationSite]) -> None:
    """Raise an error if sites never met their activations, so that nothing was replaced or read there.

    Raises
    ------
    InterventionError
        If `never` names a site.
    """
    if not never:
        return
    why = (
        "The model did not run inside the block."
        if not passes
        else "The model ran, but not through there: the module may be used in training only, be replaced by a "
        "recorded or bypassed result, or have its weights read without a call. Aim at what is called."
    )
    raise InterventionError(f"Never met: {'; '.join(map(str, never))}. {why}")
