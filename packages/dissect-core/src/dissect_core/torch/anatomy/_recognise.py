"""Attention and feed-forward blocks and layers of a live model, by what they are made of."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import nn

from ...anatomy import AttentionLayout, BlockKind, UnitGroup, feed_forward_group, sampling_groups

CONTAINERS = (nn.ModuleList, nn.Sequential, nn.ModuleDict)
"""Modules that only hold others."""
_PAIRS = (("linear1", "linear2"), ("fc1", "fc2"))


@dataclass(frozen=True)
class Recognised:
    """A block as recognised, before it is known where in the model it stands.

    Attributes
    ----------
    path : str
        Its path.
    kind : str
        See `dissect_core.Block`.
    word : str
        Its role without the region it lies in: ``"self_attn"``, ``"ffn"``.
    parts : tuple of str
        Paths of the modules or parameters that make it up, where these are more than its own path.
    groups : tuple of UnitGroup
        Its units.
    """

    path: str
    kind: BlockKind
    word: str
    parts: tuple[str, ...] = ()
    groups: tuple[UnitGroup, ...] = ()


def attention_blocks(
    modules: Mapping[str, nn.Module], layouts: Mapping[str, AttentionLayout]
) -> Iterator[Recognised]:
    """Yield attention blocks: the outermost module around each layout that has no other parameters.

    MMCV for instance wraps `torch.nn.MultiheadAttention` in a module that adds the residual.
    """
    paths = {_outermost(path, modules): path for path in layouts}
    beside: dict[str, list[str]] = {}
    for path in paths:
        beside.setdefault(owner(path, modules), []).append(path)
    words = {path: word for around, here in beside.items() for path, word in _self_or_cross(around, here)}
    for path, inner in paths.items():
        layout = layouts[inner]
        # Without a bias nothing can silence a sampling point.
        weighs = any(name.endswith("attention_weights.bias") for name in layout.parameters)
        groups = sampling_groups(inner, layout) if weighs else ()
        yield Recognised(path, "attention", words[path], groups=groups)


def _outermost(path: str, modules: Mapping[str, nn.Module]) -> str:
    own = {id(p) for p in modules[path].parameters()}
    for around in upwards(path):
        if around and not isinstance(modules[around], CONTAINERS):
            if {id(p) for p in modules[around].parameters()} != own:
                break
            path = around
        else:
            break
    return path


def _self_or_cross(around: str, paths: list[str]) -> Iterator[tuple[str, str]]:
    """Tell by name where it says so; else a layer's first attention block is self-attention, others cross."""
    names = {path: path.removeprefix(around).lower() for path in paths}
    said = {
        path: "cross_attn" if "cross" in name or "encoder_attn" in name else "self_attn"
        for path, name in names.items()
        if "cross" in name or "encoder_attn" in name or "self" in name
    }
    for path in paths:
        if path not in said:
            said[path] = "cross_attn" if "self_attn" in said.values() else "self_attn"
        yield path, said[path]


def feed_forward_blocks(
    modules: Mapping[str, nn.Module], names: Mapping[str, str], attention: set[str]
) -> Iterator[Recognised]:
    """Yield feed-forward blocks: linear layer, activation, linear layer, as wide at the end as at the start.

    `attention` holds the owners of attention blocks. A block beside one may be as narrow inside as outside;
    elsewhere that would be a prediction head just as well.
    """
    inside: set[str] = set()
    for path, module in modules.items():
        if not inside.isdisjoint(upwards(path)):
            continue
        for block, first, second in (_chain(path, module), _pair(path, module)):
            weights = [names.get(joined(linear, "weight")) for linear in (first, second)]
            lower, upper = modules.get(first), modules.get(second)
            if not block or None in weights:  # weights that are computed cannot be masked
                continue
            if not isinstance(lower, nn.Linear) or not isinstance(upper, nn.Linear):
                continue  # a layer that another block shares stands under that block's path
            hidden, out = lower.out_features, upper.out_features
            around = path if block == second else owner(block, modules)
            if lower.in_features != out or upper.in_features != hidden:
                continue
            if hidden <= out and around not in attention:
                continue
            group = feed_forward_group(
                block,
                (names[joined(first, "weight")], (hidden, out)),
                names.get(joined(first, "bias")),
                (names[joined(second, "weight")], (out, hidden)),
            )
            inside.add(block)
            yield Recognised(block, "ffn", "ffn", (first, second) if block == second else (), (group,))
            break


_Linears = tuple[str, str, str]
_NONE: _Linears = ("", "", "")


def _chain(path: str, module: nn.Module) -> _Linears:
    """Return the linear layers of a module that is linear, activation, linear, through nested `Sequential`s too."""
    if isinstance(module, (nn.ModuleList, nn.ModuleDict)):
        return _NONE  # who knows in which order it is called
    leaves = [(name, m) for name, m in _leaves(path, module) if not _passes_on(m)]
    # PReLU is an activation with a parameter.
    holding = [
        i
        for i, (_, m) in enumerate(leaves)
        if not isinstance(m, nn.PReLU) and any(True for _ in m.parameters())
    ]
    if len(holding) != 2 or not all(isinstance(leaves[i][1], nn.Linear) for i in holding):
        return _NONE
    first, second = holding
    return (path, leaves[first][0], leaves[second][0]) if path and second > first + 1 else _NONE


def _pair(path: str, module: nn.Module) -> _Linears:
    """Return the two linear layers that a module calls by name, with any activation between.

    They are the module where it holds no other parameters. In a layer that keeps them beside its attention, the
    block's path is the second one's: what that gives is what the block gives.
    """
    for pair in _PAIRS:
        layers = [getattr(module, name, None) for name in pair]
        if all(isinstance(layer, nn.Linear) for layer in layers):
            first, second = (joined(path, name) for name in pair)
            own = {id(p) for layer in layers if layer is not None for p in layer.parameters()}
            alone = path and own == {id(p) for p in module.parameters()}
            return (path if alone else second), first, second
    return _NONE


def _leaves(path: str, module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    for name, child in module.named_children():
        if isinstance(child, nn.Sequential):
            yield from _leaves(joined(path, name), child)
        else:
            yield joined(path, name), child


def _passes_on(module: nn.Module) -> bool:
    return isinstance(module, nn.Identity) or "drop" in type(module).__name__.lower()


def layers(modules: Mapping[str, nn.Module], blocks: list[Recognised]) -> dict[str, int]:
    """Return layers by path, each with its index: members of a list that hold attention or feed-forward blocks.

    What lies in between are containers only; so the attention block inside another block makes no layer.
    """
    found: dict[str, int] = {}
    for block in blocks:
        path = owner(block.path, modules)
        stack = modules.get(parent(path)) if path else None
        if isinstance(stack, (nn.ModuleList, nn.Sequential)):
            found[path] = list(stack._modules).index(path.rpartition(".")[2])
    return found


def joined(path: str, name: str) -> str:
    """Return the path of a child; the model's own path is empty."""
    return f"{path}.{name}" if path else name


def parent(path: str) -> str:
    """Return the path of the module that directly holds another one, or a parameter."""
    return path.rpartition(".")[0]


def upwards(path: str) -> Iterator[str]:
    """Yield a path, its parent's and so on; the last one is the model's own."""
    while path:
        yield path
        path = parent(path)
    yield ""


def owner(path: str, modules: Mapping[str, nn.Module]) -> str:
    """Return the path of the nearest module around another one that is no mere container; else the model's own."""
    around = parent(path)
    while around and isinstance(modules.get(around), CONTAINERS):
        around = parent(around)
    return around
