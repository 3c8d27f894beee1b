"""Replacing and restoring masked values of one tensor."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import InterventionError
from ..interventions import Intervention
from ..masks import Mask
from ..randomness import variant_rng
from ..replacement import replacement_values
from ..report import ComponentChange

RANDOM = ("shuffle", "noise")
_NUMPY_FLOATS = (torch.float16, torch.float32, torch.float64)


@dataclass(frozen=True, eq=False)
class Patch:
    """New values for some places of a tensor, and the values that were there.

    Attributes
    ----------
    name : str
        The component, for reports.
    tensor : torch.Tensor
        What is patched, in place.
    places : torch.Tensor of int64, shape (n,)
        Masked places, counted in C order.
    new, old : torch.Tensor, shape (n,)
        Values to put there, and values found there.
    """

    name: str
    tensor: Tensor
    places: Tensor
    new: Tensor
    old: Tensor

    def apply(self) -> None:
        """Put the new values in."""
        write(self.tensor, self.places, self.new)

    def undo(self) -> None:
        """Put the old values back, bit for bit."""
        write(self.tensor, self.places, self.old)

    def change(self) -> ComponentChange:
        """Say how many values the patch covers and how many it changes."""
        differ = self.new != self.old
        if self.old.dtype.is_floating_point:
            differ &= ~(torch.isnan(self.new) & torch.isnan(self.old))
        return ComponentChange(self.name, self.tensor.numel(), self.places.numel(), int(differ.sum()))


@torch.no_grad()
def make_patch(
    name: str, tensor: Tensor, mask: Mask, intervention: Intervention, seed: int, variant: str
) -> Patch:
    """Work out a patch, without applying it; `mask` must have been checked against the tensor's shape."""
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
        raise InterventionError(
            f"{name!r} must be a plain dense tensor with values, got {tensor.layout} on {tensor.device}"
            f"{', quantized' if tensor.is_quantized else ''}. Ablate before converting the model."
        )
    places = torch.from_numpy(np.flatnonzero(mask)).to(tensor.device)
    try:
        # A stream of its own for each component: what it gets does not depend on the others.
        rng = variant_rng(seed, f"{variant}/{name}") if intervention.kind in RANDOM else None
        values = torch.from_numpy(replacement_values(as_numpy(tensor), mask, intervention, rng=rng))
    except InterventionError as error:
        raise InterventionError(f"{name!r}: {error}") from error
    new = values.to(device=tensor.device, dtype=tensor.dtype)
    if tensor.dtype.is_floating_point and not torch.isfinite(new.float()).all():
        raise InterventionError(
            f"{name!r}: the intervention {intervention.kind!r} puts in values that {tensor.dtype} "
            "cannot hold. Choose another intervention, or leave this component out."
        )
    return Patch(name, tensor, places, new, read(tensor, places))


def as_numpy(tensor: Tensor) -> NDArray[Any]:
    """Values of a tensor as an array, in single precision where NumPy has no such type (bfloat16, float8)."""
    values = tensor.detach().cpu().resolve_conj().resolve_neg()
    if values.dtype.is_floating_point and values.dtype not in _NUMPY_FLOATS:
        values = values.float()
    array: NDArray[Any] = values.numpy()
    return array


def read(tensor: Tensor, places: Tensor) -> Tensor:
    """Copy the values at the given places, counted in C order."""
    values = tensor.detach()
    if values.is_contiguous():
        return values.view(-1)[places]
    return values[torch.unravel_index(places, values.shape)]


@torch.no_grad()
def write(tensor: Tensor, places: Tensor, values: Tensor) -> None:
    """Put values at the given places, also if the tensor has moved to another device meanwhile."""
    target = tensor.detach()
    places, values = places.to(target.device), values.to(device=target.device, dtype=target.dtype)
    if target.is_contiguous():
        target.view(-1)[places] = values
    else:
        target[torch.unravel_index(places, target.shape)] = values


def identity(tensor: Tensor) -> Hashable:
    """Key that two tensors share exactly if they are the same view of the same memory (tied weights)."""
    if tensor.layout != torch.strided or tensor.is_meta or tensor.numel() == 0:
        return id(tensor)
    return tensor.device, tensor.dtype, tensor.data_ptr(), tuple(tensor.shape), tensor.stride()
