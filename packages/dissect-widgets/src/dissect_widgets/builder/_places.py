"""Where a model has units of each kind, and which words of a study reach them. No widgets in here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Literal, TypeAlias

from dissect_core import DissectError
from dissect_core.anatomy import UNITS, Anatomy, Selector, is_inside

__all__ = ["OFFERED", "Places", "Space"]

Space: TypeAlias = Literal["weight", "activation"]

OFFERED: Mapping[str, str] = {
    "head": "heads",
    "neuron": "neurons",
    "query": "queries",
    "channel": "channels",
    "layer": "layers",
    "sublayer": "sublayers",
    "level": "levels",
    "point": "points",
    "component": "whole components",
    "element": "single weights",
}
"""Units that a study is mostly about, in the words in which they are offered; all others stand under all fields."""


class Places:
    """The places of a model that have units: attention blocks have heads, layers are units themselves, and so on.

    Parameters
    ----------
    anatomy : Anatomy

    Examples
    --------
    >>> from dissect_core import Component
    >>> from dissect_core.anatomy import Block
    >>> layers = [Block(f"encoder.layers.{i}", "layer", ("encoder.layer",), i, 4) for i in range(6)]
    >>> places = Places(Anatomy((Component("encoder.layers.0.norm.weight", (4,), "float32"),), tuple(layers)))
    >>> places.units, places.words("layer")["encoder.layer"], places.usual("layer")
    (('layer', 'component', 'element'), 6, ('encoder.layer',))
    """

    def __init__(self, anatomy: Anatomy) -> None:
        self.anatomy = anatomy
        self._selectors: dict[tuple[str, Space], Selector] = {}
        self._words: dict[tuple[str, Space], Mapping[str, int]] = {}

    @cached_property
    def units(self) -> tuple[str, ...]:
        """Units among `OFFERED` that the model has."""
        return tuple(unit for unit in OFFERED if self.paths(unit) or self.acts_only(unit))

    def acts_only(self, unit: str) -> bool:
        """Return whether a model has units that lie in no weight, such as queries that are chosen per image."""
        by_rows = UNITS[unit].activation == "rows"
        return by_rows and any(group.unit == unit and not group.slices for group in self.anatomy.groups)

    def paths(self, unit: str, space: Space = "weight") -> tuple[str, ...]:
        """Return where units of a kind lie; activations of queries lie elsewhere, in decoder layers."""
        anatomy, kind = self.anatomy, UNITS[unit]
        if space == "activation" and kind.activation == "rows":
            return tuple(b.path for b in anatomy.blocks if "decoder.layer" in b.roles)
        match kind.lies_in:
            case "attention":
                return tuple(anatomy.attention)
            case "group":
                # Queries without weights are reached as they pass; heads without, the plan reaches by itself.
                return tuple(
                    group.path
                    for group in anatomy.groups
                    if group.unit == unit and (group.slices or kind.activation != "rows")
                )
            case "block":
                among = anatomy.blocks
                if kind.acts_by == "readout":
                    among = tuple(block for block in among if "decoder.layer" in block.roles)
                return tuple(block.path for block in among if block.kind in kind.blocks)
            case _:
                return tuple(component.name for component in anatomy.components)

    def words(self, unit: str, space: Space = "weight") -> Mapping[str, int]:
        """Return the roles by which units of a kind are reached, with the number of places that each stands for."""
        key = unit, space
        if key not in self._words:
            selector = self._selector(unit, space)
            found = {role: len(selector.stands_for(role)) for role in self.anatomy.roles}
            self._words[key] = {role: n for role, n in found.items() if n}
        return self._words[key]

    def bearing(self, unit: str, role: str) -> tuple[str, ...]:
        """Return the places with units of a kind that a role stands for."""
        return tuple(self._selector(unit, "weight").stands_for(role))

    def n_places(self, unit: str, word: str, space: Space = "weight") -> int:
        """Return how many places with such units a role, name or glob stands for; 0 if it reaches none."""
        try:
            return len(self._selector(unit, space).select(word))
        except DissectError:
            return 0

    def usual(self, unit: str, space: Space = "weight") -> tuple[str, ...]:
        """Return the most specific roles that reach all units of a kind; of single weights, a small part."""
        paths = self.paths(unit, space)
        if UNITS[unit].lies_in in ("parameter", "component"):
            some = self.usual("query") or self.usual("head") or self.anatomy.roles[:1]
            return some or paths[:1]
        found = dict.fromkeys(self._role_of(path) or path for path in paths)
        return tuple(found)

    def _role_of(self, path: str) -> str:
        """Return the most specific role of the innermost block around a path that bears one."""
        around = [b for b in self.anatomy.blocks if b.roles and is_inside(path, b.path)]
        return max(around, key=lambda block: len(block.path)).roles[0] if around else ""

    def _selector(self, unit: str, space: Space) -> Selector:
        key = unit, space
        if key not in self._selectors:
            self._selectors[key] = self._made(unit, self.paths(unit, space), space)
        return self._selectors[key]

    def _made(self, unit: str, paths: Sequence[str], space: Space) -> Selector:
        kind = UNITS[unit]
        if kind.lies_in in ("parameter", "component"):
            return self.anatomy.components_by()
        if kind.lies_in == "block" or (space == "activation" and kind.activation == "rows"):
            return self.anatomy.blocks_by(kind.blocks or ("layer",))
        return self.anatomy.paths_by(list(paths), f"place with {kind.plural}")
