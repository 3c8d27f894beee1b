"""Variants: one concrete, seeded ablation each, whose units are drawn only when they are asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..edits import (
    AblationReport,
    ActivationIntervention,
    ActivationSite,
    Edit,
    Intervention,
    Zero,
    edit_arrays,
    intervention_label,
    is_activation,
    sample_units,
    variant_rng,
)
from ..errors import PlanError
from ._pool import Pool, PoolPart

__all__ = [
    "Chosen",
    "Draw",
    "Drawn",
    "Variant",
    "Whole",
    "apply",
    "baseline",
    "baseline_again",
    "count_by_part",
]


@dataclass(frozen=True)
class Chosen:
    """Given units of a pool."""

    units: tuple[int, ...]


@dataclass(frozen=True)
class Drawn:
    """Units drawn at random: a number is drawn for each, and those with the lowest are taken.

    So a larger count contains the units of a smaller one from the same stream.
    """

    stream: str
    count: int


@dataclass(frozen=True)
class Whole:
    """All units of some parts of a pool."""

    parts: tuple[int, ...]


class Editor(Protocol):
    """Function that returns edited copies of parameters in a new mapping, such as `dissect_core.edit_arrays`."""

    def __call__(
        self, arrays: Mapping[str, Any], edits: Sequence[Edit], /, *, seed: int = 0, variant: str = ""
    ) -> tuple[dict[str, Any], AblationReport]:
        """Return the edited parameters, and a report of what was changed."""
        ...


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
    kind : {"baseline", "ablation", "control", "again"}
        A control is a random set matched to the variant `control_of`; `again` is the baseline once more.
    pool : Pool
        The units that the target offers.
    draw : Chosen, Drawn or Whole
        Which of them are removed.
    intervention : Intervention or ActivationIntervention
        What takes their place.
    n_units : int
        Units removed.
    n_parameters : int
        Values they own, 0 where that depends on the draw (parts of different sizes).
    repeat : int
        Number of the random draw at this dose.
    seed : int
        Seed of the study.
    control_of : str or None
    singles : tuple of str
        For a pair of units: the ids of the two variants that remove one of them each, in the pair's order.
    merged : tuple of str
        Ids of the variants that were merged into this one, because they would make the same changes.
    """

    id: str
    ablation: str
    pool: Pool
    draw: Draw
    n_units: int
    n_parameters: int
    kind: Literal["baseline", "ablation", "control", "again"] = "ablation"
    intervention: Intervention | ActivationIntervention = field(default_factory=Zero)
    repeat: int = 0
    seed: int = 0
    control_of: str | None = None
    singles: tuple[str, ...] = ()
    merged: tuple[str, ...] = ()

    @property
    def dose(self) -> float:
        """Share of the pool's units that are removed, in [0, 1]."""
        return self.n_units / self.pool.n_units if self.pool.n_units else 0.0

    def units(self) -> NDArray[np.int64]:
        """Return the units removed, ascending, as numbers of the pool, shape (n_units,)."""
        match self.draw:
            case Chosen():
                return np.array(sorted(self.draw.units), dtype=np.int64)
            case Drawn():
                rng = variant_rng(self.seed, self.draw.stream)
                return sample_units(self.pool.n_units, rng, count=self.draw.count)
            case Whole():
                starts = self.pool.starts
                parts = [np.arange(starts[i], starts[i + 1]) for i in sorted(self.draw.parts)]
                return np.concatenate([np.zeros(0, dtype=np.int64), *parts])

    @property
    def space(self) -> Literal["weight", "activation", "structure"]:
        """Where it acts: on parameters, on activations, or on the structure, whose layers are bypassed or read out."""
        if self.pool.kind.in_structure:
            return "structure"
        return "activation" if is_activation(self.intervention) else "weight"

    def edits(self) -> tuple[Edit, ...]:
        """Return what to change in the model's parameters; nothing where the variant acts elsewhere."""
        if self.space != "weight":
            return ()
        return self.pool.edits(self.units(), self.intervention)  # type: ignore[arg-type]  # the space says so

    def sites(self) -> tuple[ActivationSite, ...]:
        """Return where to replace the model's activations; nothing where the variant acts elsewhere."""
        return self.pool.sites(self.units()) if self.space == "activation" else ()

    def bypassed(self) -> tuple[str, ...]:
        """Return the paths of layers and sublayers that are bypassed."""
        return self.pool.bypassed(self.units())

    def readout(self) -> str | None:
        """Return the path of the decoder layer whose predictions are read; None if the unit is no readout."""
        if self.pool.kind.acts_by != "readout":
            return None
        n_left = len(self.pool.parts) - self.n_units
        return self.pool.parts[n_left - 1].path

    def as_edits(self) -> tuple[Edit, ...]:
        """Return edits of parameters that do the same as the variant, whatever space it acts in.

        Zero activations of heads, neurons and channels are zero weights, and a bypassed sublayer is one whose
        output projection is zero.

        Raises
        ------
        PlanError
            If no weights do the same.
        """
        if self.space == "weight":
            return self.edits()
        kind = self.pool.kind
        if kind.acts_by == "bypass" and all(part.silenced for part in self._parts()):
            return self.pool.silencing(self.units())
        if self.intervention.kind == "zero" and kind.zero_is_in_weights:
            return self.pool.edits(self.units(), Zero())
        what = {"bypass": f"a bypassed {kind.name}", "readout": "reading out a layer"}.get(kind.acts_by)
        what = what or f"{intervention_label(self.intervention)} of a {kind.name}"
        raise PlanError(
            f"{self.id!r} cannot be written as weights: no values of the parameters do what {what} does. "
            "Apply it to the live model with `ablated`."
        )

    def _parts(self) -> list[PoolPart]:
        return [part for part, _ in self.pool.by_part(self.units())]

    def removed(self) -> dict[str, tuple[int, ...]]:
        """Return the units removed in each part of the pool, by the part's path."""
        return {part.path: tuple(units.tolist()) for part, units in self.pool.by_part(self.units())}


def baseline(seed: int) -> Variant:
    """Return the variant that changes nothing."""
    return Variant("baseline", "baseline", Pool("component", ()), Chosen(()), 0, 0, "baseline", seed=seed)


def baseline_again(seed: int, times: int) -> list[Variant]:
    """Return further runs of the baseline, which show how much the results of a random detector vary by themselves."""
    return [
        replace(baseline(seed), id=f"baseline/again/{i + 1}", kind="again", repeat=i) for i in range(times)
    ]


def count_by_part(pool: Pool, draw: Draw) -> Sequence[int] | None:
    """Return how many units of each part are removed; None where a random draw decides."""
    match draw:
        case Whole():
            return [part.n_units if i in draw.parts else 0 for i, part in enumerate(pool.parts)]
        case Chosen():
            cuts = np.searchsorted(np.sort(np.array(draw.units, dtype=np.int64)), pool.starts)
            return np.diff(cuts).tolist()  # type: ignore[no-any-return]  # of a list of int, says NumPy's stub
        case Drawn():
            return None


def apply(
    arrays: Mapping[str, Any], variant: Variant, *, edit: Editor = edit_arrays
) -> tuple[dict[str, Any], AblationReport]:
    """Apply a variant to a mapping of parameters, without a model, and return a new mapping.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Parameters by name, such as those of a safetensors file; it is not changed.
    variant : Variant
        A variant on weights, or one that weights can express (`Variant.as_edits`).
    edit : callable, default `dissect_core.edit_arrays`
        Applies the edits; `dissect_core.torch.edit_state` does it to tensors.

    Returns
    -------
    arrays : dict of str to ndarray
        Edited arrays are copies, the others are the given arrays themselves.
    report : AblationReport

    Raises
    ------
    PlanError
        If no weights do what the variant does.
    UnknownComponentError
        If a parameter is missing; near matches are named.

    Examples
    --------
    >>> import numpy as np
    >>> from dissect_core import Anatomy, Component
    >>> from dissect_core.plan import plan
    >>> from dissect_core.spec import load_spec
    >>> rows = {"name": "rows", "target": {"unit": "row", "components": "*"}, "select": {"by": "each"}}
    >>> spec = load_spec({"name": "one row each", "ablations": [rows]})
    >>> variants = plan(spec, Anatomy((Component("weight", (2, 3), "float64"),)))
    >>> apply({"weight": np.ones((2, 3))}, variants[2])[0]["weight"]
    array([[1., 1., 1.],
           [0., 0., 0.]])
    """
    return edit(arrays, variant.as_edits(), seed=variant.seed, variant=variant.id)
