"""Pools: the units that a target offers, place after place, on one model."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import numpy as np

from ..anatomy import Anatomy, Block
from ..components import Component, select_components, unknown_component
from ..errors import PlanError
from ..groups import Edit, UnitGroup, head_group
from ..interventions import Intervention
from ..masks import unit_mask
from ..spec import (
    BlockTarget,
    ComponentTarget,
    GroupTarget,
    HeadTarget,
    ParameterTarget,
    SegmentTarget,
    Target,
)
from ..units import Indices, unit_count

__all__ = ["Place", "Pool", "pool_of"]


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
    """

    path: str
    n_units: int
    parameters_per_unit: int
    components: tuple[Component, ...] = ()
    group: UnitGroup | None = None


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
    def key(self) -> tuple[str, tuple[str, ...], int | None]:
        """Equal for pools that offer the same units."""
        parameters = tuple(s.parameter for p in self.places if p.group for s in p.group.slices)
        return self.unit, tuple(place.path for place in self.places) + parameters, self.segments_per_row

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

    def bypassed(self, units: Indices) -> tuple[str, ...]:
        """Paths of the blocks that are bypassed."""
        if self.unit not in ("layer", "sublayer"):
            return ()
        return tuple(place.path for place, _ in self.by_place(units))


def pool_of(target: Target, anatomy: Anatomy) -> Pool:
    """Resolve a target on a model.

    Raises
    ------
    UnknownComponentError
        If a pattern matches nothing; near matches are named.
    PlanError
        If what it matches has no such units, or another number of places was expected.
    UnitError
        If a shape has no such units.
    """
    segments: int | None = None
    match target:
        case HeadTarget():
            paths = _paths(target.components, anatomy, list(anatomy.attention), "attention block")
            groups = [head_group(path, anatomy.attention[path], target.part) for path in paths]
            places = [_group_place(group) for group in groups]
        case GroupTarget():
            having = {group.path: group for group in anatomy.groups if group.unit == target.unit}
            paths = _paths(target.components, anatomy, list(having), f"place with {target.unit}s")
            places = [_group_place(having[path]) for path in paths]
        case BlockTarget():
            kinds = ("layer",) if target.unit == "layer" else ("attention", "ffn")
            blocks = anatomy.select_blocks(target.components, kinds)  # type: ignore[arg-type]
            places = [Place(block.path, 1, block.n_parameters) for block in blocks]
        case ComponentTarget():
            places = _component_places(target, anatomy)
        case ParameterTarget() | SegmentTarget():
            segments = target.segments_per_row if isinstance(target, SegmentTarget) else None
            places = []
            for component in _parameters(target.components, anatomy, target.unit):
                n = unit_count(component.shape, target.unit, segments_per_row=segments)
                places.append(Place(component.name, n, component.n_parameters // max(n, 1), (component,)))
    if target.expect is not None and len(places) != target.expect:
        listed = ", ".join(place.path for place in places[:8])
        raise PlanError(
            f"{', '.join(target.components)} must select {target.expect} places (`expect`), got {len(places)}: {listed}"
            f"{', ...' if len(places) > 8 else ''}. Correct the pattern or `expect`."
        )
    return Pool(target.unit, tuple(places), segments)


def _group_place(group: UnitGroup) -> Place:
    return Place(group.path, group.n_units, group.n_parameters, group=group)


def _paths(patterns: Iterable[str], anatomy: Anatomy, having: Sequence[str], what: str) -> list[str]:
    """Choose among paths: by role of the block or of one that it lies in, by path, or by glob."""
    chosen: set[str] = set()
    for pattern in patterns:
        bearing = [block.path for block in anatomy.blocks if pattern in block.roles or pattern == block.path]
        found = {p for p in having if p == pattern or any(_inside(p, path) for path in bearing)}
        if not found:
            components = [Component(path, (), "") for path in having]
            try:
                found = {c.name for c in select_components(components, pattern)}
            except KeyError:
                known = [*anatomy.roles, *having] if having else []
                raise unknown_component(pattern, known, what=what) from None
        chosen |= found
    return [path for path in having if path in chosen]


def _inside(path: str, around: str) -> bool:
    return path == around or path.startswith(f"{around}.")


def _parameters(patterns: Iterable[str], anatomy: Anatomy, unit: str) -> tuple[Component, ...]:
    """Parameters by role, name, block or glob; those of a role or block only where they have such units."""
    chosen: set[str] = set()
    for pattern in patterns:
        around = [block.path for block in anatomy.blocks if pattern in block.roles or pattern == block.path]
        found = {
            c.name for c in anatomy.components if c.role == pattern or any(_inside(c.name, p) for p in around)
        }
        if found:
            least = {"column": 2, "segment": 2}.get(unit, 0)
            found = {c.name for c in anatomy.components if c.name in found and len(c.shape) >= least}
        else:
            try:
                found = {c.name for c in select_components(anatomy.components, pattern)}
            except KeyError:
                names = [c.name for c in anatomy.components]
                raise unknown_component(pattern, [*anatomy.roles, *names]) from None
        chosen |= found
    return tuple(c for c in anatomy.components if c.name in chosen)


def _component_places(target: ComponentTarget, anatomy: Anatomy) -> list[Place]:
    """Blocks whole where a pattern names blocks, else parameters one by one."""
    places: dict[str, tuple[Component, ...]] = {}
    for pattern in target.components:
        blocks: list[Block] = [b for b in anatomy.blocks if pattern in b.roles or pattern == b.path]
        for block in blocks:
            inside = tuple(c for c in anatomy.components if _inside(c.name, block.path))
            kept = (
                inside if target.bias == "remove" else tuple(c for c in inside if not c.name.endswith("bias"))
            )
            if kept:
                places[block.path] = kept
        if not blocks:
            for component in _parameters([pattern], anatomy, "component"):
                biases = _biases_of(component, anatomy) if target.bias == "remove" else ()
                places[component.name] = (component, *biases)
    return [Place(path, 1, sum(c.n_parameters for c in found), found) for path, found in places.items()]


def _biases_of(component: Component, anatomy: Anatomy) -> tuple[Component, ...]:
    """``x.bias`` beside ``x.weight``, ``in_proj_bias`` beside ``in_proj_weight``."""
    if not component.name.endswith("weight"):
        return ()
    name = component.name.removesuffix("weight") + "bias"
    return tuple(c for c in anatomy.components if c.name == name)
