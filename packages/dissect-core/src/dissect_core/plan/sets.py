"""What a variant removes as something to compare, whatever pool it was chosen from."""

from functools import reduce
from typing import TypeAlias

import numpy as np

from ..anatomy.anatomy import Anatomy
from ..edits.interventions import Zero
from ..edits.masks import Mask
from .variant import Variant

__all__ = ["RemovedSet", "units_of", "weights_of"]

RemovedSet: TypeAlias = frozenset[tuple[str, bytes]]
"""Equal for variants that remove the very same."""


def units_of(variant: Variant) -> RemovedSet:
    """Units that a variant removes, by the places in which they lie: equal in a pool of one place and of many."""
    pool = variant.pool
    by_place = pool.by_place(variant.units())
    return frozenset((f"{pool.unit} {place.key}", units.tobytes()) for place, units in by_place)


def weights_of(variant: Variant, anatomy: Anatomy) -> RemovedSet:
    """Single weights that a variant removes, by parameter: of a layer that is bypassed, all of its own."""
    masks: dict[str, list[Mask]] = {}
    for edit in variant.pool.edits(variant.units(), Zero()):
        masks.setdefault(edit.parameter, []).append(edit.mask)
    for path in variant.bypassed():
        inside = [c for c in anatomy.components if c.name.startswith(f"{path}.")]
        masks |= {c.name: [np.ones(c.shape, dtype=np.bool_)] for c in inside}
    whole = {name: reduce(np.logical_or, found) for name, found in masks.items()}
    return frozenset((name, np.packbits(mask).tobytes()) for name, mask in whole.items() if mask.any())
