"""Edits and ablation of a state dict, without a model."""

import copy
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from torch import Tensor

from ...anatomy import Mask
from ...edits import AblationReport, Edit, Intervention, Zero, edit_arrays, joined_edits, merged_report
from ...plan import Variant, apply as apply_variant
from ..anatomy import identity
from ._tensors import make_patch

_ZERO = Zero()


def edit_state(
    state_dict: Mapping[str, Any], edits: Sequence[Edit], *, seed: int = 0, variant: str = ""
) -> tuple[dict[str, Any], AblationReport]:
    """Apply edits, each with its own intervention, to a state dict, into a new one.

    Parameters
    ----------
    state_dict : mapping of str to torch.Tensor, or to ndarray
        As `Module.state_dict` gives it. It is not changed. A mapping with arrays and no tensors goes to
        `dissect_core.edit_arrays`, which needs no torch.
    edits : sequence of Edit
        As for `edited`.
    seed : int, default 0
        Seed of the study, for `Shuffle` and `Noise`.
    variant : str, default ""
        Stable id of the variant: with the seed and the component's name it decides what is drawn.

    Returns
    -------
    state_dict : dict of str to torch.Tensor or ndarray
        Entries with a masked value are copies; all the others are the given tensors themselves. Entries that
        share their memory (tied weights) are edited together and share it still: else loading the other name
        would undo the edit.
    report : AblationReport
        How many values were masked and how many changed.

    Raises
    ------
    UnknownComponentError
        If an edit names no tensor in the state dict; near matches are named.
    MaskError
        If a mask is not of bool, or not of its component's shape.
    InterventionError
        If a component cannot hold the replacement.

    Examples
    --------
    >>> import torch
    >>> from dissect_core import Mean, row_mask
    >>> state = {"weight": torch.tensor([[1.0, 3.0], [5.0, 7.0]]), "bias": torch.ones(2)}
    >>> new, report = edit_state(state, [Edit("weight", row_mask((2, 2), [0]), Mean())])
    >>> new["weight"][0], report.changed, new["bias"] is state["bias"]
    (tensor([4., 4.]), 2, True)
    """
    tensors = {name: value for name, value in state_dict.items() if isinstance(value, Tensor)}
    if not tensors:
        return edit_arrays(state_dict, edits, seed=seed, variant=variant)
    joined = joined_edits(tensors, edits, identity)
    patches = [make_patch(edit, tensors[edit.name], seed, variant) for edit in joined]
    copies: dict[Hashable, Tensor] = {}
    for patch in patches:
        if patch.n_masked:
            key = identity(patch.tensor)
            copies.setdefault(key, patch.tensor.detach().clone())
            patch.apply_to(copies[key])
    # A shallow copy of the object itself keeps what torch attaches to it: `_metadata`, the modules' versions.
    edited = copy.copy(state_dict) if isinstance(state_dict, dict) else dict(state_dict)
    if copies:
        for name, tensor in tensors.items():
            edited[name] = copies.get(identity(tensor), tensor)
    return edited, merged_report(patch.change() for patch in patches)


def apply(state_dict: Mapping[str, Any], variant: Variant) -> tuple[dict[str, Any], AblationReport]:
    """Apply a variant of a plan to a state dict, into a new one, without a model.

    Parameters
    ----------
    state_dict : mapping of str to torch.Tensor, or to ndarray
        As `Module.state_dict` or `load_safetensors` gives it. It is not changed.
    variant : Variant
        On weights, or one that weights can express (`Variant.as_edits`).

    Returns
    -------
    state_dict : dict of str to torch.Tensor or ndarray
    report : AblationReport

    Raises
    ------
    PlanError
        If no weights do what the variant does; and the errors of `edit_state`.

    Examples
    --------
    >>> from torch import nn
    >>> from dissect_core.plan import plan
    >>> from dissect_core.spec import load_spec
    >>> from dissect_core.torch import anatomy_of
    >>> model = nn.MultiheadAttention(4, 2)
    >>> heads = {"name": "heads", "target": {"unit": "head", "components": "*"}, "select": {"by": "each"}}
    >>> variants = plan(load_spec({"name": "single heads", "ablations": [heads]}), anatomy_of(model))
    >>> state, report = apply(model.state_dict(), variants[1])
    >>> state["out_proj.weight"][:, :2].abs().sum(), report.masked
    (tensor(0.), 8)
    """
    return apply_variant(state_dict, variant, edit=edit_state)


def ablate_state(
    state_dict: Mapping[str, Any],
    masks: Mapping[str, Mask],
    intervention: Intervention = _ZERO,
    *,
    seed: int = 0,
    variant: str = "",
) -> tuple[dict[str, Any], AblationReport]:
    """Ablate a state dict into a new one, by one intervention.

    Parameters
    ----------
    state_dict : mapping of str to torch.Tensor, or to ndarray
        As `Module.state_dict` gives it. It is not changed.
    masks : mapping of str to ndarray of bool
        For each component to ablate a mask of its shape, True where ablated.
    intervention : Zero, Constant, Mean, Shuffle, Noise, Scale or Quantize, default Zero()
        What to put in the place of masked values.
    seed, variant
        As for `edit_state`; so are the result and the errors.

    Returns
    -------
    state_dict : dict of str to torch.Tensor or ndarray
    report : AblationReport

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
    edits = [Edit(name, mask, intervention) for name, mask in masks.items()]
    return edit_state(state_dict, edits, seed=seed, variant=variant)
