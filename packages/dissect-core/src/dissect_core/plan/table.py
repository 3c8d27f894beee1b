"""A plan as a table: what each variant masks."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..anatomy.anatomy import Anatomy
from .variant import Variant, intervention_label

__all__ = ["PlanRow", "plan_table"]


@dataclass(frozen=True)
class PlanRow:
    """One variant of a plan.

    Attributes
    ----------
    id, ablation, kind, unit, intervention : str
    n_units, n_available : int
        Units removed, and units in the pool.
    dose : float
        Their share, in [0, 1].
    n_parameters : int or None
        Values masked; None where a draw over places of different sizes decides.
    share : float or None
        Of all the model's parameters, in [0, 1].
    n_merged : int
        Further variants that would have removed the same.
    """

    id: str
    ablation: str
    kind: str
    unit: str
    intervention: str
    n_units: int
    n_available: int
    dose: float
    n_parameters: int | None
    share: float | None
    n_merged: int

    def to_dict(self) -> dict[str, Any]:
        """The row as plain data, ready for JSON."""
        return asdict(self)


def plan_table(variants: Sequence[Variant], anatomy: Anatomy) -> list[PlanRow]:
    """Say what each variant masks, in units, parameters, and shares of them."""
    total = sum(component.n_parameters for component in anatomy.components)
    rows = []
    for v in variants:
        owning = any(place.parameters_per_unit for place in v.pool.places)
        known = v.n_parameters if v.n_parameters or not v.n_units or not owning else None
        rows.append(
            PlanRow(
                id=v.id,
                ablation=v.ablation,
                kind=v.kind,
                unit=v.pool.unit,
                intervention=_label(v),
                n_units=v.n_units,
                n_available=v.pool.n_units,
                dose=v.dose,
                n_parameters=known,
                share=known / total if known is not None and total else None,
                n_merged=len(v.merged),
            )
        )
    return rows


def _label(variant: Variant) -> str:
    if variant.space == "structure":
        return "read out" if variant.pool.unit == "readout" else "bypass"
    return intervention_label(variant.intervention)
