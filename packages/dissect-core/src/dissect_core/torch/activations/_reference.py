"""Reference activations over a set of images: statistics, the activations themselves, and fitted constants."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ...edits import ActivationSite
from ...errors import InterventionError
from ._sites import TapPoint


@dataclass(eq=False)
class Slot:
    """Activations and statistics of one tensor over all reference images.

    A place where several tensors are met in a pass has a slot for each of them, in order.

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
        Axis of the features, counted from the end.
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
        """Return the mean of each feature."""
        return self.total / self.count

    @property
    def std(self) -> Tensor:
        """Return the standard deviation of each feature, over images and positions."""
        return (self.squares / self.count - self.mean**2).clamp(min=0).sqrt()

    def add(self, activation: Tensor, point: TapPoint, keep: bool) -> None:
        """Add the activation of a batch."""
        axis = point.image_axis(activation)
        with torch.inference_mode(False), torch.no_grad():
            # A copy: the model may go on to change the activation in place.
            values = activation.detach().to("cpu", copy=True)
            images = [values] if axis is None else list(values.unbind(axis))
            self.feature_axis = point.feature_axis(activation)
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


@dataclass(frozen=True)
class OptimalFit:
    """The result of `fit_optimal`, as mean losses over the reference batches.

    Attributes
    ----------
    sites : tuple of ActivationSite
        What the constants were fitted for, all together.
    zero, mean, optimal : float
        Loss with zeros, with means and with the fitted constants there; ``optimal <= mean``.
    losses : tuple of float
        Loss before each step, and after the last one.

    Examples
    --------
    >>> OptimalFit((ActivationSite("ffn", "neuron", (3,)),), 1.5, 1.25, 1.0, (1.25, 1.1, 1.0)).optimal
    1.0
    """

    sites: tuple[ActivationSite, ...]
    zero: float
    mean: float
    optimal: float
    losses: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Reference:
    """Activations at some places over a reference set; `gather_reference` makes one.

    Attributes
    ----------
    slots : dict
        By place (path, unit, argument), the tensors met in one pass, in order.
    fit : OptimalFit or None
        Result of `fit_optimal`, if that made the reference.
    """

    slots: dict[tuple[str, str, str | None], list[Slot]]
    fit: OptimalFit | None = None

    def at(self, site: ActivationSite) -> list[Slot]:
        """Return the tensors of a site; its `indices` do not matter.

        Raises
        ------
        InterventionError
            If the reference was gathered without it.
        """
        if site.key not in self.slots:
            known = ", ".join(f"{unit} of {path!r}" for path, unit, _ in self.slots) or "nothing"
            raise InterventionError(
                f"`reference` must hold the activation of every site, got none for {site}; it holds {known}. "
                "Add the site to those of `gather_reference`."
            )
        return self.slots[site.key]

    @property
    def n_images(self) -> int:
        """Return the number of images of the reference set."""
        return max((slot.n_images for slots in self.slots.values() for slot in slots), default=0)


def require_fit(fit: OptimalFit | None, sites: Sequence[ActivationSite]) -> None:
    """Refuse constants that were fitted for other units: the best ones depend on all units that are replaced together.

    Raises
    ------
    InterventionError
        If `fit_optimal` did not fit exactly these sites.
    """
    fitted = fit.sites if fit else ()
    if _keys(fitted) != _keys(sites):
        got = f"a fit for {'; '.join(map(str, fitted))}" if fit else "no fit"
        raise InterventionError(
            f"`reference` must be fitted for {'; '.join(map(str, sites)) or 'no site'}, together, to put optimal "
            f"constants there, got {got}. Call `fit_optimal` with these sites."
        )


def _keys(sites: Iterable[ActivationSite]) -> set[object]:
    """Return keys of sites that do not depend on the order of their indices."""
    return {(s.key, None if s.indices is None else frozenset(s.indices), s.batch_axis) for s in sites}
