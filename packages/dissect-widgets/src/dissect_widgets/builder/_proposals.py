"""What a study may ask about parts of a model that somebody chose. No widgets in here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from dissect_core.anatomy import UNITS, Anatomy

from ._places import Places

__all__ = ["Proposal", "proposals"]


class Proposal(NamedTuple):
    """An ablation that may be meant by a choice of parts.

    Attributes
    ----------
    key : str
        Short name: ``"chosen heads"``, a unit, ``"component"`` or ``"element"``.
    title : str
        What is removed, in words.
    ablation : dict
        The ablation, without a name.
    """

    key: str
    title: str
    ablation: dict[str, Any]


def proposals(
    anatomy: Anatomy,
    names: Iterable[str],
    heads: Mapping[str, Sequence[int]] | None = None,
    places: Places | None = None,
) -> tuple[Proposal, ...]:
    """Return what may be asked about chosen components and heads, the likeliest first.

    Parameters
    ----------
    anatomy : Anatomy
    names : iterable of str
        Names of chosen components.
    heads : mapping of str to sequence of int, optional
        Chosen heads, by the path of their attention block.
    places : Places, optional
        Those of the anatomy, where they are at hand.

    Returns
    -------
    tuple of Proposal
        Units of the blocks in which the components lie, and the components themselves.

    Examples
    --------
    >>> from dissect_core import Component
    >>> from dissect_core.anatomy import Block, multihead_layout
    >>> names = [f"encoder.layers.{i}.self_attn.in_proj_weight" for i in range(6)]
    >>> components = tuple(Component(name, (24, 8), "float32") for name in names)
    >>> paths = [name.removesuffix(".in_proj_weight") for name in names]
    >>> blocks = tuple(Block(path, "attention", ("encoder.self_attn", "self_attn")) for path in paths)
    >>> anatomy = Anatomy(components, blocks, {path: multihead_layout(8, 2, prefix=f"{path}.") for path in paths})
    >>> found = proposals(anatomy, names[:3], {paths[0]: [1], paths[5]: [0]})
    >>> [one.title for one in found]
    ['these 2 heads, together', 'each head of these 3 blocks', 'these 3 sublayers', 'all of these 3 components', \
'shares of the single weights of these 3 components']
    >>> found[0].ablation["target"]["components"], found[0].ablation["select"]["indices"]
    (['encoder.layers.0.self_attn', 'encoder.layers.5.self_attn'], [1, 2])
    """
    wanted = {*names}
    names = [component.name for component in anatomy.components if component.name in wanted]
    places = places or Places(anatomy)
    around = _parts_around(names)
    found = []
    if chosen := {path: sorted({*some}) for path, some in (heads or {}).items() if some}:
        found.append(_of_heads(anatomy, chosen))
    for unit in places.units:
        kind = UNITS[unit]
        if kind.lies_in in ("parameter", "component"):
            continue
        paths = [
            path for path in places.paths(unit) if _is_meant(path, around, whole=kind.blocks == ("layer",))
        ]
        if paths:
            found.append(_of_places(unit, paths, places))
    if names:
        some = _these(len(names), "component")
        components = _shortened(names, "element", places)
        found += [
            Proposal("component", f"all of {some}", _made("component", components, {"by": "each"})),
            Proposal(
                "element",
                f"shares of the single weights of {some}",
                _made("element", components, {"by": "fraction", "fractions": [0.1, 0.3, 0.5], "repeats": 3}),
            ),
        ]
    return tuple(found)


def _of_heads(anatomy: Anatomy, chosen: Mapping[str, Sequence[int]]) -> Proposal:
    """Return the removal of given heads; they are numbered block after block, in the model's order."""
    indices, start, paths = [], 0, []
    for path, layout in anatomy.attention.items():
        if path in chosen:
            paths.append(path)
            indices += [start + head for head in chosen[path]]
            start += layout.n_heads
    title = f"{_these(len(indices), 'head')}{', together' if len(indices) > 1 else ''}"
    return Proposal("chosen heads", title, _made("head", paths, {"by": "indices", "indices": indices}))


def _of_places(unit: str, paths: Sequence[str], places: Places) -> Proposal:
    kind = UNITS[unit]
    made = _made(unit, _shortened(paths, unit, places), {"by": "each"})
    if kind.lies_in == "block":
        return Proposal(unit, _these(len(paths), kind.name), made)
    if kind.few_in_a_block:
        if not kind.in_structure:
            made["control"] = {"match": "parameters"}
        one = f"each {kind.name}"
    else:  # hundreds of neurons: shares of them first, each of them is a click away
        made["select"] = {"by": "fraction", "fractions": [0.1, 0.3, 0.5], "repeats": 3}
        one = f"shares of the {kind.plural}"
    return Proposal(unit, f"{one} of {_these(len(paths), 'block')}", made)


def _parts_around(names: Iterable[str]) -> dict[str, set[str]]:
    """Return the paths around chosen components, with the names of the parts of each in which they lie."""
    around: dict[str, set[str]] = {}
    for name in names:
        around.setdefault(name, set())
        path, _, part = name.rpartition(".")
        while path:
            around.setdefault(path, set()).add(part)
            path, _, part = path.rpartition(".")
    return around


def _is_meant(path: str, around: Mapping[str, set[str]], *, whole: bool) -> bool:
    """Return whether chosen components lie in a block, or are one; of a layer, in more than one of its parts."""
    return path in around and (not whole or len(around[path]) > 1)


def _shortened(paths: Sequence[str], unit: str, places: Places) -> list[str]:
    """Return roles in place of paths where the paths are all places that bear them."""
    left, words = dict.fromkeys(paths), []
    for role in sorted(places.words(unit), key=lambda role: (-places.words(unit)[role], -len(role))):
        bears = set(places.bearing(unit, role))
        if len(bears) > 1 and bears <= left.keys():
            words.append(role)
            left = {path: None for path in left if path not in bears}
    return [*words, *left]


def _these(n: int, noun: str) -> str:
    return f"this {noun}" if n == 1 else f"these {n:,} {noun}s"


def _made(unit: str, components: Iterable[str], select: dict[str, Any]) -> dict[str, Any]:
    return {"target": {"unit": unit, "components": [*components]}, "select": select}
