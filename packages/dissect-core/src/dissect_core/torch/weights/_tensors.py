"""Replacing and restoring masked values of one tensor."""

from dataclasses import dataclass
from typing import Any, TypeAlias, TypeGuard

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...anatomy import Mask
from ...edits import ComponentChange, JoinedEdit, replacement_values
from ...errors import InterventionError

_NUMPY_FLOATS = (torch.float16, torch.float32, torch.float64)
_BITS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
Positions: TypeAlias = tuple[slice, ...] | Tensor

DENSE = 1 / 16
"""Share of masked places from which a bool for each place is faster than a list of the places."""


@dataclass(frozen=True, eq=False)
class Patch:
    """New values for some places of a tensor, and the values that were there.

    Attributes
    ----------
    name : str
        The component, for reports.
    tensor : torch.Tensor
        What is patched, in place.
    places : tuple of slice, torch.Tensor of int64, shape (n,), or torch.Tensor of bool, of the tensor's shape
        Masked places: a box, places counted in C order, or a mask.
    new, old : torch.Tensor
        Values to put there, and values found there, in the shape of the box or of `places`; for a mask the whole
        tensor with and without the new values.
    n_masked : int
        Positions that are masked.
    """

    name: str
    tensor: Tensor
    places: Positions
    new: Tensor
    old: Tensor
    n_masked: int

    def apply(self) -> None:
        """Put the new values in."""
        self.apply_to(self.tensor)

    def apply_to(self, tensor: Tensor) -> None:
        """Put the new values into a copy of the tensor."""
        self._exchange(tensor, self.old, self.new)

    def undo(self) -> None:
        """Put the old values back, bit for bit."""
        self._exchange(self.tensor, self.new, self.old)

    def _exchange(self, tensor: Tensor, found: Tensor, values: Tensor) -> None:
        # Where nothing else has changed either, copying everything is several times as fast as choosing.
        if is_mask(self.places) and same_bits(tensor.detach(), found):
            tensor.detach().copy_(values)
        else:
            write(tensor, self.places, values)

    def found(self) -> Tensor:
        """Read the values that are there now."""
        return read(self.tensor, self.places)

    def change(self) -> ComponentChange:
        """Count the values that the patch covers, and those that it changes."""
        # What replaces is finite, so a NaN is always changed; for a mask there may be some beside it, too.
        differ = self.new != self.old
        if is_mask(self.places):
            differ = differ & self.places
        return ComponentChange(
            self.name, self.tensor.numel(), self.n_masked, int(torch.count_nonzero(differ))
        )


@torch.no_grad()
def make_patch(edit: JoinedEdit, tensor: Tensor, seed: int, variant: str) -> Patch:
    """Work out a patch, without applying it; the masks must have been checked against the tensor's shape."""
    name, intervention = edit.name, edit.intervention
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
        raise InterventionError(
            f"{name!r} must be a plain dense tensor with values, got {tensor.layout} on {tensor.device}"
            f"{', quantized' if tensor.is_quantized else ''}. Ablate before converting the model."
        )
    places = positions_of(edit.written)
    if isinstance(places, Tensor):
        places = places.to(tensor.device)
    old = read(tensor, places)
    try:
        values = torch.from_numpy(_values(edit, tensor, old, seed, variant))
    except InterventionError as error:
        raise InterventionError(f"{name!r}: {error}") from error
    new = values.to(device=tensor.device, dtype=tensor.dtype)
    # NumPy has checked what it has a type for.
    if new.dtype.is_floating_point and new.dtype not in _NUMPY_FLOATS and not new.float().isfinite().all():
        raise InterventionError(
            f"{name!r}: the intervention {intervention.kind!r} puts in values that {tensor.dtype} "
            "cannot hold. Choose another intervention, or leave this component out."
        )
    if is_mask(places):
        new = torch.where(places, new, old) if new.numel() == 1 else old.masked_scatter(places, new)
    elif new.numel() == 1:
        new = new.reshape(()).expand(old.shape)
    else:
        new = new.reshape(old.shape)
    return Patch(name, tensor, places, new, old, int(np.count_nonzero(edit.written)))


def _values(edit: JoinedEdit, tensor: Tensor, old: Tensor, seed: int, variant: str) -> NDArray[Any]:
    """Work out the new values, in C order; a single one where the intervention depends on nothing else.

    The whole tensor is read only where the intervention depends on it: cost follows what is masked.
    """
    intervention, rng = edit.intervention, edit.rng(seed, variant)
    if old.numel() and intervention.kind in ("zero", "constant"):
        return replacement_values(as_numpy(old.new_zeros(1)), np.ones(1, dtype=np.bool_), intervention)
    if intervention.kind == "scale":
        masked = as_numpy(old)[edit.written] if old.shape == edit.written.shape else as_numpy(old).reshape(-1)
        return replacement_values(masked, np.ones(masked.shape, dtype=np.bool_), intervention)
    values = replacement_values(as_numpy(tensor), edit.mask, intervention, rng=rng)
    return values if edit.written is edit.mask else values[edit.written[edit.mask]]


def as_numpy(tensor: Tensor) -> NDArray[Any]:
    """Return a tensor's values as an array, in single precision where NumPy lacks the type (bfloat16, float8)."""
    values = tensor.detach().cpu().resolve_conj().resolve_neg()
    if values.dtype.is_floating_point and values.dtype not in _NUMPY_FLOATS:
        values = values.float()
    array: NDArray[Any] = values.numpy()
    return array


def positions_of(mask: Mask) -> Positions:
    """Return where a mask is True: as a box if it is one (a component, a head, a row), a mask, or a list."""
    n = int(np.count_nonzero(mask))
    if n == mask.size:
        return ()
    box = []
    for axis in range(mask.ndim if n else 0):
        along = np.flatnonzero(mask.any(axis=tuple(i for i in range(mask.ndim) if i != axis)))
        if along[-1] - along[0] + 1 != along.size:
            break
        box.append(slice(int(along[0]), int(along[-1]) + 1))
    if n and len(box) == mask.ndim and np.prod([part.stop - part.start for part in box]) == n:
        return tuple(box)
    return torch.from_numpy(mask.copy() if n > DENSE * mask.size else np.flatnonzero(mask))


def is_mask(places: Positions) -> TypeGuard[Tensor]:
    """Return whether positions are given as a bool for each value."""
    return isinstance(places, Tensor) and places.dtype == torch.bool


def read(tensor: Tensor, places: Positions) -> Tensor:
    """Copy the values at the given places."""
    values = tensor.detach()
    if isinstance(places, tuple):
        return values[places].clone()
    if is_mask(places):
        return values.clone(memory_format=torch.contiguous_format)
    if values.is_contiguous():
        return values.view(-1)[places]
    return values[torch.unravel_index(places, values.shape)]


@torch.no_grad()
def write(tensor: Tensor, places: Positions, values: Tensor) -> None:
    """Put values at the given places, also if the tensor has moved to another device meanwhile."""
    target = tensor.detach()
    values = values.to(device=target.device, dtype=target.dtype)
    if isinstance(places, tuple):
        target[places] = values
        return
    places = places.to(target.device)
    if is_mask(places):
        target.copy_(torch.where(places, values, target))
        return
    if target.is_contiguous():
        target.view(-1)[places] = values
    else:
        target[torch.unravel_index(places, target.shape)] = values


def same_bits(a: Tensor, b: Tensor) -> bool:
    """Compare two tensors bit for bit: to `torch.equal`, 0 and -0 are equal, and NaN does not equal itself."""
    if a.dtype != b.dtype or a.shape != b.shape or a.device != b.device:
        return False
    bits = _BITS.get(a.element_size())
    return torch.equal(a, b) if bits is None else torch.equal(a.view(bits), b.view(bits))
