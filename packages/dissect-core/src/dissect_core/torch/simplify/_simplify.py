"""Remove layers, sublayers, heads and neurons for good: the smaller model gives what the ablated one gives."""

import copy
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

from torch import Tensor, nn

from ...errors import DissectError, InterventionError
from ...plan import Variant
from ..ablation import applied
from ..activations import wrapped_forward
from ..anatomy import parent
from ..measure import operations
from ._cuts import Cut, may_be_padded
from ._reduce import Reduction, feeding_linears, known_unread, leave_out_unread, reduced
from ._removals import removals_of, require_removable
from ._stand_ins import Answer, Witness
from ._verify import evaluating, floating_values, largest_difference, require_values, rounding

Batch = TypeVar("Batch")


@dataclass(frozen=True)
class Simplified:
    """A model from which parts were removed, and what that saves.

    Attributes
    ----------
    model : torch.nn.Module
        The smaller model, a copy, in the mode of the given one.
    n_parameters_before, n_parameters_after : int
        Values of all parameters; tied ones count once.
    flops_before, flops_after : int or None
        Floating-point operations of one ``run(model, batch)``, a multiplication and an addition counting as two;
        None without `run` and `batch`. Counted are matrix products (linear layers, attention) and convolutions, as
        in `torch.utils.flop_counter.FlopCounterMode`; not counted are elementwise work, norms, softmax, activations,
        and gathers, the sampling of deformable attention among them.
    largest_difference : float or None
        The largest absolute difference between what `run` gave with the smaller model and with the ablated one,
        over all floating values; None without `run` and `batch`.
    variant : str
        Id of the variant that was removed.
    removed : mapping of str to tuple of int
        The removed units, by the path of their block; see `Variant.removed`.
    reduction : Reduction
        What was done to the model, for `save_simplified`.

    Examples
    --------
    >>> Simplified(nn.Linear(2, 1), 6, 3, 8, 4, 0.0).share_of_parameters
    0.5
    """

    model: nn.Module
    n_parameters_before: int
    n_parameters_after: int
    flops_before: int | None = None
    flops_after: int | None = None
    largest_difference: float | None = None
    variant: str = ""
    removed: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    reduction: Reduction = field(default_factory=Reduction)

    @property
    def share_of_parameters(self) -> float:
        """Return the share of the parameters that is left, in [0, 1]."""
        return self.n_parameters_after / self.n_parameters_before if self.n_parameters_before else 1.0


def simplify(
    model: nn.Module,
    variant: Variant,
    *,
    run: Callable[[nn.Module, Batch], Any] | None = None,
    batch: Batch | None = None,
) -> Simplified:
    """Remove for good what a variant ablates: whole layers or sublayers, attention heads, or neurons.

    - A layer or sublayer is replaced by a stand-in without parameters that does what `bypassed` does, so that lists
      of layers, their indices and what depends on these stay as they were. The first linear layer of a feed-forward
      block is removed with the second one where that is known to change nothing, or a trial shows it.
    - Heads: rows and columns of the projections are cut. `torch.nn.MultiheadAttention` becomes an attention block
      that is narrower inside, deformable attention and blocks with separate projections keep their class. A block
      whose forward computes with its whole width goes on over zeros, and is narrower in its projections alone; one
      without projections (cross-attention of D-FINE and DEIMv2) sees the features of the heads that are left.
    - Neurons: rows of the first linear layer and columns of the second are cut. With all of them removed the second
      layer's bias is left.

    Parameters
    ----------
    model : torch.nn.Module
        It is not changed.
    variant : Variant
        A variant of a `dissect_core.plan` for this model: layers, sublayers, neurons or heads (part ``output``,
        ``value`` or ``all``), with zero as intervention, on weights or activations. The baseline gives a plain copy.
    run : callable, optional
        ``run(model, batch)`` runs the model and returns what is to be compared: tensors or NumPy arrays in tuples,
        lists, dicts or dataclasses. It must leave `batch` as it was, and should give raw outputs rather than a
        selection: two results of nearly equal score may change places.
    batch : any, optional
        Batch for `run`. Without the two nothing is verified, and blocks whose forward is not known are refused.

    Returns
    -------
    Simplified
        Its model trains further, can be copied and saved; its weights load into another model simplified by the same
        variant.

    Raises
    ------
    UnknownComponentError
        If the model has no such module; near matches are named.
    UnitError
        If the variant's units cannot be removed, no head would be left, or another module shares what is to be cut.
    InterventionError
        If the variant does not remove what it ablates, `run` and `batch` are needed and missing, the part never
        ran, or outputs differ from the ablated model's by more than rounding does (the square root of the type's
        epsilon, relative to an output's largest value).

    Notes
    -----
    Outputs are compared in evaluation mode, without gradients and without torch's fused transformer layers. In the
    smaller model these are off for layers in which something was replaced. A fused encoder gives zeros at padded
    places, where the plain one gives numbers that mean nothing.

    Examples
    --------
    >>> import torch
    >>> from dissect_core.plan import plan
    >>> from dissect_core.spec import load_spec
    >>> from dissect_core.torch import anatomy_of
    >>> model = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 4, 16, batch_first=True), 2)
    >>> ablation = {"name": "a", "target": {"unit": "layer", "components": "encoder.layer"}, "select": {"by": "each"}}
    >>> _, first, second = plan(load_spec({"name": "layers", "ablations": [ablation]}), anatomy_of(model))
    >>> small = simplify(model, first, run=lambda model, batch: model(batch), batch=torch.randn(1, 5, 8))
    >>> small.share_of_parameters, small.flops_after / small.flops_before, small.largest_difference
    (0.5, 0.5, 0.0)
    """
    if (run is None) != (batch is None):
        raise InterventionError(
            "`run` and `batch` must be given together, got one of them. Give both, or none."
        )
    require_removable(variant)
    probe = None if run is None else partial(_probe, run, batch)
    before, small = _size(model), copy.deepcopy(model)
    answers, cuts = removals_of(small, variant, verified=probe is not None)
    removed = variant.removed() if variant.n_units else {}
    if probe is None:
        reduction = _reduction(small, answers, cuts)
        small = reduced(small, reduction)
        after = _size(small)
        return Simplified(small, before, after, variant=variant.id, removed=removed, reduction=reduction)
    with evaluating(model):
        flops_before = operations(partial(probe, model))
        expected, answers = _expected(model, variant, answers, probe)
    tolerance = rounding(model, expected)

    def difference() -> float:
        with evaluating(small):
            return largest_difference(expected, floating_values(probe(small)), tolerance)

    reduction = _reduction(small, answers, cuts)
    small = reduced(small, reduction)
    try:
        largest = _tried(difference, variant)
    except InterventionError:
        padded = [replace(cut, padded=True) if may_be_padded(model, cut) else cut for cut in cuts]
        if not any(cut.padded for cut in padded):
            raise
        # A forward that computes with its whole width may go on over zeros.
        small, reduction = copy.deepcopy(model), replace(reduction, cuts=tuple(padded))
        small = reduced(small, reduction)
        largest = _tried(difference, variant)
    unread, largest = _without_unread(small, reduction, difference, largest)
    with evaluating(small):
        flops_after = operations(partial(probe, small))
    reduction = replace(reduction, unread=unread)
    sizes = (before, _size(small), flops_before, flops_after)
    return Simplified(small, *sizes, largest, variant.id, removed, reduction)


def _probe(run: Callable[[nn.Module, Any], Any], batch: Any, model: nn.Module) -> Any:
    return run(model, batch)


def _size(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def _reduction(model: nn.Module, answers: Mapping[str, Answer | None], cuts: Sequence[Cut]) -> Reduction:
    """Return all changes to a model; refuse them if an answer is not known."""
    known = {path: answer for path, answer in answers.items() if answer is not None}
    for path in answers.keys() - known.keys():
        raise InterventionError(
            f"`run` and `batch` must be given to leave out {path!r}, a {type(model.get_submodule(path)).__name__}: "
            "what it returns then shows only when it runs. Give both."
        )
    return Reduction(known, known_unread(model, known), tuple(cuts))


def _expected(
    model: nn.Module,
    variant: Variant,
    answers: Mapping[str, Answer | None],
    probe: Callable[[nn.Module], Any],
) -> tuple[list[Tensor], dict[str, Answer | None]]:
    """Run the ablated model; return its outputs, and what each block that is left out returned."""
    witnesses = {
        path: Witness(path, model.get_submodule(path), "layer" in variant.pool.kind.blocks)
        for path, answer in answers.items()
        if answer is None
    }
    with ExitStack() as stack:
        stack.enter_context(applied(model, variant))
        for witness in witnesses.values():
            stack.enter_context(wrapped_forward(witness.module, witness))
        expected = floating_values(probe(model))
    require_values(expected)
    seen = {path: witness.answers[0] for path, witness in witnesses.items() if witness.answers}
    return expected, {**answers, **seen}


def _tried(difference: Callable[[], float], variant: Variant) -> float:
    try:
        return difference()
    except DissectError:
        raise
    except Exception as error:  # whatever a forward of unknown make stumbles over
        raise InterventionError(
            f"The model does not run without what {variant.id!r} removes: {type(error).__name__}: {error}. A module "
            "computes with numbers of its own. Apply the variant with `ablated` instead."
        ) from error


def _without_unread(
    small: nn.Module, reduction: Reduction, difference: Callable[[], float], largest: float
) -> tuple[tuple[str, ...], float]:
    """Leave out further first linear layers whose second one was removed, where a trial shows that nothing reads them.

    Returns
    -------
    tuple of (tuple of str, float)
        All linear layers that are left out, and the largest difference of outputs.
    """
    firsts = {path: small.get_submodule(path) for path in feeding_linears(small, reduction.stand_ins)}
    for path in firsts:
        leave_out_unread(small, path)
    try:
        return (*reduction.unread, *firsts), difference() if firsts else largest
    except Exception:  # something reads them, and fails in whatever way: keep them
        for path, linear in firsts.items():
            small.get_submodule(parent(path))._modules[path.rpartition(".")[2]] = linear
        return reduction.unread, largest
