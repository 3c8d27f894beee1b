"""Edits of named arrays: which values become what, applying that to a state dict, and telling what it changed."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..anatomy import Indices, Mask, UnitGroup, chosen_units, unit_kind
from ..errors import InterventionError, UnitError
from ..names import unknown_component
from ._drawing import variant_rng
from ._interventions import Constant, Intervention
from ._masks import check_mask
from ._replacement import replacement_values

RANDOM = ("shuffle", "noise")


@dataclass(frozen=True)
class Edit:
    """One change of a variant: masked values of a parameter, and what takes their place.

    Attributes
    ----------
    parameter : str
    mask : ndarray of bool, of the parameter's shape
    intervention : Intervention
    """

    parameter: str
    mask: Mask
    intervention: Intervention


def group_edits(group: UnitGroup, units: Indices, intervention: Intervention) -> tuple[Edit, ...]:
    """Return the edits that put an intervention in the place of some units of a group.

    Parameters
    ----------
    group : UnitGroup
    units : sequence of int
        Distinct units, from 0.
    intervention : Intervention
        What to put there. `Zero` removes the units: where zeros would not (a sampling point's logit),
        the slice's own removal value is put in.

    Raises
    ------
    UnitError
        If a unit is out of range or given twice, or all sampling points of a block are to go that has no output
        projection.

    Examples
    --------
    >>> from dissect_core import Zero
    >>> from dissect_core.anatomy import feed_forward_group
    >>> group = feed_forward_group("ffn", ("ffn.0.weight", (4, 2)), "ffn.0.bias", ("ffn.2.weight", (2, 4)))
    >>> [(edit.parameter, int(edit.mask.sum())) for edit in group_edits(group, [1], Zero())]
    [('ffn.0.weight', 2), ('ffn.0.bias', 1), ('ffn.2.weight', 2)]
    """
    chosen = chosen_units(
        units, group.n_units, f"{group.path!r} has {unit_kind(group.unit).counted(group.n_units)}"
    )
    removing = intervention.kind == "zero"
    edits = tuple(
        Edit(
            s.parameter,
            s.mask(chosen),
            Constant(value=s.removal) if removing and s.removal is not None else intervention,
        )
        for s in group.slices
    )
    if removing and chosen.all() and not group.exhausted and any(s.removal is not None for s in group.slices):
        raise UnitError(
            f"{unit_kind(group.unit).plural} of {group.path!r} share one softmax, and no weight holds what the block "
            f"gives: one of its {group.n_units} must be left. Leave out the block whole: `unit: sublayer`."
        )
    whole = group.exhausted if removing and chosen.all() else ()
    return (*edits, *(Edit(name, np.ones(shape, np.bool_), intervention) for name, shape in whole))


@dataclass(frozen=True)
class ComponentChange:
    """Counts of what an ablation changed in one component.

    Attributes
    ----------
    name : str
        The component. Of tied components, which share their values, the first name that was given.
    size : int
        Values in the component.
    masked : int
        Values that the mask selects.
    changed : int
        Masked values that really became other values: a weight that was 0 already is not changed by zero.
    """

    name: str
    size: int
    masked: int
    changed: int


@dataclass(frozen=True)
class AblationReport:
    """Counts of what an ablation changed, component by component.

    Attributes
    ----------
    components : tuple of ComponentChange
        In the order of the masks.

    Examples
    --------
    >>> report = AblationReport((ComponentChange("norm.bias", size=4, masked=2, changed=0),))
    >>> report.masked, report.changed, report.is_no_op
    (2, 0, True)
    """

    components: tuple[ComponentChange, ...]

    @property
    def masked(self) -> int:
        """Values selected by all masks together."""
        return sum(component.masked for component in self.components)

    @property
    def changed(self) -> int:
        """Values that became other values, in all components together."""
        return sum(component.changed for component in self.components)

    @property
    def is_no_op(self) -> bool:
        """Return whether the model is left as it was, so that its results say nothing about robustness."""
        return self.changed == 0


class Shaped(Protocol):
    """An array or tensor, of which only the shape is asked."""

    @property
    def shape(self) -> Any:
        """Sequence of int."""
        ...


Array = TypeVar("Array", bound=Shaped)


@dataclass(eq=False)
class JoinedEdit:
    """All edits of one array by one intervention, joined.

    Attributes
    ----------
    name : str
        First name under which the array was edited; decides its random stream.
    mask : ndarray of bool
        Union of the edits' masks, from which the new values are worked out.
    written : ndarray of bool
        Part of `mask` that no later edit by another intervention takes over.
    intervention : Intervention
    """

    name: str
    mask: Mask
    written: Mask
    intervention: Intervention

    def rng(self, seed: int, variant: str) -> np.random.Generator | None:
        """Return the stream of this array, where the intervention is random: it does not depend on other edits."""
        return variant_rng(seed, f"{variant}/{self.name}") if self.intervention.kind in RANDOM else None


def joined_edits(
    arrays: Mapping[str, Array], edits: Iterable[Edit], identity: Callable[[Array], Hashable]
) -> list[JoinedEdit]:
    """Check edits against their arrays, and join those of the same memory by the same intervention.

    Parameters
    ----------
    arrays : mapping of str to array or tensor
        All that can be edited, tied ones under each of their names.
    edits : iterable of Edit
        In order: where masks of different interventions overlap, the later edit wins.
    identity : callable
        Gives tied arrays the same key.

    Raises
    ------
    UnknownComponentError, MaskError
        If a name, a shape or a mask's type does not fit.
    """
    groups: dict[Hashable, list[JoinedEdit]] = {}
    joined: list[JoinedEdit] = []
    for edit in edits:
        if edit.parameter not in arrays:
            raise unknown_component(edit.parameter, arrays)
        array = arrays[edit.parameter]
        mask = check_mask(edit.parameter, edit.mask, array.shape)
        group = groups.setdefault(identity(array), [])
        same = None
        for known in group:
            if known.intervention == edit.intervention:
                same = known
            else:
                known.written = known.written & ~mask
        if same is None:
            name = group[0].name if group else edit.parameter
            group.append(JoinedEdit(name, mask, mask, edit.intervention))
            joined.append(group[-1])
        else:
            same.mask, same.written = same.mask | mask, same.written | mask
    return joined


def merged_report(changes: Iterable[ComponentChange]) -> AblationReport:
    """Return a report with one entry for each component, whatever the number of its interventions."""
    merged: dict[str, ComponentChange] = {}
    for new in changes:
        old = merged.get(new.name, ComponentChange(new.name, new.size, 0, 0))
        merged[new.name] = ComponentChange(
            new.name, new.size, old.masked + new.masked, old.changed + new.changed
        )
    return AblationReport(tuple(merged.values()))


def edit_arrays(
    arrays: Mapping[str, Any], edits: Sequence[Edit], *, seed: int = 0, variant: str = ""
) -> tuple[dict[str, Any], AblationReport]:
    """Apply edits to a state dict of NumPy arrays, into a new one.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Arrays of any shapes, read-only and memory-mapped ones too; they are not changed. Others are passed on.
    edits : sequence of Edit
        Masks of arrays, each with its own intervention. Edits of one array by one intervention are joined
        before anything is worked out; all new values follow from the given arrays, not from each other. Where
        masks of different interventions overlap, the later edit wins.
    seed : int, default 0
        Seed of the study, for `Shuffle` and `Noise`.
    variant : str, default ""
        Stable id of the variant: with the seed and the component's name it decides what is drawn.

    Returns
    -------
    arrays : dict of str to ndarray
        Entries with a masked value are copies; all the others are the given arrays themselves. Entries that are
        the same view of the same memory (tied weights) are edited together and stay one.
    report : AblationReport
        How many values were masked and how many changed.

    Raises
    ------
    UnknownComponentError
        If an edit names no array; near matches are named.
    MaskError
        If a mask is not of bool, or not of its array's shape.
    InterventionError
        If an array cannot hold the replacement.

    Examples
    --------
    >>> from dissect_core import Constant, Zero, row_mask
    >>> first, last = row_mask((2, 2), [0]), row_mask((2,), [1])
    >>> state = {"weight": np.ones((2, 2)), "bias": np.ones(2)}
    >>> edits = [Edit("weight", first, Zero()), Edit("bias", last, Constant(value=-10000))]
    >>> new, report = edit_arrays(state, edits)
    >>> new["weight"], new["bias"], report.changed
    (array([[0., 0.],
           [1., 1.]]), array([ 1.e+00, -1.e+04]), 3)
    """
    editable = {name: value for name, value in arrays.items() if isinstance(value, np.ndarray)}
    copies: dict[Hashable, NDArray[Any]] = {}
    changes = []
    for edit in joined_edits(editable, edits, array_identity):
        array = editable[edit.name]
        try:
            values = replacement_values(array, edit.mask, edit.intervention, rng=edit.rng(seed, variant))
        except InterventionError as error:
            raise InterventionError(f"{edit.name!r}: {error}") from error
        old, new = array[edit.written], values[edit.written[edit.mask]]
        changes.append(ComponentChange(edit.name, array.size, new.size, int(np.count_nonzero(old != new))))
        if new.size:
            copies.setdefault(array_identity(array), np.array(array))[edit.written] = new
    edited = dict(arrays)
    edited.update({n: copies[k] for n, a in editable.items() if (k := array_identity(a)) in copies})
    return edited, merged_report(changes)


def array_identity(array: NDArray[Any]) -> Hashable:
    """Return a key that two arrays share exactly if they are the same view of the same memory."""
    if array.size == 0:
        return id(array)
    return array.__array_interface__["data"][0], array.dtype.str, array.shape, array.strides
