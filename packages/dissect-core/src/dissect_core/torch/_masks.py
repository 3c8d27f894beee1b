"""Fitting masks to the tensors that they name."""

from collections.abc import Hashable, Mapping

from torch import Tensor

from ..components import unknown_component
from ..masks import Mask, check_mask
from ._tensors import identity


def shared_masks(tensors: Mapping[str, Tensor], masks: Mapping[str, Mask]) -> dict[str, Mask]:
    """Check masks against their tensors, and join those that mean the same memory under several names.

    Parameters
    ----------
    tensors : mapping of str to torch.Tensor
        All tensors there are, tied ones under each of their names.
    masks : mapping of str to ndarray of bool
        By name of a tensor.

    Returns
    -------
    dict of str to ndarray of bool
        One mask per tensor, under the first name given for it: the union of all masks given for it.

    Raises
    ------
    UnknownComponentError, MaskError
        If a name or a shape does not fit.
    """
    first: dict[Hashable, str] = {}
    joined: dict[str, Mask] = {}
    for name, mask in masks.items():
        if name not in tensors:
            raise unknown_component(name, tensors)
        checked = check_mask(name, mask, tensors[name].shape)
        known = first.setdefault(identity(tensors[name]), name)
        joined[known] = joined[known] | checked if known in joined else checked
    return joined
