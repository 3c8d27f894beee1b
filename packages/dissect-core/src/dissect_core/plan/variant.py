"""Variants: one concrete, seeded ablation each, worked out only when it is asked for."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..groups import Edit
from ..interventions import Intervention, Zero
from ..randomness import variant_rng
from ..sampling import sample_units
from .pool import Pool

__all__ = ["Chosen", "Draw", "Drawn", "Variant", "Whole"]


@dataclass(frozen=True)
class Chosen:
    """Given units of a pool."""

    units: tuple[int, ...]


@dataclass(frozen=True)
class Drawn:
    """Units drawn at random: the lowest of one raw draw for each unit, so that larger counts contain smaller ones."""

    stream: str
    count: int


@dataclass(frozen=True)
class Whole:
    """All units of some places of a pool."""

    places: tuple[int, ...]


Draw: TypeAlias = Chosen | Drawn | Whole


@dataclass(frozen=True, eq=False)
class Variant:
    """One ablated model of a plan, or its baseline.

    Attributes
    ----------
    id : str
        Readable and stable: the same for the same spec on every machine, whatever else the plan holds.
    ablation : str
        Name of the ablation it belongs to.
    kind : {"baseline", "ablation", "control"}
        A control is a random set matched to the variant `control_of`.
    pool : Pool
        The units there are.
    draw : Chosen, Drawn or Whole
        Which of them are removed.
    intervention : Intervention
        What takes their place.
    n_units : int
        Units removed.
    n_parameters : int
        Values they own, 0 where that depends on the draw (places of different sizes).
    repeat : int
        Number of the random draw at this dose.
    seed : int
        Seed of the study.
    control_of : str or None
    merged : tuple of str
        Ids of further variants that would remove the very same.
    """

    id: str
    ablation: str
    pool: Pool
    draw: Draw
    n_units: int
    n_parameters: int
    kind: Literal["baseline", "ablation", "control"] = "ablation"
    intervention: Intervention = field(default_factory=Zero)
    repeat: int = 0
    seed: int = 0
    control_of: str | None = None
    merged: tuple[str, ...] = ()

    @property
    def dose(self) -> float:
        """Share of the pool's units that are removed, in [0, 1]."""
        return self.n_units / self.pool.n_units if self.pool.n_units else 0.0

    def units(self) -> NDArray[np.int64]:
        """Units removed, ascending, as numbers of the pool, shape (n_units,)."""
        match self.draw:
            case Chosen():
                return np.array(sorted(self.draw.units), dtype=np.int64)
            case Drawn():
                rng = variant_rng(self.seed, self.draw.stream)
                return sample_units(self.pool.n_units, rng, count=self.draw.count)
            case Whole():
                starts = self.pool.starts
                parts = [np.arange(starts[i], starts[i + 1]) for i in sorted(self.draw.places)]
                return np.concatenate([np.zeros(0, dtype=np.int64), *parts])

    def edits(self) -> tuple[Edit, ...]:
        """What to change in the model's parameters."""
        return self.pool.edits(self.units(), self.intervention)

    def bypassed(self) -> tuple[str, ...]:
        """Paths of layers and sublayers that are bypassed."""
        return self.pool.bypassed(self.units())

    def removed(self) -> dict[str, tuple[int, ...]]:
        """Units removed in each place, for people."""
        return {place.path: tuple(units.tolist()) for place, units in self.pool.by_place(self.units())}


def baseline(seed: int) -> Variant:
    """The whole model."""
    return Variant("baseline", "baseline", Pool("component", ()), Chosen(()), 0, 0, "baseline", seed=seed)


def count_by_place(pool: Pool, draw: Draw) -> Sequence[int] | None:
    """How many units of each place are removed; None where a random draw decides."""
    match draw:
        case Whole():
            return [place.n_units if i in draw.places else 0 for i, place in enumerate(pool.places)]
        case Chosen():
            cuts = np.searchsorted(np.sort(np.array(draw.units, dtype=np.int64)), pool.starts)
            return np.diff(cuts).tolist()  # type: ignore[no-any-return]  # of a list of int, says NumPy's stub
        case Drawn():
            return None
