"""What activations are like over a reference set of images: statistics, and the activations themselves."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ...edits import ActivationSite
from ...errors import InterventionError
from ._forward import check_ran, without_fast_path
from ._optimal_fit import OptimalFit
from ._sites import Place, place_of

Batch = TypeVar("Batch")


@dataclass(eq=False)
class Slot:
    """One activation tensor, the n-th that a place meets in a pass, over all reference images.

    Attributes
    ----------
    n_images : int
    shapes : list of tuple of int
        Shapes of one image's activation: the first, and the first that differs from it.
    count : int
        Values per feature.
    total, squares : torch.Tensor of float64, shape (features,)
        Sums of values and of their squares.
    positions : torch.Tensor of float64 or None
        Sum over images, of one image's shape; None once shapes differ.
    kept : list of torch.Tensor
        Activation of each image, on the CPU.
    feature_axis : int
        Counted from the end.
    optimal : torch.Tensor of float64, shape (features,), or None
        Fitted constants; NaN for features of units that they were not fitted for.
    """

    n_images: int = 0
    shapes: list[tuple[int, ...]] = field(default_factory=list)
    count: int = 0
    total: Tensor = field(default_factory=lambda: torch.zeros(()))
    squares: Tensor = field(default_factory=lambda: torch.zeros(()))
    positions: Tensor | None = None
    kept: list[Tensor] = field(default_factory=list)
    feature_axis: int = -1
    optimal: Tensor | None = None

    @property
    def mean(self) -> Tensor:
        """Mean of each feature."""
        return self.total / self.count

    @property
    def std(self) -> Tensor:
        """Standard deviation of each feature, over images and positions."""
        return (self.squares / self.count - self.mean**2).clamp(min=0).sqrt()

    def add(self, activation: Tensor, place: Place, keep: bool) -> None:
        """Take in the activation of a batch."""
        axis = place.image_axis(activation)
        with torch.inference_mode(False), torch.no_grad():
            # A copy: the model may go on to change the activation in place.
            values = activation.detach().to("cpu", copy=True)
            images = [values] if axis is None else list(values.unbind(axis))
            self.feature_axis = place.feature_axis(activation)
            for image in images:
                self._add(image, keep)

    def _add(self, image: Tensor, keep: bool) -> None:
        wide, shape = image.double(), tuple(image.shape)
        by_feature = wide.movedim(self.feature_axis, 0).flatten(1) if wide.ndim > 1 else wide[:, None]
        self.total = self.total + by_feature.sum(1)
        self.squares = self.squares + by_feature.square().sum(1)
        self.count += by_feature.shape[1]
        if not self.shapes:
            self.shapes.append(shape)
            self.positions = wide
        elif shape == self.shapes[0] and self.positions is not None:
            self.positions = self.positions + wide
        elif len(self.shapes) == 1:
            self.shapes.append(shape)
            self.positions = None
        self.n_images += 1
        if keep:
            self.kept.append(image)


@dataclass(frozen=True, eq=False)
class Reference:
    """Activations at some places over a reference set; `gather_reference` makes one.

    Attributes
    ----------
    slots : dict
        By place (path, unit, argument), the tensors met in one pass, in order.
    fit : OptimalFit or None
        Where `fit_optimal` made it.
    """

    slots: dict[tuple[str, str, str | None], list[Slot]]
    fit: OptimalFit | None = None

    def at(self, site: ActivationSite) -> list[Slot]:
        """Tensors of a site, whatever units of it were asked for.

        Raises
        ------
        InterventionError
            If the reference was gathered without it.
        """
        if site.place not in self.slots:
            known = ", ".join(f"{unit} of {path!r}" for path, unit, _ in self.slots) or "nothing"
            raise InterventionError(
                f"`reference` must hold the activation of every site, got none for {site}; it holds {known}. "
                "Add the site to those of `gather_reference`."
            )
        return self.slots[site.place]

    @property
    def n_images(self) -> int:
        """Images of the reference set."""
        return max((slot.n_images for slots in self.slots.values() for slot in slots), default=0)

    def save(self, path: str | Path) -> None:
        """Write to a file, whole or not at all, that `load_reference` reads back exactly.

        Raises
        ------
        CheckpointError
            If the folder is missing or the disk refuses.
        """
        from ._reference_file import save_reference

        save_reference(self, path)


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
        In the mode in which it is to be studied: evaluation, usually.
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
    places = {site.place: place_of(model, site) for site in sites}
    gathered: dict[tuple[str, str, str | None], list[Slot]] = {key: [] for key in places}
    met = dict.fromkeys(places, 0)

    def tap(key: tuple[str, str, str | None]) -> Callable[[Tensor], Tensor]:
        def record(activation: Tensor) -> Tensor:
            slots = gathered[key]
            if met[key] == len(slots):
                slots.append(Slot())
            slots[met[key]].add(activation, places[key], keep)
            met[key] += 1
            return activation

        return record

    passes, expected = 0, dict(met)
    with ExitStack() as stack:
        stack.enter_context(without_fast_path())
        for key, place in places.items():
            stack.enter_context(place.tapped(tap(key)))
        with torch.no_grad():
            for batch in batches:
                met.update(dict.fromkeys(met, 0))
                run(model, batch)
                passes += 1
                expected = dict(met) if passes == 1 else expected
                for key in places:
                    if met[key] != expected[key]:
                        raise InterventionError(
                            f"The activation at {places[key].site} must be met equally often in every batch, got "
                            f"{expected[key]} and {met[key]} times. Let `run` do one pass over one batch."
                        )
    check_ran(passes, [places[key].site for key, slots in gathered.items() if not slots])
    return Reference(gathered)
