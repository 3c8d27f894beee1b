"""Edits of a live model, each with its own intervention, for the length of a `with` block."""

from collections.abc import Sequence

from torch import nn

from ...edits import Edit
from ._prepared import Prepared


def edited(model: nn.Module, edits: Sequence[Edit], *, seed: int = 0, variant: str = "") -> Prepared:
    """Edit a model in place; on leaving the block, also by an error, every value is restored bit for bit.

    Parameters
    ----------
    model : torch.nn.Module
        The model, on any device, with parameters of any types. Everything is checked before its first value
        is touched.
    edits : sequence of Edit
        Masks of parameters, by any of their names, each with its own intervention; `UnitGroup.edits` gives
        those of a head, neuron, channel, query, level or point. Edits of one parameter, or of tied ones, by
        one intervention are joined before anything is worked out; all new values follow from the values found,
        not from each other. Where masks of different interventions overlap, the later edit wins.
    seed : int, default 0
        Seed of the study, for `Shuffle` and `Noise`.
    variant : str, default ""
        Stable id of the variant: with the seed and the component's name it decides what is drawn.

    Returns
    -------
    context manager of AblationReport
        How many values are masked and how many really changed, component by component.

    Raises
    ------
    UnknownComponentError
        If an edit names no parameter of the model; near matches are named.
    MaskError
        If a mask is not of bool, or not of its parameter's shape.
    InterventionError
        If a parameter cannot hold the replacement.

    Notes
    -----
    Blocks may be nested, and must then be left in the reverse order. Only the masked values are kept for
    restoring: an optimizer's step inside the block is undone for these and stays for the rest. The model is
    changed for every thread that uses it. What is applied again and again is quicker by `prepared`.

    Examples
    --------
    >>> from dissect_core import Constant, Zero, row_mask
    >>> layer = nn.Linear(2, 3)
    >>> off = [Edit("weight", row_mask((3, 2), [1]), Zero()), Edit("bias", row_mask((3,), [1]), Constant(value=-9))]
    >>> with edited(layer, off) as report:
    ...     print(report.masked, layer.weight[1].tolist(), layer.bias[1].item())
    3 [0.0, 0.0] -9.0
    """
    return Prepared(model, edits, seed, variant)
