"""Ablation of a state dict, without a model."""

import copy
from collections.abc import Hashable, Mapping
from typing import Any

from torch import Tensor

from ..interventions import Intervention, Zero
from ..masks import Mask
from ..report import AblationReport
from ._masks import shared_masks
from ._tensors import identity, make_patch

_ZERO = Zero()


def ablate_state(
    state_dict: Mapping[str, Any],
    masks: Mapping[str, Mask],
    intervention: Intervention = _ZERO,
    *,
    seed: int = 0,
    variant: str = "",
) -> tuple[dict[str, Any], AblationReport]:
    """Ablate a state dict into a new one.

    Parameters
    ----------
    state_dict : mapping of str to torch.Tensor
        As `Module.state_dict` gives it. It is not changed.
    masks : mapping of str to ndarray of bool
        For each component to ablate a mask of its shape, True where ablated.
    intervention : Zero, Constant, Mean, Shuffle, Noise, Scale or Quantize, default Zero()
        What to put in the place of masked values.
    seed : int, default 0
        Seed of the study, for `Shuffle` and `Noise`.
    variant : str, default ""
        Stable id of the variant: with the seed and the component's name it decides what is drawn.

    Returns
    -------
    state_dict : dict of str to torch.Tensor
        Entries with a masked value are copies; all the others are the given tensors themselves. Entries that
        share their memory (tied weights) are ablated together and share it still: else loading the other name
        would undo the ablation.
    report : AblationReport
        How many values were masked and how many changed.

    Raises
    ------
    UnknownComponentError
        If a mask names no tensor in the state dict; near matches are named.
    MaskError
        If a mask is not of bool, or not of its component's shape.
    InterventionError
        If a component cannot hold the replacement.

    Examples
    --------
    >>> import torch
    >>> from dissect_core import row_mask
    >>> state = {"weight": torch.ones(2, 2), "bias": torch.ones(2)}
    >>> ablation, report = ablate_state(state, {"weight": row_mask((2, 2), [0])})
    >>> ablation["weight"]
    tensor([[0., 0.],
            [1., 1.]])
    >>> report.changed, ablation["bias"] is state["bias"]
    (2, True)
    """
    tensors = {name: value for name, value in state_dict.items() if isinstance(value, Tensor)}
    merged = shared_masks(tensors, masks)
    copies: dict[Hashable, Tensor] = {}
    changes = []
    for name, mask in merged.items():
        tensor = tensors[name]
        patch = make_patch(
            name, tensor.detach().clone() if mask.any() else tensor, mask, intervention, seed, variant
        )
        changes.append(patch.change())
        if mask.any():
            patch.apply()
            copies[identity(tensor)] = patch.tensor
    # A shallow copy of the object itself keeps what torch attaches to it: `_metadata`, the modules' versions.
    ablation = copy.copy(state_dict) if isinstance(state_dict, dict) else dict(state_dict)
    if copies:
        for name, tensor in tensors.items():
            ablation[name] = copies.get(identity(tensor), tensor)
    return ablation, AblationReport(tuple(changes))
