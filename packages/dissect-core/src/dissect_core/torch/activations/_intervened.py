"""Interventions on the activations of a live model, for the length of a `with` block."""

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ...edits import (
    ActivationIntervention,
    ActivationReport,
    ActivationSite,
    MeanActivation,
    NoiseActivation,
    OptimalActivation,
    ResampleActivation,
    SiteActivity,
    ZeroActivation,
    gaussian,
    variant_rng,
)
from ...errors import InterventionError
from ._forward import check_ran, without_fast_path
from ._reference import Reference, Slot, require_fit
from ._sites import TapPoint, tap_point


@contextmanager
def intervened(
    model: nn.Module,
    sites: ActivationSite | Sequence[ActivationSite],
    intervention: ActivationIntervention,
    reference: Reference | None = None,
    *,
    seed: int = 0,
    variant: str = "",
    exclude: Sequence[int] = (),
) -> Iterator[ActivationReport]:
    """Replace activations wherever a model runs inside the block. No parameter is touched.

    Parameters
    ----------
    model : torch.nn.Module
        The model, on any device.
    sites : ActivationSite or sequence of them
        What to replace; all sites are found in the model before anything is replaced.
    intervention : ZeroActivation, MeanActivation, ResampleActivation, NoiseActivation or OptimalActivation
        What to put there.
    reference : Reference, optional
        From `gather_reference`, with all the sites. All interventions but zero need it; `OptimalActivation` needs
        one from `fit_optimal` for exactly these sites.
    seed : int, default 0
        Seed of the study, for `ResampleActivation` and `NoiseActivation`.
    variant : str, default ""
        Stable id of the variant. Seed and id decide which reference image is put in, the same one at all sites;
        seed, id and site decide the noise. To draw anew for each image, open a block for each of them, with the
        image's id in `variant`.
    exclude : sequence of int, optional
        Reference images not to draw, counted in their order: the image under test, if it is among them.

    Yields
    ------
    ActivationReport
        What was replaced and how much of it changed, counted live.

    Raises
    ------
    UnknownComponentError, UnitError
        If a site does not fit the model.
    InterventionError
        If the reference is missing, or has other shapes than the activation; on leaving the block, if a site
        was never met.

    Notes
    -----
    Heads of `torch.nn.MultiheadAttention` are reached by running the block with the unit matrix in its output
    projection's place, and applying the projection afterwards. Inside the block torch's fused transformer
    layers are off, in the whole process: they call no submodule, and their results differ in the last bits.
    Where a place is met several times in a pass (a head shared by decoder layers), each time has its own
    statistics.

    Examples
    --------
    >>> attention = nn.MultiheadAttention(8, 2, batch_first=True)
    >>> image = torch.randn(1, 5, 8)
    >>> with intervened(attention, ActivationSite("", "head"), ZeroActivation()) as report:
    ...     output = attention(image, image, image)[0]
    >>> bool((output == attention.out_proj.bias).all()), report.masked
    (True, 40)
    """
    several = (sites,) if isinstance(sites, ActivationSite) else tuple(sites)
    if isinstance(intervention, OptimalActivation) and reference is not None:
        require_fit(reference.fit, several)
    taps = [
        _Tap(tap_point(model, site), intervention, _slots(site, intervention, reference)) for site in several
    ]
    if isinstance(intervention, ResampleActivation):
        assert reference is not None  # checked with the slots
        donor = _donor(reference, seed, variant, exclude)
    for tap in taps:
        tap.stream = (
            seed,
            f"{variant}/{tap.point.site.path}/{tap.point.site.unit}/{tap.point.site.argument}",
        )
        tap.donor = donor if isinstance(intervention, ResampleActivation) else 0
    passes = 0

    def begin(_module: nn.Module, _args: Any) -> None:
        nonlocal passes
        passes += 1
        for tap in taps:
            tap.met = 0

    with ExitStack() as stack:
        stack.enter_context(without_fast_path())
        stack.callback(model.register_forward_pre_hook(begin).remove)
        for tap in taps:
            stack.enter_context(tap.point.tapped(tap.replace))
        yield ActivationReport(lambda: tuple(tap.activity() for tap in taps))
    check_ran(passes, [tap.point.site for tap in taps if not tap.fired])


def _slots(
    site: ActivationSite, intervention: ActivationIntervention, reference: Reference | None
) -> list[Slot]:
    if isinstance(intervention, ZeroActivation):
        return []
    if reference is None:
        maker = "fit_optimal" if isinstance(intervention, OptimalActivation) else "gather_reference"
        raise InterventionError(
            f"`reference` must be given for the intervention {intervention.kind!r}, got None. "
            f"Make one with `{maker}`."
        )
    slots = reference.at(site)
    if isinstance(intervention, ResampleActivation):
        for slot in slots:
            if len(slot.kept) != reference.n_images:
                raise InterventionError(
                    f"`reference` must keep one activation for each of its {reference.n_images} images, got "
                    f"{len(slot.kept)} for {site}. Gather with keep=True; if it did, give the site's `batch_axis`."
                )
    if isinstance(intervention, MeanActivation) and intervention.over == "position":
        for slot in slots:
            if slot.positions is None:
                raise InterventionError(
                    f"Means for each position need activations of equal shapes, got {slot.shapes[0]} and "
                    f"{slot.shapes[1]} for {site}. Take MeanActivation(over='global'), or images of one size."
                )
    return slots


def _donor(reference: Reference, seed: int, variant: str, exclude: Sequence[int]) -> int:
    left = [image for image in range(reference.n_images) if image not in exclude]
    if not left:
        raise InterventionError(
            f"`exclude` must leave an image of the reference's {reference.n_images} to draw, got "
            f"{list(exclude)}. Gather more."
        )
    return left[int(variant_rng(seed, variant).bit_generator.random_raw()) % len(left)]


@dataclass(eq=False)
class _Tap:
    """Replaces one site's activation and keeps count."""

    point: TapPoint
    intervention: ActivationIntervention
    slots: list[Slot]
    stream: tuple[int, str] = (0, "")
    donor: int = 0
    met: int = 0
    fired: int = 0
    masked: int = 0
    changed: Tensor | int = 0
    ready: dict[tuple[object, ...], tuple[Tensor, Tensor, int]] = field(default_factory=dict)

    def replace(self, activation: Tensor) -> Tensor:
        """Return a copy of the activation with the site's units replaced."""
        index = self.met % max(len(self.slots), 1)
        self.met += 1
        self.fired += 1
        key = (index, activation.shape, activation.dtype, activation.device)
        if key not in self.ready:
            with torch.inference_mode(False), torch.no_grad():
                self.ready[key] = self._prepared(activation, index)
        chosen, values, n_masked = self.ready[key]
        new = torch.where(chosen, values, activation)
        with torch.no_grad():
            # A NaN that stays NaN is not a change. The count stays on the device: to read it would wait for the device.
            differ = (new != activation) & ~(new.isnan() & activation.isnan())
            self.changed = self.changed + torch.count_nonzero(differ)
        self.masked += n_masked
        return new

    def activity(self) -> SiteActivity:
        """Return the counts so far."""
        return SiteActivity(self.point.site, self.fired, self.masked, int(self.changed))

    def _prepared(self, activation: Tensor, index: int) -> tuple[Tensor, Tensor, int]:
        """Return which values to replace, the new values, and how many are replaced."""
        chosen = self.point.chosen(activation)
        values = self._values(activation, index).to(device=activation.device, dtype=activation.dtype)
        share = activation.numel() // chosen.numel() if chosen.numel() else 0
        return chosen, values, int(chosen.sum()) * share

    def _values(self, activation: Tensor, index: int) -> Tensor:
        """Return the new values, of a shape that broadcasts to the activation's."""
        if isinstance(self.intervention, ZeroActivation):
            return torch.zeros(())
        slot, images = self.slots[index], self.point.image_axis(activation)
        feature = self.point.feature_axis(activation)
        shape = tuple(n for axis, n in enumerate(activation.shape) if axis != images)
        by_feature = [shape[feature] if axis == feature + len(shape) else 1 for axis in range(len(shape))]
        if isinstance(self.intervention, ResampleActivation):
            values = slot.kept[self.donor]
        elif isinstance(self.intervention, MeanActivation) and self.intervention.over == "position":
            assert slot.positions is not None  # checked before the block began
            values = slot.positions / slot.n_images
        elif slot.mean.numel() != shape[feature]:
            values = slot.mean
        elif isinstance(self.intervention, OptimalActivation):
            assert slot.optimal is not None  # checked before the block began
            values = slot.optimal.view(by_feature)
        elif isinstance(self.intervention, NoiseActivation):
            rng = variant_rng(self.stream[0], f"{self.stream[1]}/{index}")
            noise = torch.from_numpy(gaussian(rng, math.prod(shape))).view(shape)
            values = slot.mean.view(by_feature) + slot.std.view(by_feature) * noise
        else:
            values = slot.mean.view(by_feature)
        if tuple(values.shape) not in (shape, tuple(by_feature)):
            remedy = (
                "Take MeanActivation(over='global')" if values.shape[-1:] == shape[-1:] else "Gather it anew"
            )
            raise InterventionError(
                f"The reference must have the activation's shape {shape} for {self.intervention.kind!r} at "
                f"{self.point.site}, got {tuple(values.shape)}. {remedy}, or reference images of this size."
            )
        return values if images is None else values.unsqueeze(images)
