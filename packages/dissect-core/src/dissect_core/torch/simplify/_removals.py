"""The parts that a variant removes for good, and the check that they can be removed."""

from torch import nn

from ...anatomy import UNITS
from ...errors import InterventionError, UnitError
from ...plan import Variant
from ..activations import module_at
from ..anatomy import attention_layouts
from ._cuts import CUTTERS, Cut, require_cuttable
from ._stand_ins import Answer, known_answer


def require_removable(variant: Variant) -> None:
    """Refuse variants that do not remove whole layers, sublayers, heads or neurons.

    Raises
    ------
    UnitError, InterventionError
        See `simplify`.
    """
    if not variant.n_units:
        return
    unit, kind = variant.pool.kind, variant.intervention.kind
    if unit.removed_by is None:
        removable = ", ".join(row.name for row in UNITS.values() if row.removed_by)
        raise UnitError(
            f"The variant {variant.id!r} must be of a unit that can be removed, {removable}, got {unit.name!r}. "
            "Apply it to the live model with `ablated`."
        )
    if unit.removed_by == "cut" and kind != "zero":
        raise InterventionError(
            f"The variant {variant.id!r} must zero its {unit.plural} for them to be removed, got the intervention "
            f"{kind!r}, which puts something in their place. Plan with `zero`, or apply it with `ablated`."
        )


def removals_of(
    model: nn.Module, variant: Variant, *, verified: bool
) -> tuple[dict[str, Answer | None], list[Cut]]:
    """Return what stands in for blocks that are removed whole, and what is cut out of others.

    Parameters
    ----------
    model : torch.nn.Module
    variant : Variant
        One that `require_removable` accepts.
    verified : bool
        Whether the result will be run and compared.

    Returns
    -------
    tuple of (dict of str to Answer or None, list of Cut)
        An answer is None where only a run of the model can show it.

    Raises
    ------
    UnknownComponentError, UnitError, InterventionError
        See `simplify`.
    """
    if not variant.n_units:
        return {}, []
    unit = variant.pool.kind
    if unit.removed_by == "bypass":
        layer = "layer" in unit.blocks
        return {path: known_answer(path, module_at(model, path), layer) for path in variant.bypassed()}, []
    layouts = attention_layouts(model) if unit.lies_in == "attention" else {}
    cuts = []
    for part, units in variant.pool.by_part(variant.units()):
        group = part.group
        if group is None:  # a plan gives heads and neurons one
            raise UnitError(
                f"{part.path!r} must have a group of {unit.plural}, got none. Take the variant from `plan`."
            )
        cuts.append(CUTTERS[unit.name](group, units, layouts.get(part.path), variant.space == "weight"))
    require_cuttable(model, cuts, verified)
    return {}, cuts
