"""Gather activations over a reference set of images."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ...edits import ActivationSite
from ...errors import InterventionError
from ._forward import check_ran, without_fast_path
from ._reference import Reference, Slot
from ._sites import tap_point

Batch = TypeVar("Batch")


def gather_reference(
    model: nn.Module,
    batches: Iterable[Batch],
    run: Callable[[nn.Module, Batch], Any],
    sites: Sequence[ActivationSite],
    *,
    keep: bool = True,
) -> Reference:
    """Gather activations over reference images, for all sites in one pass over the batches.

    Parameters
    ----------
    model : torch.nn.Module
        The model, in the mode in which it is to be studied: evaluation, usually.
    batches : iterable
        Whatever `run` takes; images may differ in shape.
    run : callable
        ``run(model, batch)`` runs the model once on a batch. Its result is not used.
    sites : sequence of ActivationSite
        Their `indices` do not matter: whole activations are gathered.
    keep : bool, default True
        Keep every image's activation, which `ResampleActivation` needs, in the CPU's memory. Statistics alone
        take the memory of one image, in double precision.

    Returns
    -------
    Reference

    Raises
    ------
    UnknownComponentError, UnitError
        If a site does not fit the model.
    InterventionError
        If `batches` is empty, a site is never met, or met a changing number of times a batch.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))
    >>> site = ActivationSite("2", "neuron")
    >>> images = [torch.randn(4, 2), torch.randn(4, 2)]
    >>> reference = gather_reference(model, images, lambda model, image: model(image), [site])
    >>> reference.at(site)[0].mean.shape, reference.n_images
    (torch.Size([3]), 8)
    """
    points = {site.key: tap_point(model, site) for site in sites}
    gathered: dict[tuple[str, str, str | None], list[Slot]] = {key: [] for key in points}
    met = dict.fromkeys(points, 0)

    def tap(key: tuple[str, str, str | None]) -> Callable[[Tensor], Tensor]:
        def record(activation: Tensor) -> Tensor:
            slots = gathered[key]
            if met[key] == len(slots):
                slots.append(Slot())
            slots[met[key]].add(activation, points[key], keep)
            met[key] += 1
            return activation

        return record

    passes, expected = 0, dict(met)
    with ExitStack() as stack:
        stack.enter_context(without_fast_path())
        for key, point in points.items():
            stack.enter_context(point.tapped(tap(key)))
        with torch.no_grad():
            for batch in batches:
                met.update(dict.fromkeys(met, 0))
                run(model, batch)
                passes += 1
                expected = dict(met) if passes == 1 else expected
                for key in points:
                    if met[key] != expected[key]:
                        raise InterventionError(
                            f"The activation at {points[key].site} must be met equally often in every batch, got "
                            f"{expected[key]} and {met[key]} times. Let `run` do one pass over one batch."
                        )
    check_ran(passes, [points[key].site for key, slots in gathered.items() if not slots])
    return Reference(gathered)
