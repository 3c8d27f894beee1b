"""Edits of a live model, each with its own intervention: for the length of a `with` block, once or many times."""

from collections.abc import Sequence
from types import TracebackType

import torch
from torch import Tensor, nn

from ...edits import AblationReport, Edit, joined_edits, merged_report
from ...errors import InterventionError
from ...names import unknown_component
from ...plan import Variant
from ..anatomy import identity
from ._tensors import Patch, make_patch, same_bits

_OF_THE_WHOLE = ("mean", "noise", "quantize")
"""Interventions whose values depend on the whole component, not only on what is masked."""


class Prepared:
    """Edits of one model, for any number of `with` blocks; made by `prepared`.

    Examples
    --------
    >>> from dissect_core import Zero, row_mask
    >>> layer = nn.Linear(2, 3)
    >>> one = prepared(layer, [Edit("weight", row_mask((3, 2), [1]), Zero())])
    >>> for _ in range(2):
    ...     with one as report:
    ...         print(report.masked, layer.weight[1].tolist())
    2 [0.0, 0.0]
    2 [0.0, 0.0]
    """

    def __init__(self, model: nn.Module, edits: Sequence[Edit], seed: int, variant: str) -> None:
        self._model, self._edits, self._seed, self._variant = model, tuple(edits), seed, variant
        self._names = [edit.parameter for edit in edits]
        self._patches: list[Patch] | None = None
        self._wholes: dict[str, Tensor] = {}
        self._entered = False
        self._report = AblationReport(())

    def prepare(self) -> None:
        """Check everything and work out the new values, from the values that the model has now."""
        parameters = named_parameters(self._model, self._names)
        edits = joined_edits(parameters, self._edits, identity)
        self._patches = None
        patches = [make_patch(edit, parameters[edit.name], self._seed, self._variant) for edit in edits]
        self._wholes = {
            edit.name: parameters[edit.name].detach().clone()
            for edit in edits
            if edit.intervention.kind in _OF_THE_WHOLE and edit.written.any()
        }
        self._report = merged_report(patch.change() for patch in patches)
        self._patches = patches

    def _is_stale(self) -> bool:
        """Return whether anything has changed from which the new values were worked out."""
        parameters = named_parameters(self._model, self._names)
        return any(
            patch.tensor is not parameters[patch.name]
            or not same_bits(patch.found(), patch.old)
            or (patch.name in self._wholes and not same_bits(patch.tensor.detach(), self._wholes[patch.name]))
            for patch in self._patches or ()
        )

    def __enter__(self) -> AblationReport:
        if self._entered:
            raise InterventionError(
                "These edits are applied already: a prepared ablation can be entered again only after its block has "
                "been left. Prepare a second one for nested blocks."
            )
        if self._patches is None or self._is_stale():
            self.prepare()
        self._entered = True
        try:
            for patch in self._patches or ():
                patch.apply()
            torch.clear_autocast_cache()  # autocast keeps weights as it has cast them, and does not see changes
        except BaseException:
            self._leave()
            raise
        return self._report

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._leave()

    def _leave(self) -> None:
        undo(self._patches or ())
        torch.clear_autocast_cache()
        self._entered = False


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


def prepared(
    model: nn.Module, what: Variant | Sequence[Edit], *, seed: int = 0, variant: str = ""
) -> Prepared:
    """Work out edits of a model once, to apply and undo them many times: once for each batch of images, say.

    Parameters
    ----------
    model : torch.nn.Module
        The model, on any device. It is not changed yet.
    what : Variant, or sequence of Edit
        A variant on weights, or edits as for `edited`.
    seed : int, default 0
        For edits: seed of the study, for `Shuffle` and `Noise`.
    variant : str, default ""
        For edits: stable id of the variant.

    Returns
    -------
    Prepared
        A context manager that can be entered any number of times, one after the other. Each time the masked values
        (for `Mean`, `Noise` and `Quantize` the whole component) are compared with those that it was prepared from;
        where they differ, after an optimizer's step or within another ablation, it prepares itself again. So it
        does exactly what `edited` does at the same place, and restores what it found.

    Raises
    ------
    UnknownComponentError, MaskError, InterventionError
        As for `edited`; also if the variant is not one on weights.

    Notes
    -----
    It holds the masked values twice, old and new, and a copy of a component for the interventions named above.

    Examples
    --------
    >>> import torch
    >>> from dissect_core.plan import plan
    >>> from dissect_core.spec import load_spec
    >>> from dissect_core.torch import anatomy_of
    >>> layer = nn.TransformerEncoderLayer(16, 4, batch_first=True)
    >>> heads = {"name": "heads", "target": {"unit": "head", "components": "*"}, "select": {"by": "each"}}
    >>> variants = plan(load_spec({"name": "single heads", "ablations": [heads]}), anatomy_of(layer))
    >>> ready = {one.id: prepared(layer, one) for one in variants}
    >>> for batch in torch.zeros(2, 1, 3, 16):
    ...     for one in ready.values():
    ...         with one as report:
    ...             _ = layer(batch)
    >>> report.masked
    64
    """
    if isinstance(what, Variant):
        if what.space != "weight":
            raise InterventionError(
                f"The variant {what.id!r} is not one on weights, so there is nothing to prepare: apply it with "
                "`ablated`."
            )
        if seed or variant:
            raise InterventionError(
                f"The variant {what.id!r} brings its own seed and id: leave `seed` and `variant` out."
            )
        one = Prepared(model, what.edits(), what.seed, what.id)
    else:
        one = Prepared(model, what, seed, variant)
    one.prepare()
    return one


def named_parameters(model: nn.Module, names: Sequence[str]) -> dict[str, Tensor]:
    """Find parameters by any of their names, without a walk over the whole model.

    Raises
    ------
    UnknownComponentError
        If the model has no such parameter; near matches are named.
    """
    return {name: _parameter(model, name) for name in dict.fromkeys(names)}


def _parameter(model: nn.Module, name: str) -> Tensor:
    try:
        return model.get_parameter(name)
    except (AttributeError, RuntimeError):  # the latter by TorchScript, which knows no such look-up
        known = dict(model.named_parameters(remove_duplicate=False))
        if name in known:
            return known[name]
        raise unknown_component(name, known) from None


def undo(patches: Sequence[Patch]) -> None:
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
