"""Convolutions, norms and object queries of a live model, by what they are made of."""

import re
from collections.abc import Collection, Iterator, Mapping

from torch import Tensor, nn

from ...anatomy import UnitGroup, channel_group, query_group
from ._recognise import Recognised, joined, parent

_QUERIES = re.compile(
    r"quer(y|ies)\w*(embed|feat|pos)|^(object_|query_|detection_)?(queries|tokens)$|^(tgt|refpoint)_embed"
    r"|^weight_embedding$",  # of RT-DETR and its kin, where queries are learned
    re.IGNORECASE,
)
_BESIDE = re.compile(r"^(reference_?point|refpoint|anchor)", re.IGNORECASE)


def convolutions(modules: Mapping[str, nn.Module], names: Mapping[str, str]) -> Iterator[Recognised]:
    """Yield convolutions, with their channels where these can be removed exactly.

    With a norm behind, the channels are the norm's scales and shifts: a norm over groups or layers mixes the
    channels, so that silencing one in the convolution would change others. Without, they are rows of the weight
    and the bias. Where the norm has a shift that is no parameter (frozen), nothing here can remove a channel.
    """
    seen: set[tuple[str, ...]] = set()
    for path, module in modules.items():
        for conv, norm in _with_norms(module):
            here = joined(path, conv)
            owned = _channels(path, module, conv, norm, names)
            groups: tuple[UnitGroup, ...] = ()
            if owned and tuple(owned) not in seen:
                seen.add(tuple(owned))
                groups = (channel_group(here, list(owned.items())),)
            yield Recognised(here, "conv", "conv", groups=groups)


def _channels(
    path: str, module: nn.Module, conv: str, norm: str | None, names: Mapping[str, str]
) -> dict[str, tuple[int, ...]]:
    """Return parameters with a value for each channel, by name; none where a channel cannot be removed."""
    owned = {}
    child = getattr(module, norm or conv)
    for kind in ("weight", "bias"):
        value = getattr(child, kind, None)
        name = names.get(joined(joined(path, norm or conv), kind))
        if isinstance(value, Tensor):
            if name is None:
                return {}
            owned[name] = tuple(value.shape)
    return owned if getattr(child, "weight", None) is not None else {}


def _with_norms(module: nn.Module) -> list[tuple[str, str | None]]:
    """Return the convolutions directly in a module, each with the norm behind it.

    That is the order of definition: of convolutions and then norms that follow each other, the last belong together.
    """
    pairs: dict[str, str | None] = {}
    convs: list[str] = []
    norms: list[str] = []

    def settle() -> None:
        n = min(len(convs), len(norms))
        last = zip(convs[len(convs) - n :], norms[:n], strict=True)
        pairs.update((c, n) for c, n in last if _width(getattr(module, c)) == _width(getattr(module, n)))
        convs.clear()
        norms.clear()

    for name, child in module.named_children():
        if _is_conv(child):
            if norms:
                settle()
            convs.append(name)
            pairs[name] = None
        elif is_norm(child):
            norms.append(name)
        elif next(child.parameters(), None) is not None:
            settle()
    settle()
    return list(pairs.items())


def _is_conv(module: nn.Module) -> bool:
    """Return whether a module is a convolution, or a deformable one, but no transposed one."""
    weight = getattr(module, "weight", None)
    return (
        isinstance(weight, nn.Parameter)
        and weight.ndim >= 3
        and getattr(module, "out_channels", None) == weight.shape[0]
        and not getattr(module, "transposed", False)
    )


def is_norm(module: nn.Module) -> bool:
    """Return whether a module is a norm: of torch, or named one, with a scale (or a buffer) for each channel."""
    if isinstance(module, (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)):
        return True
    weight = getattr(module, "weight", None)
    named = "norm" in type(module).__name__.lower() and next(module.children(), None) is None
    return named and isinstance(weight, Tensor) and weight.ndim == 1


def _width(module: nn.Module) -> int | None:
    weight = getattr(module, "weight", None)
    if isinstance(weight, Tensor):
        return weight.shape[0] if _is_conv(module) or weight.ndim == 1 else None
    width = getattr(module, "num_features", getattr(module, "num_channels", None))
    return width if isinstance(width, int) else None


def norms(modules: Mapping[str, nn.Module]) -> Iterator[Recognised]:
    """Yield norms that have parameters."""
    for path, module in modules.items():
        if is_norm(module) and next(module.parameters(recurse=False), None) is not None:
            yield Recognised(path, "norm", "norm")


def queries(
    modules: Mapping[str, nn.Module], names: Mapping[str, str], said: Collection[str]
) -> Iterator[Recognised]:
    """Yield object queries: embeddings and parameters that are named so, with a row for each query.

    Those of one module with equally many rows are one set of queries; embeddings of their reference points belong to
    it. `said` holds paths that a rule calls queries.
    """
    sets: dict[tuple[str, int], list[tuple[str, str, tuple[int, ...]]]] = {}
    tables = list(_tables(modules, names))
    for path, name, shape in tables:
        if path in said or _QUERIES.search(path.rpartition(".")[2]):
            sets.setdefault((parent(path), shape[-2]), []).append((path, name, shape))
    for path, name, shape in tables:
        if _BESIDE.match(path.rpartition(".")[2]):
            found = sets.get((parent(path), shape[-2]))
            if found and (path, name, shape) not in found:
                found.append((path, name, shape))
    for members in sets.values():
        group = query_group(members[0][0], [(name, shape) for _, name, shape in members])
        for i, (path, _, _) in enumerate(members):
            yield Recognised(path, "module", "query_embedding", groups=() if i else (group,))


def _tables(
    modules: Mapping[str, nn.Module], names: Mapping[str, str]
) -> Iterator[tuple[str, str, tuple[int, ...]]]:
    """Yield embeddings and matrices held directly by a module: path, name of the parameter, shape."""
    for path, module in modules.items():
        if isinstance(module, nn.Embedding):
            name = names.get(joined(path, "weight"))
            if name is not None:
                yield path, name, tuple(module.weight.shape)
            continue
        for key, value in module.named_parameters(recurse=False):
            if (value.ndim == 2 or (value.ndim == 3 and value.shape[0] == 1)) and key != "weight":
                yield joined(path, key), names[joined(path, key)], tuple(value.shape)
