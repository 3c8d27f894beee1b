"""Edits of named arrays: joining them, and applying them to a state dict of NumPy arrays."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..anatomy.components import unknown_component
from ..anatomy.groups import Edit
from ..errors import InterventionError
from .changes import AblationReport, ComponentChange
from .interventions import Intervention
from .masks import Mask, check_mask
from .randomness import variant_rng
from .replacement import replacement_values

RANDOM = ("shuffle", "noise")


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
        """Stream of this array, where the intervention is random: it does not depend on other edits."""
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
    """Report with one entry for each component, whatever the number of its interventions."""
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
        Of any shapes; read-only and memory-mapped arrays too. It is not changed. Other entries are passed on.
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
    """Key that two arrays share exactly if they are the same view of the same memory."""
    if array.size == 0:
        return id(array)
    return array.__array_interface__["data"][0], array.dtype.str, array.shape, array.strides
