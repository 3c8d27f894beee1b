"""Pools: the units that a target offers, part after part."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import numpy as np

from ..anatomy import Component, Indices, UnitGroup, UnitKind, unit_kind
from ..edits import ActivationSite, Edit, Intervention, Zero, group_edits, unit_mask

__all__ = ["Pool", "PoolPart"]


@dataclass(frozen=True)
class PoolPart:
    """A part of a pool: the units of a parameter, of some parameters together, of a group, or a block to bypass.

    Attributes
    ----------
    path : str
        Name of the parameter or path of the block.
    n_units : int
        Number of units in this part.
    parameters_per_unit : int
        Values that one unit owns.
    components : tuple of Component
        Parameters whose shapes define the units, for elements, rows, columns, segments and components.
    group : UnitGroup or None
        Slices of the units, for units that lie in several parameters.
    silenced : tuple of Component
        For a sublayer: weight and bias of its output projection; as zeros they express a bypass in weights.
    """

    path: str
    n_units: int
    parameters_per_unit: int
    components: tuple[Component, ...] = ()
    group: UnitGroup | None = None
    silenced: tuple[Component, ...] = ()

    @cached_property
    def key(self) -> str:
        """Key that is equal for parts whose units own the same values; it tells slices of one parameter apart."""
        slices = self.group.slices if self.group else ()
        where = [(s.parameter, s.axis, s.start, s.width, s.repeats, s.period) for s in slices]
        return repr((self.path, self.n_units, where, [c.name for c in self.components]))


@dataclass(frozen=True)
class Pool:
    """All units that a target offers, numbered part after part.

    Attributes
    ----------
    unit : str
        Name of the unit.
    parts : tuple of PoolPart
    segments_per_row : int or None
    """

    unit: str
    parts: tuple[PoolPart, ...]
    segments_per_row: int | None = None

    @property
    def kind(self) -> UnitKind:
        """Row of the pool's unit in the table of units."""
        return unit_kind(self.unit)

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """Number of the first unit of each part; behind them, how many units there are in all."""
        return tuple(accumulate((part.n_units for part in self.parts), initial=0))

    @property
    def n_units(self) -> int:
        """Number of units in all parts."""
        return self.starts[-1]

    @cached_property
    def key(self) -> str:
        """Key that is equal for pools that offer the same units."""
        return repr((self.unit, self.segments_per_row, [part.key for part in self.parts]))

    def by_part(self, units: Indices) -> list[tuple[PoolPart, np.ndarray]]:
        """Return the parts in which units of the pool lie, each with these units, numbered within the part."""
        chosen = np.sort(np.asarray(units, dtype=np.int64))
        cuts = np.searchsorted(chosen, self.starts)
        return [
            (part, chosen[begin:end] - start)
            for part, start, begin, end in zip(self.parts, self.starts, cuts, cuts[1:], strict=False)
            if end > begin
        ]

    def n_parameters(self, units_by_part: Sequence[int]) -> int:
        """Return how many values are owned by the given numbers of units, one number for each part."""
        pairs = zip(self.parts, units_by_part, strict=True)
        return sum(part.parameters_per_unit * n for part, n in pairs)

    def edits(self, units: Indices, intervention: Intervention) -> tuple[Edit, ...]:
        """Return what to change in a model's parameters; nothing for units that are bypassed."""
        found: list[Edit] = []
        for part, here in self.by_part(units):
            if part.group is not None:
                found += group_edits(part.group, here, intervention)
                continue
            for component in part.components:
                # A part that is one unit may hold several parameters: each is masked whole.
                mask = (
                    np.ones(component.shape, dtype=np.bool_)
                    if self.kind.is_whole
                    else unit_mask(component.shape, self.unit, here, segments_per_row=self.segments_per_row)  # type: ignore[arg-type]
                )
                found.append(Edit(component.name, mask, intervention))
        return tuple(found)

    def sites(self, units: Indices) -> tuple[ActivationSite, ...]:
        """Return the sites at which a model's activations are replaced."""
        whole = self.kind.activation == "whole"
        return tuple(
            ActivationSite(part.path, self.unit, None if whole else tuple(here.tolist()))  # type: ignore[arg-type]
            for part, here in self.by_part(units)
        )

    def bypassed(self, units: Indices) -> tuple[str, ...]:
        """Return the paths of the blocks that are bypassed."""
        if self.kind.acts_by != "bypass":
            return ()
        return tuple(part.path for part, _ in self.by_part(units))

    def silencing(self, units: Indices) -> tuple[Edit, ...]:
        """Return edits of weights that have the same effect as a bypass of the units' sublayers."""
        return tuple(
            Edit(component.name, np.ones(component.shape, dtype=np.bool_), Zero())
            for part, _ in self.by_part(units)
            for component in part.silenced
        )
