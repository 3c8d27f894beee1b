"""Ablation of a live model by one intervention, for the length of a `with` block."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from torch import nn

from ..groups import Edit
from ..interventions import Intervention, Zero
from ..masks import Mask
from ..report import AblationReport
from ._edits import edited

_ZERO = Zero()


@contextmanager
def ablated(
    model: nn.Module,
    masks: Mapping[str, Mask],
    intervention: Intervention = _ZERO,
    *,
    seed: int = 0,
    variant: str = "",
) -> Iterator[AblationReport]:
    """Ablate a model in place; on leaving the block, also by an error, every value is restored bit for bit.

    Parameters
    ----------
    model : torch.nn.Module
        The model, on any device, with parameters of any types. Everything is checked before its first value
        is touched.
    masks : mapping of str to ndarray of bool
        For each parameter to ablate, by any of its names, a mask of its shape, True where ablated. Masks for
        tied parameters, which share their values, are joined.
    intervention : Zero, Constant, Mean, Shuffle, Noise, Scale or Quantize, default Zero()
        What to put in the place of masked values.
    seed : int, default 0
        Seed of the study, for `Shuffle` and `Noise`.
    variant : str, default ""
        Stable id of the variant: with the seed and the component's name it decides what is drawn.

    Yields
    ------
    AblationReport
        How many values are masked and how many really changed.

    Raises
    ------
    UnknownComponentError
        If a mask names no parameter of the model; near matches are named.
    MaskError
        If a mask is not of bool, or not of its parameter's shape.
    InterventionError
        If a parameter cannot hold the replacement.

    Notes
    -----
    Blocks may be nested, and must then be left in the reverse order. Only the masked values are kept for
    restoring: an optimizer's step inside the block is undone for these and stays for the rest. The model is
    changed for every thread that uses it.

    Examples
    --------
    >>> from dissect_core import head_masks
    >>> from dissect_core.torch import attention_layouts
    >>> layer = nn.TransformerEncoderLayer(16, 4)
    >>> masks = head_masks(attention_layouts(layer)["self_attn"], heads=2)
    >>> with ablated(layer, masks) as report:
    ...     print(report.masked, layer.self_attn.out_proj.weight[:, 8:12].abs().sum().item())
    64 0.0
    """
    edits = [Edit(name, mask, intervention) for name, mask in masks.items()]
    with edited(model, edits, seed=seed, variant=variant) as report:
        yield report
