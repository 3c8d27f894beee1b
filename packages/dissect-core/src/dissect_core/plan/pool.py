"""Pools: the units that a target offers, place after place."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import numpy as np

from ..anatomy.components import Component
from ..anatomy.groups import Edit, UnitGroup
from ..anatomy.units import Indices
from ..edits.activations import ActivationSite
from ..edits.interventions import Intervention, Zero
from ..edits.masks import unit_mask

__all__ = ["Place", "Pool"]


@dataclass(frozen=True)
class Place:
    """Where units of a pool lie: a parameter, some parameters together, a group, or a block to bypass.

    Attributes
    ----------
    path : str
        Name of the parameter or path of the block.
    n_units : int
        Units here.
    parameters_per_unit : int
        Values that one unit owns.
    components : tuple of Component
        Parameters whose shapes define the units, for elements, rows, columns, segments and components.
    group : UnitGroup or None
        For units that lie in several parameters.
    silenced : tuple of Component
        For a sublayer: its output projection's weight and bias, at zero when it is bypassed in a checkpoint.
    """

    path: str
    n_units: int
    parameters_per_unit: int
    components: tuple[Component, ...] = ()
    group: UnitGroup | None = None
    silenced: tuple[Component, ...] = ()

    @cached_property
    def key(self) -> str:
        """Equal for places whose units own the same values: parts of one parameter differ in where they begin."""
        slices = self.group.slices if self.group else ()
        where = [(s.parameter, s.axis, s.start, s.width, s.repeats, s.period) for s in slices]
        return repr((self.path, self.n_units, where, [c.name for c in self.components]))


@dataclass(frozen=True)
class Pool:
    """All units that a target offers, numbered place after place."""

    unit: str
    places: tuple[Place, ...]
    segments_per_row: int | None = None

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """Number of the first unit of each place, and the number of all units."""
        return tuple(accumulate((place.n_units for place in self.places), initial=0))

    @property
    def n_units(self) -> int:
        """Units in all places."""
        return self.starts[-1]

    @cached_property
    def key(self) -> str:
        """Equal for pools that offer the same units."""
        return repr((self.unit, self.segments_per_row, [place.key for place in self.places]))

    def by_place(self, units: Indices) -> list[tuple[Place, np.ndarray]]:
        """Units of the pool as units of each place that has any."""
        chosen = np.sort(np.asarray(units, dtype=np.int64))
        cuts = np.searchsorted(chosen, self.starts)
        return [
            (place, chosen[begin:end] - start)
            for place, start, begin, end in zip(self.places, self.starts, cuts, cuts[1:], strict=False)
            if end > begin
        ]

    def n_parameters(self, units_by_place: Sequence[int]) -> int:
        """Values that so many units of each place own."""
        pairs = zip(self.places, units_by_place, strict=True)
        return sum(place.parameters_per_unit * n for place, n in pairs)

    def edits(self, units: Indices, intervention: Intervention) -> tuple[Edit, ...]:
        """What to change in a model's parameters; nothing for units that are bypassed."""
        found: list[Edit] = []
        for place, here in self.by_place(units):
            if place.group is not None:
                found += place.group.edits(here, intervention)
                continue
            for component in place.components:
                # A place of unit "component" is one unit of several parameters: each is masked whole.
                mask = (
                    np.ones(component.shape, dtype=np.bool_)
                    if self.unit == "component"
                    else unit_mask(component.shape, self.unit, here, segments_per_row=self.segments_per_row)  # type: ignore[arg-type]
                )
                found.append(Edit(component.name, mask, intervention))
        return tuple(found)

    def sites(self, units: Indices) -> tuple[ActivationSite, ...]:
        """Where to step into a model's activations."""
        whole = self.unit == "component"
        return tuple(
            ActivationSite(place.path, self.unit, None if whole else tuple(here.tolist()))  # type: ignore[arg-type]
            for place, here in self.by_place(units)
        )

    def bypassed(self, units: Indices) -> tuple[str, ...]:
        """Paths of the blocks that are bypassed."""
        if self.unit not in ("layer", "sublayer"):
            return ()
        return tuple(place.path for place, _ in self.by_place(units))

    def silencing(self, units: Indices) -> tuple[Edit, ...]:
        """Edits of weights that do what bypassing sublayers does."""
        return tuple(
            Edit(component.name, np.ones(component.shape, dtype=np.bool_), Zero())
            for place, _ in self.by_place(units)
            for component in place.silenced
        )
