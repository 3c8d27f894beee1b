"""Scores of units by the gradient of a loss, for selections by ``top`` and ``bottom``."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...anatomy import Anatomy
from ...edits import ActivationSite
from ...errors import InterventionError, PlanError
from ...plan import Pool, PoolPart, ablation_pool, unit_sums
from ...spec import StudySpec
from ._forward import check_ran, without_fast_path
from ._gates import Gates, counted_images
from ._loss_pass import checked_loss, left_as_found
from ._sites import tap_point

Floats = NDArray[np.float64]
Batch = TypeVar("Batch")


def gradient_scores(
    model: nn.Module,
    batches: Iterable[Batch],
    loss: Callable[[nn.Module, Batch], Tensor],
    spec: StudySpec,
    anatomy: Anatomy,
    *,
    progress: Callable[[Iterable[Batch]], Iterable[Batch]] | None = None,
) -> dict[tuple[str, str], Floats]:
    """Score every unit that a study ranks by ``weight_gradient`` or ``head_importance``.

    One forward and one backward pass a batch give all scores of all places.

    - ``weight_gradient``: Σ|w · ∂L/∂w| over the unit's weights, the first-order estimate of how much the loss changes
      when single weights go (Molchanov et al. 2019, there squared or summed before the absolute value is taken);
      mean over batches. Frozen parameters (``requires_grad=False``) are scored like any other.
    - ``head_importance``: |∂L/∂ξ| of a gate ξ = 1 that multiplies the head's output before the output projection,
      mean over images, divided by the L2 norm over the block's heads (Michel et al. 2019, eq. 2 and section 4.1), or 0
      where all are 0. In a batch of several images each has gates of its own, and L is the batch's loss: where it is
      a mean over images, every score is smaller by the same factor, which the norm takes out unless batches differ in
      size. A block that is met several times in a pass has one gate for all of them.

    Parameters
    ----------
    model : torch.nn.Module
        The model, in the mode in which it is to be scored: evaluation, usually. Mode, flags, gradients and random
        state are left as found.
    batches : iterable
        Whatever `loss` takes; each is used once.
    loss : callable
        ``loss(model, batch)`` runs the model once and gives a scalar tensor.
    spec : StudySpec
        The study whose selections ask for scores.
    anatomy : Anatomy
        From `anatomy_of` this model.
    progress : callable, optional
        Wraps the iteration over batches: ``tqdm``, for instance.

    Returns
    -------
    dict of (score, path) to ndarray of float64, shape (n_units,)
        Scores of each part of each ranked target, to be passed to `dissect_core.plan.plan` as `scores`. They are in
        units of the loss, except for ``head_importance``, which has no unit.

    Raises
    ------
    PlanError
        If a score is not defined for the units that it is asked for, two ablations give one part different units, or
        `anatomy` is of another model.
    InterventionError
        If `batches` is empty, a loss is no finite scalar with a graph, a gradient is not finite, or a head is never
        met.

    References
    ----------
    Molchanov et al., Importance Estimation for Neural Network Pruning, CVPR 2019, arXiv:1906.10771, eq. 8.
    Michel, Levy, Neubig, Are Sixteen Heads Really Better than One?, NeurIPS 2019, arXiv:1905.10650.

    Examples
    --------
    >>> from dissect_core.spec import load_spec
    >>> from dissect_core.torch import anatomy_of
    >>> model = nn.Sequential(nn.TransformerEncoderLayer(8, 2)).eval()
    >>> ablation = {
    ...     "name": "heads",
    ...     "target": {"unit": "head", "components": "*"},
    ...     "select": {"by": "top", "score": "head_importance", "counts": [1]},
    ... }
    >>> spec, anatomy = load_spec({"name": "top", "ablations": [ablation]}), anatomy_of(model)
    >>> images = [torch.randn(5, 3, 8), torch.randn(7, 1, 8)]
    >>> scores = gradient_scores(model, images, lambda m, x: m(x).square().mean(), spec, anatomy)
    >>> scores["head_importance", "0.self_attn"].shape
    (2,)
    """
    weights, heads = _wanted(spec, anatomy)
    if not weights and not heads:
        return {}
    parameters = _parameters(model, weights)
    gates = {
        path: Gates(tap_point(model, ActivationSite(path, "head")), np.zeros(part.n_units))
        for path, part in heads.items()
    }
    totals = {path: np.zeros(part.n_units) for path, (_, part) in weights.items()}
    n_batches = 0
    with ExitStack() as stack:
        stack.enter_context(left_as_found(model))
        stack.enter_context(without_fast_path())
        n_images = stack.enter_context(counted_images(model))
        for gate in gates.values():
            stack.enter_context(gate.point.tapped(gate.apply))
        for parameter in parameters.values():
            parameter.requires_grad_(True)
        for batch in progress(batches) if progress else batches:
            for gate in gates.values():
                gate.current = None
            value = checked_loss(loss(model, batch), n_batches)
            met = [gate for gate in gates.values() if gate.current is not None]
            found = _gradients(value, [*parameters.values(), *(gate.current for gate in met)], n_batches)
            n_batches += 1
            for gate, gradient in zip(met, found[len(parameters) :], strict=True):
                gate.add(gradient, n_images())
            arrays = {
                name: (parameter.detach().cpu().double() * gradient).abs().numpy()
                for (name, parameter), gradient in zip(parameters.items(), found, strict=False)
            }
            for path, (pool, part) in weights.items():
                totals[path] += unit_sums(pool, part, arrays, lambda values: values)
    if not n_batches:
        raise InterventionError("`batches` must hold at least one batch to score units, got none.")
    check_ran(n_batches, [gate.point.site for gate in gates.values() if not gate.n_images])
    by_weight = {("weight_gradient", path): total / n_batches for path, total in totals.items()}
    return {**by_weight, **{("head_importance", path): gate.importance() for path, gate in gates.items()}}


def _wanted(
    spec: StudySpec, anatomy: Anatomy
) -> tuple[dict[str, tuple[Pool, PoolPart]], dict[str, PoolPart]]:
    """Return the parts of pools to score by their weights, and those to score by gates, by path."""
    weights: dict[str, tuple[Pool, PoolPart]] = {}
    heads: dict[str, PoolPart] = {}
    for ablation in spec.ablations:
        score = getattr(ablation.select, "score", None)
        if score not in ("weight_gradient", "head_importance"):
            continue
        pool = ablation_pool(ablation, anatomy)
        for part in pool.parts:
            if score == "head_importance" and score in pool.kind.scores:
                heads[part.path] = part
            elif score == "weight_gradient" and (part.group or part.components):
                first, seen = weights.setdefault(part.path, (pool, part))
                same = (first.unit, first.segments_per_row, seen) == (pool.unit, pool.segments_per_row, part)
                if not same:
                    raise PlanError(
                        f"{ablation.name}: {part.path!r} must have the same units wherever it is ranked by "
                        f"{score!r} in a study, got {first.kind.plural} and {pool.kind.plural}, or other parts of "
                        "them. Make two studies of it."
                    )
            else:
                raise PlanError(
                    f"{ablation.name}: {score!r} is not defined for the unit {pool.unit!r} of {part.path!r}. Rank "
                    "units that own weights, heads for 'head_importance', or select in another way."
                )
    return weights, heads


def _parameters(model: nn.Module, weights: dict[str, tuple[Pool, PoolPart]]) -> dict[str, nn.Parameter]:
    """Return the parameters that the units own, by name."""
    known = dict(model.named_parameters(remove_duplicate=False))
    names: dict[str, None] = {}
    for _, part in weights.values():
        names |= dict.fromkeys(s.parameter for s in (part.group.slices if part.group else ()))
        names |= dict.fromkeys(component.name for component in part.components)
    for name in names:
        if name not in known:
            raise PlanError(
                f"`anatomy` must be of this model, but the model has no parameter {name!r}. Make it with `anatomy_of`."
            )
    return {name: known[name] for name in names}


def _gradients(value: Tensor, inputs: Sequence[Tensor | None], number: int) -> list[Tensor]:
    """Return gradients, in double precision on the CPU: zero for tensors that the loss does not depend on."""
    tensors = [tensor for tensor in inputs if tensor is not None]
    # Tied parameters come under several names; a graph is asked for each of them once.
    unique = {id(tensor): tensor for tensor in tensors}
    found = torch.autograd.grad(value, list(unique.values()), allow_unused=True)
    by_id = dict(zip(unique, found, strict=True))
    gradients = []
    for tensor in tensors:
        gradient = by_id[id(tensor)]
        gradient = torch.zeros_like(tensor) if gradient is None else gradient
        wide = gradient.detach().to_dense().cpu().double()
        if not bool(wide.isfinite().all()):
            raise InterventionError(
                f"Gradients of `loss` must be finite, got NaN or infinity in batch {number} for a tensor of shape "
                f"{tuple(tensor.shape)}. Look at this batch, or leave it out."
            )
        gradients.append(wide)
    return gradients
