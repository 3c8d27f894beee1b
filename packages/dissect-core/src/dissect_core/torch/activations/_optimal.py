"""The constant that does the least damage in the place of an activation, fitted to a loss."""

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ...anatomy import unit_kind
from ...edits import ActivationSite, OptimalActivation, ZeroActivation
from ...errors import InterventionError
from ._forward import without_fast_path
from ._intervened import intervened
from ._loss_pass import Loss, checked_loss, left_as_found, reseed
from ._reference import OptimalFit, Reference, Slot
from ._sites import TapPoint, tap_point

Batch = TypeVar("Batch")
_DEFAULT = OptimalActivation()


def fit_optimal(
    model: nn.Module,
    batches: Iterable[Batch],
    loss: Callable[[nn.Module, Batch], Tensor],
    sites: ActivationSite | Sequence[ActivationSite],
    reference: Reference,
    *,
    steps: int = _DEFAULT.steps,
    learning_rate: float = _DEFAULT.learning_rate,
    seed: int = 0,
    progress: Callable[[Iterable[int]], Iterable[int]] | None = None,
) -> Reference:
    """Fit the constants that do the least damage in the place of some units, for `OptimalActivation`.

    One vector for each head and one number for each neuron or channel, the same for all images and positions; of a
    component one number for each feature, and for queries one vector that all of them share. They are fitted for all
    sites together, by Adam on the mean loss over all batches. They start at the mean activation, and move in units of
    each feature's standard deviation. The best of all steps is kept, the start included: on these batches the result
    is never worse than the mean. The model's weights stay as they are.

    Parameters
    ----------
    model : torch.nn.Module
        The model, in the mode in which it is to be studied. Mode, flags, gradients and random state are left as found.
    batches : iterable
        Whatever `loss` takes: reference images, not those of the evaluation. They are kept in memory and used in
        each step.
    loss : callable
        ``loss(model, batch)`` runs the model once and gives a scalar tensor.
    sites : ActivationSite or sequence of them
        Units that are to be replaced together.
    reference : Reference
        From `gather_reference`, with all the sites (``keep=False`` is enough). It is not changed.
    steps : int, default 50
        Steps of Adam, each over all batches.
    learning_rate : float, default 0.3
        In standard deviations; it falls to 0 along half a cosine. So no constant moves further from the mean than
        about ``steps * learning_rate / 2`` standard deviations.
    seed : int, default 0
        Seed set before each pass of the loss, so that losses differ by the constants alone.
    progress : callable, optional
        Wraps the iteration over steps: ``tqdm``, for instance.

    Returns
    -------
    Reference
        With the constants in `Slot.optimal`, and in `fit` the losses with zeros, means and constants.

    Raises
    ------
    UnknownComponentError, UnitError
        If a site does not fit the model.
    InterventionError
        If `batches` or `sites` are empty, the reference lacks a site or has other shapes, a loss is no finite scalar
        with a graph to the sites, or `steps` or `learning_rate` are negative.

    Notes
    -----
    Constants fit the images that they are given: with few of them the loss may fall below the intact model's, which
    says nothing of other images. Where a place is met several times in a pass, each time has its own constant, as it
    has its own mean. A feature that hardly varies moves in tenths of the place's typical (root mean square) deviation,
    so that it can move at all.

    References
    ----------
    Li and Janson, Optimal Ablation for Interpretability, NeurIPS 2024, arXiv:2409.09951.

    Examples
    --------
    >>> from dissect_core.torch import gather_reference
    >>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    >>> site, images = ActivationSite("2", "neuron", (0,)), [torch.randn(8, 2)]
    >>> reference = gather_reference(model, images, lambda model, image: model(image), [site])
    >>> fitted = fit_optimal(model, images, lambda m, x: (m(x) - 1).square().mean(), site, reference, steps=5)
    >>> len(fitted.fit.losses), fitted.fit.optimal <= fitted.fit.mean
    (6, True)
    """
    several = (sites,) if isinstance(sites, ActivationSite) else tuple(sites)
    kept = list(batches)
    _check(several, kept, steps, learning_rate)
    with ExitStack() as stack:
        stack.enter_context(left_as_found(model))
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        zero = _loss_without(model, kept, loss, several, seed)
        constants = [_Constants.of(model, site, reference) for site in _merged(several)]
        stack.enter_context(without_fast_path())
        for constant in constants:
            stack.enter_context(constant.point.tapped(constant.replace))
        shifts = [shift for constant in constants for shift in constant.shifts]
        optimizer = torch.optim.Adam(shifts, lr=learning_rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(steps, 1))
        losses: list[float] = []
        best, best_shifts = math.inf, [shift.detach().clone() for shift in shifts]
        for _ in progress(range(steps + 1)) if progress else range(steps + 1):
            losses.append(_accumulate(model, kept, loss, constants, shifts, seed))
            if losses[-1] < best:
                best, best_shifts = losses[-1], [shift.detach().clone() for shift in shifts]
            if len(losses) <= steps:
                optimizer.step()
                schedule.step()
    slots = dict(reference.slots)
    found = iter(best_shifts)
    for constant in constants:
        slots[constant.point.site.key] = [
            replace(slot, optimal=constant.value(i, next(found)).masked_fill(~constant.fitted[i], math.nan))
            for i, slot in enumerate(constant.slots)
        ]
    return Reference(slots, OptimalFit(several, zero, losses[0], best, tuple(losses)))


def _check(sites: Sequence[ActivationSite], batches: Sequence[Any], steps: int, learning_rate: float) -> None:
    for name, given in (("batches", batches), ("sites", sites)):
        if not given:
            raise InterventionError(f"`{name}` must not be empty to fit constants. Give at least one.")
    if steps < 0 or not 0 < learning_rate < math.inf:
        raise InterventionError(
            f"`steps` must be 0 or more and `learning_rate` above 0, got {steps} and {learning_rate}. "
            f"Begin with {_DEFAULT.steps} and {_DEFAULT.learning_rate}."
        )


def _merged(sites: Sequence[ActivationSite]) -> list[ActivationSite]:
    """Merge the sites at the same activation into one, with the units of all."""
    merged: dict[object, ActivationSite] = {}
    for site in sites:
        seen = merged.setdefault(site.key, site)
        whole = seen.indices is None or site.indices is None
        units = None if whole else tuple(dict.fromkeys((*(seen.indices or ()), *(site.indices or ()))))
        merged[site.key] = replace(seen, indices=units)
    return list(merged.values())


@dataclass(eq=False)
class _Constants:
    """Constants at one tap point: for each time that it is met in a pass, a shift of the mean for each feature."""

    point: TapPoint
    slots: list[Slot]
    scales: list[Tensor]
    shifts: list[Tensor]
    fitted: list[Tensor]
    met: int = 0

    @classmethod
    def of(cls, model: nn.Module, site: ActivationSite, reference: Reference) -> "_Constants":
        """Return the constants of a site, which begin at the mean."""
        slots = reference.at(site)
        shifts = [torch.zeros_like(slot.mean, requires_grad=True) for slot in slots]
        fitted = [torch.ones_like(slot.mean, dtype=torch.bool) for slot in slots]
        return cls(tap_point(model, site), slots, [_scale(slot.std) for slot in slots], shifts, fitted)

    def value(self, index: int, shift: Tensor) -> Tensor:
        """Return the constants in the activation's units, shape (features,)."""
        return self.slots[index].mean + self.scales[index] * shift

    def replace(self, activation: Tensor) -> Tensor:
        """Return a copy of the activation with the units' constants in it, differentiable by the shifts."""
        index = self.met % len(self.slots)
        self.met += 1
        chosen, feature = self.point.chosen(activation), self.point.feature_axis(activation)
        if unit_kind(self.point.site.unit).activation == "features" and chosen.ndim:
            self.fitted[index] = chosen.flatten().cpu()
        if activation.shape[feature] != len(self.shifts[index]):
            raise InterventionError(
                f"The reference must have the {activation.shape[feature]} features of the activation at "
                f"{self.point.site}, got {len(self.shifts[index])}. Gather it anew, with this model."
            )
        shape = [-1 if i == feature + activation.ndim else 1 for i in range(activation.ndim)]
        value = self.value(index, self.shifts[index]).to(activation.dtype).to(activation.device)
        return torch.where(chosen, value.view(shape), activation)


def _scale(std: Tensor) -> Tensor:
    """Return the unit of a step: a feature's own deviation, at least a tenth of a typical one; 1 if nothing varies."""
    typical = float(std.square().mean().sqrt())
    return std.clamp(min=typical / 10 or 1.0)


def _loss_without(
    model: nn.Module, batches: Sequence[Any], loss: Loss, sites: Sequence[ActivationSite], seed: int
) -> float:
    """Return the mean loss over all batches with zeros at the sites, after a check that the model meets them all."""
    reseed(model, seed)
    with intervened(model, sites, ZeroActivation()), torch.no_grad():
        values = [checked_loss(loss(model, batch), i, on=None).detach() for i, batch in enumerate(batches)]
    return math.fsum(map(float, values)) / len(values)


def _accumulate(
    model: nn.Module,
    batches: Sequence[Any],
    loss: Loss,
    constants: Sequence[_Constants],
    shifts: Sequence[Tensor],
    seed: int,
) -> float:
    """Compute the mean loss over all batches, put its gradient into the shifts, and return the loss."""
    reseed(model, seed)
    values = []
    for shift in shifts:
        shift.grad = torch.zeros_like(shift)
    for number, batch in enumerate(batches):
        for constant in constants:
            constant.met = 0
        value = checked_loss(loss(model, batch), number, on="the replaced activations")
        for shift, gradient in zip(
            shifts, torch.autograd.grad(value, shifts, allow_unused=True), strict=True
        ):
            if gradient is not None and shift.grad is not None:
                shift.grad += gradient / len(batches)
        for constant in constants:
            if constant.met % len(constant.slots):
                raise InterventionError(
                    f"{constant.point.site} must be met {len(constant.slots)} times in a pass, as in the reference, "
                    f"got {constant.met}. Gather the reference with passes like those of `loss`."
                )
        values.append(float(value.detach()))
    return math.fsum(values) / len(values)
