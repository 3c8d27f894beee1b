"""What a variant removes from a model for good, and whether it can be removed."""

from torch import nn

from ...errors import InterventionError, UnitError
from ...plan import Variant
from ..activations import module_at
from ..anatomy import attention_layouts
from ._cuts import Cut, head_cut, neuron_cut, require_cuttable
from ._stand_ins import Answer, known_answer

_REMOVABLE = ("layer", "sublayer", "head", "neuron")


def require_removable(variant: Variant) -> None:
    """Refuse variants that do not remove whole layers, sublayers, heads or neurons.

    Raises
    ------
    UnitError, InterventionError
        See `simplify`.
    """
    if not variant.n_units:
        return
    unit, kind = variant.pool.unit, variant.intervention.kind
    if unit not in _REMOVABLE:
        raise UnitError(
            f"The variant {variant.id!r} must be of a unit that can be removed, {', '.join(_REMOVABLE)}, got {unit!r}. "
            "Apply it to the live model with `ablated`."
        )
    if unit in ("head", "neuron") and kind != "zero":
        raise InterventionError(
            f"The variant {variant.id!r} must zero its {unit}s for them to be removed, got the intervention {kind!r}, "
            "which puts something in their place. Plan with `zero`, or apply it with `ablated`."
        )


def removals_of(
    model: nn.Module, variant: Variant, *, verified: bool
) -> tuple[dict[str, Answer | None], list[Cut]]:
    """What stands in for blocks that go whole, and what is cut out of others.

    Parameters
    ----------
    model : torch.nn.Module
    variant : Variant
        One that `require_removable` lets pass.
    verified : bool
        Whether the result will be run and compared.

    Returns
    -------
    tuple of (dict of str to Answer or None, list of Cut)
        An answer is None where it takes a run to know it.

    Raises
    ------
    UnknownComponentError, UnitError, InterventionError
        See `simplify`.
    """
    if not variant.n_units:
        return {}, []
    if variant.pool.unit in ("layer", "sublayer"):
        layer = variant.pool.unit == "layer"
        return {path: known_answer(path, module_at(model, path), layer) for path in variant.bypassed()}, []
    layouts = attention_layouts(model) if variant.pool.unit == "head" else {}
    cuts = []
    for place, units in variant.pool.by_part(variant.units()):
        group = place.group
        if group is None:  # a plan gives heads and neurons one
            raise UnitError(f"{place.path!r} must have a group of {variant.pool.unit}s, got none. Plan it.")
        if variant.pool.unit == "head":
            cuts.append(head_cut(group, units, layouts.get(place.path), weights=variant.space == "weight"))
        else:
            cuts.append(neuron_cut(group, units))
    require_cuttable(model, cuts, verified)
    return {}, cuts
