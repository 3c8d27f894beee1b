"""Put stand-ins and slimmer blocks into a model, in place."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from torch import nn

from ...errors import InterventionError
from ..anatomy import joined, parent
from ._cuts import Cut, apply_cut
from ._stand_ins import Answer, StandIn

# The linear layer that feeds another one, where a layer holds both beside its attention.
_FIRST = {"linear2": "linear1", "fc2": "fc1"}
_ONLY_USE = (nn.TransformerEncoderLayer._ff_block, nn.TransformerDecoderLayer._ff_block)


@dataclass(frozen=True)
class Reduction:
    """All changes that make a model smaller; made to another model of the same build, they have the same effect.

    Attributes
    ----------
    stand_ins : mapping of str to Answer
        Modules that are removed whole, by path, with what the stand-in for each returns.
    unread : tuple of str
        Linear layers that are removed too, since they fed one of these modules and nothing else.
    cuts : tuple of Cut
        Heads and neurons that are cut out of blocks.
    """

    stand_ins: Mapping[str, Answer] = field(default_factory=dict)
    unread: tuple[str, ...] = ()
    cuts: tuple[Cut, ...] = ()


def reduced(model: nn.Module, reduction: Reduction) -> nn.Module:
    """Reduce a model in place: put stand-ins for blocks that are removed whole, cut heads and neurons out of others.

    Returns
    -------
    torch.nn.Module
        The model, or its stand-in if the whole model was removed.

    Raises
    ------
    InterventionError
        If a module that is to be replaced has hooks, which would be lost.
    """
    blocks = {path: model.get_submodule(path) for path in reduction.stand_ins}
    cut_blocks = {cut.path: model.get_submodule(cut.path) for cut in reduction.cuts}
    for path, block in [*blocks.items(), *cut_blocks.items()]:
        # Other blocks than torch's stay where they are when they are cut, with their hooks: Transformers puts some of
        # its own on the attention blocks of a backbone.
        _require_bare(path, block, hooks=path in blocks or isinstance(block, nn.MultiheadAttention))
    changed: list[nn.Module] = []
    for path, block in blocks.items():
        stand_in = StandIn(block, reduction.stand_ins[path])
        model = _swapped(model, block, stand_in)
        changed.append(stand_in)
    for path in reduction.unread:
        leave_out_unread(model, path)
    for cut in reduction.cuts:
        for module, instead in apply_cut(model, cut):
            model = _swapped(model, module, instead) if instead is not None else model
            changed.append(instead if instead is not None else module)
    _unfuse(model, changed)
    return model


def feeding_linears(model: nn.Module, paths: Iterable[str]) -> Iterator[str]:
    """Yield the paths of linear layers that feed those at given paths, in layers that hold both beside attention."""
    for path in paths:
        around, _, name = path.rpartition(".")
        layer = model.get_submodule(around)
        if name in _FIRST and isinstance(getattr(layer, _FIRST[name], None), nn.Linear):
            yield joined(around, _FIRST[name])


def known_unread(model: nn.Module, paths: Iterable[str]) -> tuple[str, ...]:
    """Return the paths of linear layers, in torch's own layers, that only feed those at the given paths."""
    layers = ((path, model.get_submodule(parent(path))) for path in feeding_linears(model, paths))
    return tuple(path for path, layer in layers if getattr(type(layer), "_ff_block", None) in _ONLY_USE)


def leave_out_unread(model: nn.Module, path: str) -> None:
    """Replace a linear layer whose result is not read by a stand-in that returns no features at all."""
    around, _, name = path.rpartition(".")
    linear = model.get_submodule(path)
    if not isinstance(linear, StandIn):  # in a layer that the model holds twice, it is replaced already
        model.get_submodule(around)._modules[name] = StandIn(linear, Answer((), width=0))


def _swapped(model: nn.Module, old: nn.Module, new: nn.Module) -> nn.Module:
    """Put a module in another one's place wherever the model holds that, and return the model."""
    if old is model:
        return new
    for module in list(model.modules()):
        for name, child in module._modules.items():
            if child is old:
                module._modules[name] = new
    return model


def _unfuse(model: nn.Module, changed: Sequence[nn.Module]) -> None:
    """Keep torch's encoder layers from running as one kernel, which would not call the changed modules in them.

    There is no switch for it: a layer whose activation is said to be neither ReLU nor GELU calls its modules one by
    one, still with its own activation, and an encoder must then not pack its input for the kernel.
    """
    ids = {id(module) for module in changed}
    for module in model.modules():
        if ids.isdisjoint(id(inner) for inner in module.modules()):
            continue
        if isinstance(module, nn.TransformerEncoderLayer):
            module.activation_relu_or_gelu = 0
        if isinstance(module, nn.TransformerEncoder):
            module.use_nested_tensor = False


def _require_bare(path: str, block: nn.Module, *, hooks: bool) -> None:
    for module in block.modules():
        hooked = hooks and (module._forward_hooks or module._forward_pre_hooks)
        if hooked or "forward" in vars(module):
            raise InterventionError(
                f"{path!r} must have no hooks, nor an ablation in force, to be replaced: they would be lost. Remove "
                "them, or call `simplify` outside the block."
            )
