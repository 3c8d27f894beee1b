"""Controls: random sets as large as a structured one."""

from collections.abc import Iterator
from dataclasses import replace

from ..anatomy import Anatomy
from ..errors import PlanError
from ..spec import Control
from .pool import Place, Pool
from .variant import Drawn, Variant

__all__ = ["control_variants"]


def control_variants(variant: Variant, control: Control, anatomy: Anatomy) -> Iterator[Variant]:
    """Random sets matched to a variant in units, or in the number of single weights.

    Raises
    ------
    PlanError
        If weights are to be matched and the variant's number of weights is not known before its draw.
    """
    if variant.n_units == 0:
        return
    pool, count = variant.pool, variant.n_units
    if control.match == "parameters":
        count = variant.n_parameters
        if not count:
            raise PlanError(
                f"{variant.id}: a control that matches parameters needs units of one size, but the places differ. "
                "Set `pool: false` in the target, or match units."
            )
        pool = _weights(variant.pool, control, anatomy)
    for repeat in range(control.repeats):
        name = f"{variant.id}/control/{repeat}"
        yield replace(
            variant,
            id=name,
            kind="control",
            pool=pool,
            draw=Drawn(name, count),
            n_units=count,
            n_parameters=variant.n_parameters,
            repeat=repeat,
            control_of=variant.id,
        )


def _weights(pool: Pool, control: Control, anatomy: Anatomy) -> Pool:
    """Single weights of the parameters that the pool touches, or of all."""
    touched = {s.parameter for place in pool.places if place.group for s in place.group.slices}
    touched |= {c.name for place in pool.places for c in place.components}
    blocks = [place.path for place in pool.places if not place.group and not place.components]
    chosen = [
        c
        for c in anatomy.components
        if control.source == "anywhere"
        or c.name in touched
        or any(c.name.startswith(f"{b}.") for b in blocks)
    ]
    return Pool("element", tuple(Place(c.name, c.n_parameters, 1, (c,)) for c in chosen))
