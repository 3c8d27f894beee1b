"""Controls: random sets as large as the set that a variant removes, and never the set of another variant."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import reduce
from itertools import count as count_from
from math import comb, lgamma, log
from typing import TypeAlias

import numpy as np

from ..anatomy import Anatomy, Mask
from ..edits import Zero
from ..errors import PlanError
from ..spec import Ablation, Control, CountSelection, FractionSelection
from ._pool import Pool, PoolPart
from ._variant import Drawn, Variant

__all__ = ["Controls", "RemovedSet", "n_controls", "units_of", "weights_of"]

MANY = 64 * log(2)
"""Logarithm of 2^64. Among more sets than this, a draw meets one of some thousand known sets less than once in 10^15
times: such draws are not compared."""


RemovedSet: TypeAlias = frozenset[tuple[str, bytes]]
"""The units or weights that a variant removes, in a form that can be compared."""


def units_of(variant: Variant) -> RemovedSet:
    """Return the units that a variant removes, by part: equal whether its pool has this part only or others, too."""
    pool = variant.pool
    by_part = pool.by_part(variant.units())
    return frozenset((f"{pool.unit} {part.key}", units.tobytes()) for part, units in by_part)


def weights_of(variant: Variant, anatomy: Anatomy) -> RemovedSet:
    """Return the single weights that a variant removes, by parameter; a bypassed layer removes all that it holds."""
    masks: dict[str, list[Mask]] = {}
    for edit in variant.pool.edits(variant.units(), Zero()):
        masks.setdefault(edit.parameter, []).append(edit.mask)
    for path in variant.bypassed():
        inside = [c for c in anatomy.components if c.name.startswith(f"{path}.")]
        masks |= {c.name: [np.ones(c.shape, dtype=np.bool_)] for c in inside}
    whole = {name: reduce(np.logical_or, found) for name, found in masks.items()}
    return frozenset((name, np.packbits(mask).tobytes()) for name, mask in whole.items() if mask.any())


def n_controls(ablation: Ablation, pool: Pool, anatomy: Anatomy) -> int:
    """Return how many controls each variant of an ablation may have, before any is drawn."""
    control = ablation.control
    if control is None:
        return 0
    # These selections make every set of their size a variant, which leaves no other set to draw.
    every_set = control.match == "units" and ablation.select.by in ("each", "only", "pairs", "all")
    return 0 if every_set or _is_random_already(ablation, pool, anatomy) else control.repeats


class Controls:
    """The controls of a plan: draws them, and notes where there can be none.

    Parameters
    ----------
    variants : sequence of Variant
        All variants that are no controls.
    anatomy : Anatomy

    Attributes
    ----------
    notes : list of str
        For each ablation that has fewer controls than it asks for, a sentence that says why.
    """

    def __init__(self, variants: Sequence[Variant], anatomy: Anatomy) -> None:
        self._variants, self._anatomy = variants, anatomy
        self._sets: dict[tuple[bool, int], set[RemovedSet]] = {}
        self._known: dict[tuple[bool, int, str], set[RemovedSet]] = {}
        self._drawn: dict[object, set[RemovedSet]] = {}
        self.notes: list[str] = []

    def of(self, ablation: Ablation, structured: Sequence[tuple[Variant, str]]) -> Iterator[Variant]:
        """Yield the controls of an ablation's variants; each variant is given with the id that it has in the plan.

        Raises
        ------
        PlanError
            If weights are to be matched and a variant's number of weights is not known before its draw.
        """
        control = ablation.control
        structured = [(v, known_as) for v, known_as in structured if v.n_units]
        if control is None or not structured:
            return
        if _is_random_already(ablation, structured[0][0].pool, self._anatomy):
            self.notes.append(
                f"{ablation.name}: no controls, since `select.by: {ablation.select.by}` draws at random already: a "
                "control would be of the same distribution."
            )
            return
        numbers = []
        for variant, known_as in structured:
            made = list(self._of_one(variant, known_as, control))
            numbers.append(len(made))
            yield from made
        self._note(ablation, control, numbers)

    def _note(self, ablation: Ablation, control: Control, numbers: Sequence[int]) -> None:
        of = "units" if control.match == "units" else "weights"
        none, few = numbers.count(0), sum(0 < n < control.repeats for n in numbers)
        if none:
            which = (
                "no controls"
                if none == len(numbers)
                else f"no controls for {none:,} of {len(numbers):,} variants"
            )
            self.notes.append(
                f"{ablation.name}: {which}, since nothing is left to draw from: every other set of as many {of} is a "
                "variant already, or there is none."
            )
        if few:
            self.notes.append(
                f"{ablation.name}: fewer than {control.repeats} controls for {few:,} of {len(numbers):,} variants, "
                f"since no more sets of as many {of} are left to draw from."
            )

    def _of_one(self, variant: Variant, known_as: str, control: Control) -> Iterator[Variant]:
        pool, count = _pool_and_count(variant, control, self._anatomy)
        by_weights = control.match == "parameters"
        controls = [
            replace(
                variant,
                id=f"{variant.id}/control/{repeat}",
                kind="control",
                pool=pool,
                draw=Drawn(f"{variant.id}/control/{repeat}", count),
                n_units=count,
                repeat=repeat,
                control_of=known_as,
                singles=(),
            )
            for repeat in range(control.repeats)
        ]
        if _log_sets(pool.n_units, count) > MANY:
            yield from controls
            return
        n_sets, taken = comb(pool.n_units, count), self._taken(pool, count, by_weights=by_weights)
        if len(taken) < n_sets:
            # Drawn sets count as taken, so that no two controls measure the same set.
            drawn = self._drawn.setdefault((by_weights, count, variant.intervention), set())
            taken = taken | self._within(pool, drawn, by_weights=by_weights)
            for one in controls[: n_sets - len(taken)]:
                yield self._apart(one, taken, drawn, by_weights=by_weights)

    def _apart(
        self, control: Variant, taken: set[RemovedSet], drawn: set[RemovedSet], *, by_weights: bool
    ) -> Variant:
        """Draw a control until its set is not among those taken, mark the set as taken, and return the control."""
        stream, one = control.id, control
        for again in count_from(1):
            found = weights_of(one, self._anatomy) if by_weights else units_of(one)
            if found not in taken:
                break
            one = replace(control, draw=Drawn(f"{stream}/{again}", control.n_units))
        taken.add(found)
        drawn.add(found)
        return one

    def _set(self, variant: Variant, *, by_weights: bool) -> RemovedSet:
        return weights_of(variant, self._anatomy) if by_weights else units_of(variant)

    def _taken(self, pool: Pool, count: int, *, by_weights: bool) -> set[RemovedSet]:
        """Return the sets of the plan's variants that could be drawn from a pool."""
        key = by_weights, count, pool.key
        if key not in self._known:
            sets = self._all_sets(count, by_weights=by_weights)
            self._known[key] = self._within(pool, sets, by_weights=by_weights)
        return self._known[key]

    def _within(self, pool: Pool, sets: Iterable[RemovedSet], *, by_weights: bool) -> set[RemovedSet]:
        names = [c.name for part in pool.parts for c in part.components]
        known = set(names if by_weights else [f"{pool.unit} {part.key}" for part in pool.parts])
        return {one for one in sets if all(name in known for name, _ in one)}

    def _all_sets(self, count: int, *, by_weights: bool) -> set[RemovedSet]:
        """Return the sets that the plan's variants of this size remove."""
        key = by_weights, count
        if key not in self._sets:
            sizes = [(v, v.n_parameters if by_weights else v.n_units) for v in self._variants]
            # The number of weights is 0 where a draw decides it.
            unknown = 0 if by_weights else count
            self._sets[key] = {
                self._set(v, by_weights=by_weights)
                for v, size in sizes
                if v.n_units and size in (count, unknown)
            }
        return self._sets[key]


def _is_random_already(ablation: Ablation, pool: Pool, anatomy: Anatomy) -> bool:
    """Return whether an ablation's own variants are drawn as its controls would be."""
    control = ablation.control
    if control is None or not isinstance(ablation.select, FractionSelection | CountSelection):
        return False
    return control.match == "units" or _weights(pool, control, anatomy).key == pool.key


def _pool_and_count(variant: Variant, control: Control, anatomy: Anatomy) -> tuple[Pool, int]:
    """Return the pool to draw from, and how many units to draw."""
    if control.match == "units":
        return variant.pool, variant.n_units
    if not variant.n_parameters:
        raise PlanError(
            f"{variant.id}: a control that matches parameters needs units of one size, but the parts differ. "
            "Set `pool: false` in the target, or match units."
        )
    return _weights(variant.pool, control, anatomy), variant.n_parameters


def _weights(pool: Pool, control: Control, anatomy: Anatomy) -> Pool:
    """Return the single weights of the parameters that the pool touches, or of all."""
    touched = {s.parameter for part in pool.parts if part.group for s in part.group.slices}
    touched |= {c.name for part in pool.parts for c in part.components}
    blocks = [part.path for part in pool.parts if not part.group and not part.components]
    chosen = [
        c
        for c in anatomy.components
        if control.source == "anywhere"
        or c.name in touched
        or any(c.name.startswith(f"{b}.") for b in blocks)
    ]
    return Pool("element", tuple(PoolPart(c.name, c.n_parameters, 1, (c,)) for c in chosen))


def _log_sets(n: int, k: int) -> float:
    """Return the logarithm of the number of sets of k among n."""
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
