"""Putting stand-ins and slimmer blocks into a model, in place."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from torch import nn

from ...errors import InterventionError
from ._cuts import Cut, apply_cut
from ._stand_ins import Answer, StandIn

# Which linear layer feeds which, in a layer that holds them beside its attention.
_FIRST = {"linear2": "linear1", "fc2": "fc1"}
_ONLY_USE = (nn.TransformerEncoderLayer._ff_block, nn.TransformerDecoderLayer._ff_block)


def reduced(model: nn.Module, answers: Mapping[str, Answer], cuts: Sequence[Cut]) -> nn.Module:
    """Reduce a model in place: stand-ins where blocks go whole, cuts where parts of them go.

    Returns
    -------
    torch.nn.Module
        The model, or what took its place.

    Raises
    ------
    InterventionError
        If a module that is to be replaced has hooks, which would be lost.
    """
    blocks = {path: model.get_submodule(path) for path in answers}
    for path, block in [*blocks.items(), *((cut.path, model.get_submodule(cut.path)) for cut in cuts)]:
        _require_bare(path, block)
    changed: list[nn.Module] = []
    for path, block in blocks.items():
        stand_in = StandIn(block, answers[path])
        model = _swapped(model, block, stand_in)
        changed.append(stand_in)
    for layer, name in first_linears(model, answers):
        if getattr(type(layer), "_ff_block", None) in _ONLY_USE:
            leave_out_first(layer, name)
    for cut in cuts:
        for module, instead in apply_cut(model, cut):
            model = _swapped(model, module, instead) if instead is not None else model
            changed.append(instead if instead is not None else module)
    _unfuse(model, changed)
    return model


def first_linears(model: nn.Module, paths: Iterable[str]) -> Iterator[tuple[nn.Module, str]]:
    """Linear layers that feed others which have gone, each as the layer that holds it and its name there."""
    for path in paths:
        around, _, name = path.rpartition(".")
        layer = model.get_submodule(around)
        if name in _FIRST and isinstance(getattr(layer, _FIRST[name], None), nn.Linear):
            yield layer, _FIRST[name]


def leave_out_first(layer: nn.Module, name: str) -> None:
    """Let a linear layer whose result nobody needs give no features at all."""
    linear = layer.get_submodule(name)
    layer._modules[name] = StandIn(linear, Answer((), width=0))


def _swapped(model: nn.Module, old: nn.Module, new: nn.Module) -> nn.Module:
    """Put a module in another one's place wherever the model holds that."""
    if old is model:
        return new
    for module in list(model.modules()):
        for name, child in module._modules.items():
            if child is old:
                module._modules[name] = new
    return model


def _unfuse(model: nn.Module, changed: Sequence[nn.Module]) -> None:
    """Keep torch's encoder layers from running as one kernel around modules that this does not know.

    There is no switch for it: a layer whose activation is said to be neither ReLU nor GELU goes the long way,
    still with its own activation, and an encoder must then not pack its input for the kernel.
    """
    ids = {id(module) for module in changed}
    for module in model.modules():
        if ids.isdisjoint(id(inner) for inner in module.modules()):
            continue
        if isinstance(module, nn.TransformerEncoderLayer):
            module.activation_relu_or_gelu = 0
        if isinstance(module, nn.TransformerEncoder):
            module.use_nested_tensor = False


def _require_bare(path: str, block: nn.Module) -> None:
    for module in block.modules():
        if module._forward_hooks or module._forward_pre_hooks or "forward" in vars(module):
            raise InterventionError(
                f"{path!r} must have no hooks, nor an ablation in force, to be replaced: they would be lost. Remove "
                "them, or call `simplify` outside the block."
            )
