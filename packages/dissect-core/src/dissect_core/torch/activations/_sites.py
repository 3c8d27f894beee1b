"""Find the activation that a site names in a live model, and pass it through a function there."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from ...anatomy import chosen_units, unit_kind
from ...edits import ActivationSite
from ...errors import UnitError
from ..anatomy import attention_layouts
from ._forward import argument_key, before_projection, module_at, wrapped_forward
from ._nested import TensorMap, map_tensors


@dataclass(frozen=True, eq=False)
class TapPoint:
    """Point in a live model where a site's activation can be read and replaced.

    Attributes
    ----------
    site : ActivationSite
    module : torch.nn.Module
        The module at which it is read.
    where : {"heads", "input", "output", "first"}
        Before the module's fused output projection, at one of its arguments, at its output, or at the first tensor of
        its output.
    n_units : int or None
        Number of units; None where the activation's shape gives it.
    width : int
        Features of a unit.
    batch_axis : int
        Axis of the images, in activations that have one.
    features : {"last", "channels", "maps"}
        Axis of the features: the last one; that of the module's channels; or, for ``"maps"``, the one behind the
        images if the activation is a feature map, else the last one.
    is_sequence : bool
        Whether an activation with two axes is the sequence of one image, and not a row for each of many images.
    """

    site: ActivationSite
    module: nn.Module
    where: Literal["heads", "input", "output", "first"]
    n_units: int | None
    width: int = 1
    batch_axis: int = 0
    features: Literal["last", "channels", "maps"] = "last"
    is_sequence: bool = False

    @contextmanager
    def tapped(self, edit: TensorMap) -> Iterator[None]:
        """Pass the activation through `edit` for the length of a block."""
        if self.where == "heads":
            assert isinstance(self.module, nn.MultiheadAttention)
            with wrapped_forward(self.module, before_projection(self.module, edit)):
                yield
            return

        def pre(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            key = argument_key(module, args, kwargs, self.site.argument)
            if isinstance(key, int):
                return (*args[:key], edit(args[key]), *args[key + 1 :]), kwargs
            return args, {**kwargs, key: edit(kwargs[key])}

        def post(_module: nn.Module, _args: tuple[Any, ...], output: Any) -> Any:
            if self.where == "first" and isinstance(output, tuple):
                return (edit(output[0]), *output[1:])
            return map_tensors(edit, output)

        handle = (
            self.module.register_forward_pre_hook(pre, with_kwargs=True)
            if self.where == "input"
            else self.module.register_forward_hook(post)
        )
        try:
            yield
        finally:
            handle.remove()

    def image_axis(self, activation: Tensor) -> int | None:
        """Return the axis of the images; None for the activation of a single image, or one that is the same for all."""
        if activation.ndim < 2 or (activation.ndim == 2 and self.is_sequence):
            return None
        # Attention says how sequences are laid out; feature maps always have their images first.
        return self.batch_axis if activation.ndim == 3 or self.site.batch_axis is not None else 0

    def feature_axis(self, activation: Tensor) -> int:
        """Return the axis of the features, counted from the end: statistics are taken for each of them."""
        if self.features == "channels":
            last = isinstance(self.module, nn.LayerNorm) or activation.shape[1] != self.n_units
            return -1 if last else 1 - activation.ndim
        if self.features == "maps" and activation.ndim >= 4 and _maps(self.module):
            return 1 - activation.ndim
        return -1

    def chosen(self, activation: Tensor) -> Tensor:
        """Return a bool tensor that broadcasts to the activation: True where it is to be replaced.

        Raises
        ------
        UnitError
            If the activation does not have the units.
        """
        site, unit = self.site, unit_kind(self.site.unit)
        if site.indices is None:
            return torch.ones((), dtype=torch.bool, device=activation.device)
        axis = self.feature_axis(activation)
        if unit.activation == "rows":
            images = self.image_axis(activation)
            axis = next(i for i in range(activation.ndim) if i != images) - activation.ndim
        size = activation.shape[axis]
        n_units = size if self.n_units is None else self.n_units
        if n_units * self.width != size:
            raise UnitError(
                f"The activation at {site} must hold {unit.counted(n_units)} of {self.width} features, got the "
                f"shape {tuple(activation.shape)}. Check `path`."
            )
        mask = np.repeat(
            chosen_units(site.indices, n_units, f"there are {unit.counted(n_units)}"), self.width
        )
        shape = [-1 if i == axis + activation.ndim else 1 for i in range(activation.ndim)]
        return torch.from_numpy(mask).to(activation.device).view(shape)


def tap_point(model: nn.Module, site: ActivationSite) -> TapPoint:
    """Return the point where a site's activation can be read and replaced.

    Raises
    ------
    UnknownComponentError
        If the model has no such module.
    UnitError
        If the module has no such units.
    """
    point = FINDERS[site.unit](model, site, module_at(model, site.path))
    if point.n_units is not None and site.indices is not None:
        has = f"{site.path!r} has {unit_kind(site.unit).counted(point.n_units)}"
        chosen_units(site.indices, point.n_units, has)
    return point


def _heads(model: nn.Module, site: ActivationSite, module: nn.Module) -> TapPoint:
    layouts = attention_layouts(module)
    if len(layouts) != 1:
        inside = ", ".join(f"{site.path}.{name}" for name in layouts) or "none"
        raise UnitError(
            f"`path` must lead to one attention block to have heads, got {site.path!r} with "
            f"{len(layouts)} ({inside}). Give the path of one block."
        )
    ((name, layout),) = layouts.items()
    output = next((part for part in layout.slices if part.part == "output"), None)
    block = module.get_submodule(name)
    if output is None:  # what the heads give is what the block gives, beside the weights of its attention
        width = layout.embed_dims // layout.n_heads
        return TapPoint(site, block, "first", layout.n_heads, width, _given(site, 0), is_sequence=True)
    if isinstance(block, nn.MultiheadAttention):
        axis = 0 if block.batch_first else 1
        return TapPoint(
            site, block, "heads", layout.n_heads, output.width, _given(site, axis), is_sequence=True
        )
    projection = module.get_submodule(output.parameter.rpartition(".")[0])
    return TapPoint(
        site, projection, "input", layout.n_heads, output.width, _given(site, 0), is_sequence=True
    )


def _neurons(model: nn.Module, site: ActivationSite, module: nn.Module) -> TapPoint:
    second = _second_linear(site, module)
    return TapPoint(site, second, "input", second.in_features, 1, _batch_axis(model, site))


def _rows(model: nn.Module, site: ActivationSite, module: nn.Module) -> TapPoint:
    where: Literal["input", "output"] = "output" if isinstance(module, nn.Embedding) else "input"
    return TapPoint(site, module, where, None, 1, _batch_axis(model, site), is_sequence=True)


def _whole_output(model: nn.Module, site: ActivationSite, module: nn.Module) -> TapPoint:
    return TapPoint(site, module, "output", None, 1, _batch_axis(model, site), "maps")


def _second_linear(site: ActivationSite, module: nn.Module) -> nn.Linear:
    if isinstance(module, nn.Linear):
        return module
    linears = [child for child in module.modules() if isinstance(child, nn.Linear)]
    named = getattr(module, "linear2", None)
    if isinstance(named, nn.Linear):
        return named
    if len(linears) < 2 or linears[-2].out_features != linears[-1].in_features:
        raise UnitError(
            f"`path` must lead to two linear layers in a row to have neurons, got {site.path!r}, a "
            f"{type(module).__name__}. Give the path of the second linear layer."
        )
    return linears[-1]


def _channels(model: nn.Module, site: ActivationSite, module: nn.Module) -> TapPoint:
    """Return the tap point at the norm behind a convolution, or at the convolution itself if none follows."""
    path = site.path
    convolutions = [name for name, child in module.named_children() if _n_channels(child, "conv")]
    if not _n_channels(module, "conv") and len(convolutions) == 1:
        path, module = f"{path}.{convolutions[0]}", module.get_submodule(convolutions[0])
    n = _n_channels(module, "conv")
    if n:
        module = _norm_behind(model, path, n) or module
    n = n or _n_channels(module, "norm")
    if not n:
        raise UnitError(
            f"`path` must lead to a convolution or its norm to have channels, got {site.path!r}, a "
            f"{type(module).__name__}."
        )
    return TapPoint(site, module, "output", n, 1, _given(site, 0), "channels")


def _norm_behind(model: nn.Module, path: str, n: int) -> nn.Module | None:
    """Return the norm that is defined right after a convolution, if it has as many channels."""
    parent, _, name = path.rpartition(".")
    if not path:
        return None
    around = model.get_submodule(parent)
    siblings = dict(around.named_children())
    behind = [siblings[key] for key in list(siblings)[list(siblings).index(name) + 1 :]]
    norms = list(itertools.takewhile(lambda child: _n_channels(child, "norm"), behind))
    if len(norms) > 1 and not isinstance(around, nn.Sequential):
        raise UnitError(
            f"{len(norms)} norms are defined behind the convolution {path!r}, so that its own is not known. "
            "Give the path of the norm."
        )
    return norms[0] if norms and _n_channels(norms[0], "norm") == n else None


def _n_channels(module: nn.Module, what: Literal["conv", "norm"]) -> int:
    if what == "conv":
        return int(getattr(module, "out_channels", 0)) if hasattr(module, "kernel_size") else 0
    if "norm" not in type(module).__name__.lower():
        return 0
    weight = getattr(module, "weight", None)
    counted = weight.numel() if isinstance(weight, Tensor) else getattr(module, "num_features", 0)
    return int(counted)


def _batch_axis(model: nn.Module, site: ActivationSite) -> int:
    """Return the axis of the images in sequences, read from attention in the module, else beside it or further out."""
    if site.batch_axis is not None:
        return site.batch_axis
    parts = site.path.split(".") if site.path else []
    chain = [model.get_submodule(".".join(parts[:n])) for n in range(len(parts), -1, -1)]
    around = (child for module in chain for child in (module, *module.children()))
    for module in (*chain[0].modules(), *around):
        first = getattr(module, "batch_first", None)
        if isinstance(first, bool):
            return 0 if first else 1
    return 0


def _given(site: ActivationSite, found: int) -> int:
    return found if site.batch_axis is None else site.batch_axis


def _maps(module: nn.Module) -> bool:
    """Return whether a module's 4-dimensional outputs are feature maps, with the channels at index 1."""
    linear = any(isinstance(m, (nn.Linear, nn.LayerNorm)) for m in module.modules())
    return not linear or any(_n_channels(m, "conv") for m in module.modules())


FINDERS: Mapping[str, Callable[[nn.Module, ActivationSite, nn.Module], TapPoint]] = {
    "head": _heads,
    "neuron": _neurons,
    "channel": _channels,
    "query": _rows,
    "component": _whole_output,
}
"""For each unit that has activations: a function of the model, a site and the module at its path, to the tap point."""
