"""Edits of a live model, each with its own intervention, for the length of a `with` block."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor, nn

from ..components import unknown_component
from ..groups import Edit
from ..report import AblationReport
from ..state import joined_edits, merged_report
from ._tensors import Patch, identity, make_patch


@contextmanager
def edited(
    model: nn.Module, edits: Sequence[Edit], *, seed: int = 0, variant: str = ""
) -> Iterator[AblationReport]:
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

    Yields
    ------
    AblationReport
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
    changed for every thread that uses it.

    Examples
    --------
    >>> from dissect_core import Constant, Zero, row_mask
    >>> layer = nn.Linear(2, 3)
    >>> off = [Edit("weight", row_mask((3, 2), [1]), Zero()), Edit("bias", row_mask((3,), [1]), Constant(value=-9))]
    >>> with edited(layer, off) as report:
    ...     print(report.masked, layer.weight[1].tolist(), layer.bias[1].item())
    3 [0.0, 0.0] -9.0
    """
    parameters = named_parameters(model, [edit.parameter for edit in edits])
    patches = [
        make_patch(edit, parameters[edit.name], seed, variant)
        for edit in joined_edits(parameters, edits, identity)
    ]
    report = merged_report(patch.change() for patch in patches)
    try:
        for patch in patches:
            patch.apply()
        yield report
    finally:
        _undo(patches)


def named_parameters(model: nn.Module, names: Sequence[str]) -> dict[str, Tensor]:
    """Parameters by any of their names, found without a walk over the whole model.

    Raises
    ------
    UnknownComponentError
        If the model has no such parameter; near matches are named.
    """
    return {name: _parameter(model, name) for name in dict.fromkeys(names)}


def _parameter(model: nn.Module, name: str) -> Tensor:
    try:
        return model.get_parameter(name)
    except AttributeError:
        known = dict(model.named_parameters(remove_duplicate=False))
        raise unknown_component(name, known) from None


def _undo(patches: Sequence[Patch]) -> None:
    """Put all old values back. A second Ctrl-C, in the middle of this, must not leave half of them ablated.

    All old values were read before the first one changed, so parameters that overlap in memory come back
    right, and doing it twice does no harm.
    """
    try:
        for patch in patches:
            patch.undo()
    except KeyboardInterrupt:
        for patch in patches:
            patch.undo()
        raise
