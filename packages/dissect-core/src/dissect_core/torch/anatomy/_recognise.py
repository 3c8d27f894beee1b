"""Attention and feed-forward blocks and layers of a live model, by what they are made of."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from torch import nn

from ...anatomy import AttentionLayout, BlockKind, UnitGroup, feed_forward_group, sampling_groups

CONTAINERS = (nn.ModuleList, nn.Sequential, nn.ModuleDict)
"""Modules that only hold others."""
_PAIRS = (("linear1", "linear2"), ("fc1", "fc2"))
_GATED = ("gate_proj", "up_proj", "down_proj")


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
        for recognise in _FEED_FORWARD:
            found = recognise(path, module)
            if found is None or any(joined(linear, "weight") not in names for linear in found.linears):
                continue  # weights that are computed cannot be masked
            *lower, upper = (modules.get(linear) for linear in found.linears)
            if not isinstance(upper, nn.Linear) or not all(isinstance(one, nn.Linear) for one in lower):
                continue  # a layer that another block shares stands under that block's path
            hidden, out = upper.in_features, upper.out_features
            around = path if found.block == found.linears[-1] else owner(found.block, modules)
            if {(one.in_features, one.out_features) for one in lower if isinstance(one, nn.Linear)} != {
                (out, hidden)
            }:
                continue
            if hidden <= out and around not in attention:
                continue
            inside.add(found.block)
            parts = found.linears if found.block == found.linears[-1] else ()
            yield Recognised(found.block, "ffn", "ffn", parts, (_neurons(found, names, hidden, out),))
            break


class _FeedForward(NamedTuple):
    """The linear layers of what may be a feed-forward block: those that it begins with, and the last."""

    block: str
    linears: tuple[str, ...]


def _neurons(found: _FeedForward, names: Mapping[str, str], hidden: int, out: int) -> UnitGroup:
    first, *gates, last = found.linears

    def rows(linear: str) -> list[tuple[str, tuple[int, ...]]]:
        bias = names.get(joined(linear, "bias"))
        return [(names[joined(linear, "weight")], (hidden, out)), *([(bias, (hidden,))] if bias else [])]

    weight, *bias = rows(first)
    more = [one for gate in gates for one in rows(gate)]
    end = (names[joined(last, "weight")], (out, hidden))
    return feed_forward_group(found.block, weight, bias[0][0] if bias else None, end, *more)


def _chain(path: str, module: nn.Module) -> _FeedForward | None:
    """Return the linear layers of a module that is linear, activation, linear, through nested `Sequential`s too."""
    if isinstance(module, (nn.ModuleList, nn.ModuleDict)):
        return None  # who knows in which order it is called
    leaves = [(name, m) for name, m in _leaves(path, module) if not _passes_on(m)]
    # PReLU is an activation with a parameter.
    holding = [
        i
        for i, (_, m) in enumerate(leaves)
        if not isinstance(m, nn.PReLU) and any(True for _ in m.parameters())
    ]
    if len(holding) != 2 or not all(isinstance(leaves[i][1], nn.Linear) for i in holding):
        return None
    first, second = holding
    return _FeedForward(path, (leaves[first][0], leaves[second][0])) if path and second > first + 1 else None


def _pair(path: str, module: nn.Module) -> _FeedForward | None:
    """Return the two linear layers that a module calls by name, with any activation between.

    They are the module where it holds no other parameters. In a layer that keeps them beside its attention, the
    block's path is the second one's: what that gives is what the block gives.
    """
    return next((found for pair in _PAIRS if (found := _by_names(path, module, pair)) is not None), None)


def _gated(path: str, module: nn.Module) -> _FeedForward | None:
    """Return the linear layers of a gated block (SwiGLU; Shazeer 2020, arXiv:2002.05202): two in parallel, then one."""
    return _by_names(path, module, _GATED)


def _by_names(path: str, module: nn.Module, names: tuple[str, ...]) -> _FeedForward | None:
    layers = [getattr(module, name, None) for name in names]
    if not all(isinstance(layer, nn.Linear) for layer in layers):
        return None
    linears = tuple(joined(path, name) for name in names)
    own = {id(p) for layer in layers if layer is not None for p in layer.parameters()}
    alone = path and own == {id(p) for p in module.parameters()}
    return _FeedForward(path if alone else linears[-1], linears)


def _list(path: str, module: nn.Module) -> _FeedForward | None:
    """Return the two linear layers of a module that holds them in a list `layers`, which its kind calls in order."""
    children = {
        name: child for name, child in module.named_children() if next(child.parameters(), None) is not None
    }
    if not path or children.keys() != {"layers"} or not isinstance(children["layers"], nn.ModuleList):
        return None
    if next(module.parameters(recurse=False), None) is not None or len(children["layers"]) != 2:
        return None
    return _FeedForward(path, tuple(joined(path, f"layers.{i}") for i in range(2)))


def _apart(path: str, module: nn.Module) -> _FeedForward | None:
    """Return the linear layers of the children `intermediate` and `output` of a layer (ViT, YOLOS)."""
    linears = tuple(joined(path, f"{name}.dense") for name in ("intermediate", "output"))
    for name in ("intermediate", "output"):
        child = getattr(module, name, None)
        if not isinstance(child, nn.Module):
            return None
        holding = [
            inner for inner in child.modules() if next(inner.parameters(recurse=False), None) is not None
        ]
        if len(holding) != 1 or getattr(child, "dense", None) is not holding[0]:
            return None
    return _FeedForward(linears[-1], linears)


_FEED_FORWARD = (_chain, _pair, _list, _gated, _apart)
"""From a path and its module to the linear layers of a feed-forward block, or None; the first that fits counts."""


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
