"""Leave out a layer, a module or a sublayer, and keep everything around it as it was."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ...errors import InterventionError, UnitError
from ..activations import (
    Forward,
    argument_key,
    map_tensors,
    module_at,
    without_fast_path,
    wrapped_forward,
)
from ..anatomy import attention_layouts, is_norm


@contextmanager
def bypassed(
    model: nn.Module, path: str, kind: Literal["layer", "sublayer", "module"] = "layer"
) -> Iterator[None]:
    """Leave out a part of a model wherever the model runs inside the block. No parameter is touched.

    Parameters
    ----------
    model : torch.nn.Module
        The model, on any device.
    path : str
        Path of the part.
    kind : {"layer", "sublayer", "module"}, default "layer"
        What leaving it out means:

        - ``"layer"`` or ``"module"``: it returns its input, the first argument of its ``forward`` (the stream:
          ``query`` or ``src``), in the place of the first tensor of its output. Input and output must be of one
          shape.
        - ``"sublayer"``: an attention or feed-forward block contributes nothing, as if weight and bias of its
          output projection were zero: the layer's residual remains. Whether the block adds this itself (MMCV)
          or leaves it to the layer (torch) does not matter. `path` may lead to a linear layer, too, such as
          torch's ``linear2``.

    Raises
    ------
    UnknownComponentError
        If the model has no such module.
    UnitError
        If a sublayer has no output projection to be found.
    InterventionError
        If a layer's output has another shape than its input, a sublayer is more than a residual branch, or, on
        leaving the block, the part never ran.

    Notes
    -----
    Inside the block torch's fused transformer layers are off, in the whole process: they call no submodule.

    Examples
    --------
    >>> layer = nn.TransformerEncoderLayer(8, 2, batch_first=True).eval()
    >>> image = torch.randn(1, 5, 8)
    >>> with bypassed(layer, "self_attn", "sublayer"), bypassed(layer, "linear2", "sublayer"):
    ...     output = layer(image)
    >>> torch.equal(output, layer.norm2(layer.norm1(image)))
    True
    """
    if kind not in ("layer", "sublayer", "module"):
        raise InterventionError(f"`kind` must be 'layer', 'sublayer' or 'module', got {kind!r}.")
    module = module_at(model, path)
    runs = 0

    def count(_forward: Forward, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        nonlocal runs
        runs += 1
        return _forward(*args, **kwargs)

    with ExitStack() as stack:
        stack.enter_context(without_fast_path())
        if kind == "sublayer":
            projection = projection_of(path, module)
            stack.enter_context(silent(projection))
            if projection is not module:
                stack.enter_context(wrapped_forward(module, _residual_only(path, module)))
        else:
            stack.enter_context(wrapped_forward(module, through(path, module)))
        stack.enter_context(wrapped_forward(module, count))
        yield
    if not runs:
        raise InterventionError(
            f"{path!r} never ran inside the block, so that nothing was bypassed. Run the model there; a module "
            "whose weights are read without a call, or whose result is a recorded one, cannot be bypassed."
        )


def through(path: str, module: nn.Module) -> Any:
    """Return a wrapper for `wrapped_forward` that gives a module's input in the place of its output.

    The first call runs the module, to see the output's structure. If that is a plain tensor, later calls do not run it.
    """
    plain = False

    def around(forward: Forward, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        nonlocal plain
        key = argument_key(module, args, kwargs, None)
        stream = args[key] if isinstance(key, int) else kwargs[key]
        if plain:
            return stream
        output, replaced = forward(*args, **kwargs), []

        def replace(tensor: Tensor) -> Tensor:
            replaced.append(tensor)
            return stream if len(replaced) == 1 else tensor

        result = map_tensors(replace, output)
        if not isinstance(stream, Tensor) or not replaced or replaced[0].shape != stream.shape:
            had = tuple(stream.shape) if isinstance(stream, Tensor) else type(stream).__name__
            gave = tuple(replaced[0].shape) if replaced else type(output).__name__
            raise InterventionError(
                f"{path!r} must return the shape of its input to be bypassed, got {gave} from {had}. Put its mean "
                "there with `intervened`, or bypass the residual branches inside it."
            )
        plain = isinstance(output, Tensor)
        return result

    return around


def projection_of(path: str, module: nn.Module) -> nn.Module:
    """Return the module whose output is what a sublayer adds to its layer."""
    if isinstance(module, (nn.Linear, nn.MultiheadAttention)):
        return module
    layouts = attention_layouts(module)
    if len(layouts) == 1:
        ((name, layout),) = layouts.items()
        block = module.get_submodule(name)
        if isinstance(block, nn.MultiheadAttention):
            return block
        output = next((part.parameter for part in layout.slices if part.part == "output"), None)
        return block if output is None else module.get_submodule(output.rpartition(".")[0])
    linears = [child for child in module.modules() if isinstance(child, nn.Linear)]
    if len(layouts) > 1 or not linears:
        found = f"{len(layouts)} attention blocks" if layouts else "no linear layer"
        raise UnitError(
            f"`path` must lead to one attention or feed-forward block, got {path!r}, a {type(module).__name__} "
            f"with {found}. Give the path of one block, or kind='layer'."
        )
    return linears[-1]


@contextmanager
def silent(module: nn.Module) -> Iterator[None]:
    """Put zeros in the place of a module's output; in a tuple (attention with its weights), of the first entry only."""

    def zeros(_module: nn.Module, _args: Any, output: Any) -> Any:
        if isinstance(output, tuple):
            return (torch.zeros_like(output[0]), *output[1:])
        return torch.zeros_like(output)

    handle = module.register_forward_hook(zeros)
    try:
        yield
    finally:
        handle.remove()


def _residual_only(path: str, module: nn.Module) -> Any:
    """Return a wrapper for `wrapped_forward` that checks, at the first run, a sublayer whose projection is silent.

    The sublayer must return one of its inputs, the norm of one that it holds, or zeros.
    """
    checked = False
    norms = [
        child for child in module.children() if is_norm(child)
    ]  # DAB-DETR has the layer's norm inside of the block

    def around(forward: Forward, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        nonlocal checked
        output = forward(*args, **kwargs)
        if not checked:
            first = output[0] if isinstance(output, tuple) else output
            inputs = [
                x for x in (*args, *kwargs.values()) if isinstance(x, Tensor) and x.shape == first.shape
            ]
            normed = (norm(x) for norm in norms for x in inputs)
            if not any(same_values(first, x) for x in chain((torch.zeros_like(first), *inputs), normed)):
                raise InterventionError(
                    f"{path!r} is more than a residual branch: with its output projection at zero it returns "
                    "neither its input nor zeros. Bypass a block inside it."
                )
            checked = True
        return output

    return around


def same_values(a: Tensor, b: Tensor) -> bool:
    """Return whether two tensors of one shape hold the same values, NaN included."""
    return a.dtype == b.dtype and torch.allclose(a, b, rtol=0, atol=0, equal_nan=True)
