"""Choosing what a detector can do without, taking it out, and measuring what that saves and costs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import numpy as np

from dissect_core import StudyError, sample_units, variant_rng
from dissect_core.detectors import offered
from dissect_core.names import near_hint
from dissect_core.plan import Chosen, Variant
from dissect_core.text import quoted
from dissect_core.torch import Simplified, simplify as simplify_model
from dissect_eval import Detections, GroundTruth, bootstrap, evaluate_variants
from dissect_eval.study import DEFAULT_METRIC

TIMED_PASSES = 5
LEAST_IMAGES = 10
"""Fewest images of a half: on fewer, neither the choice nor an interval means anything."""


@dataclass(frozen=True)
class Slimmed:
    """A detector without what a study found to be redundant.

    Attributes
    ----------
    variant : Variant
        Removes all these units at once.
    removed : mapping of str to tuple of int
        The removed units of each component.
    metric : str
    before, after : float
        The metric on the images that are held out: those on which nothing was chosen.
    low, high : float
        Paired bootstrap interval of its change there, after − before.
    chosen_before, chosen_after : float
        The metric on the images on which the units were chosen.
    n_images, n_chosen_on : int
        Images that are held out, and images on which the units were chosen.
    n_parameters_before, n_parameters_after : int
    flops_before, flops_after : int
        Of one pass over the first batch.
    seconds_before, seconds_after : float
        Of the same pass, the fastest of a few.
    n_bytes_before, n_bytes_after : int
        Of all weights.
    detector : Detector
        The smaller one.
    whole : Simplified
        The smaller model, as `dissect_core.torch.save_simplified` takes it.
    """

    variant: Variant
    removed: Mapping[str, tuple[int, ...]]
    metric: str
    before: float
    after: float
    low: float
    high: float
    chosen_before: float
    chosen_after: float
    n_images: int
    n_chosen_on: int
    n_parameters_before: int
    n_parameters_after: int
    flops_before: int
    flops_after: int
    seconds_before: float
    seconds_after: float
    n_bytes_before: int
    n_bytes_after: int
    detector: Any
    whole: Simplified

    def saved(self) -> dict[str, Any]:
        """Return every number, before and after, as plain data."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, (int, float, str))}

    def rows(self) -> list[tuple[str, str, str]]:
        """Return the rows of a table of what was saved and lost: a name, the values before and after."""
        return [
            ("parameters", f"{self.n_parameters_before:,}", f"{self.n_parameters_after:,}"),
            ("bytes of weights", f"{self.n_bytes_before:,}", f"{self.n_bytes_after:,}"),
            ("GFLOP a pass", f"{self.flops_before / 1e9:.3g}", f"{self.flops_after / 1e9:.3g}"),
            ("ms a pass", f"{1000 * self.seconds_before:.1f}", f"{1000 * self.seconds_after:.1f}"),
            (f"{self.metric}, held-out images", f"{self.before:.3f}", f"{self.after:.3f}"),
        ]


class Part(NamedTuple):
    """Some of a study's images.

    Attributes
    ----------
    truth : GroundTruth
        Of these images.
    batches : callable
        Yields prepared batches of them, in the order of the truth.
    """

    truth: GroundTruth
    batches: Callable[[], Iterable[Any]]


def halves(truth: GroundTruth, seed: int) -> tuple[GroundTruth, GroundTruth]:
    """Return images to choose on and images to report on, drawn apart by a study's seed, the same each time.

    Raises
    ------
    dissect_core.StudyError
        If there are too few of them.

    Examples
    --------
    >>> truth = GroundTruth.from_coco(
    ...     {"images": [{"id": i} for i in range(21)], "categories": [{"id": 1, "name": "a"}], "annotations": []}
    ... )
    >>> [part.n_images for part in halves(truth, 0)]
    [10, 11]
    """
    n = truth.n_images
    if n < 2 * LEAST_IMAGES:
        raise StudyError(
            f"The study must have at least {2 * LEAST_IMAGES} images, got {n}: units are chosen on one half of them, "
            "and the loss is measured on the other. Run the study on more images."
        )
    chosen = sample_units(n, variant_rng(seed, "simplify/images"), count=n // 2)
    ids = truth.image_ids
    return truth.subset(ids[chosen].tolist()), truth.subset(np.delete(ids, chosen).tolist())


def removable(variants: Sequence[Variant], ablation: str) -> list[Variant]:
    """Return the variants of an ablation that take out one unit each, as `simplify` can for good.

    Raises
    ------
    dissect_core.StudyError
        If there are none.
    """
    own = [v for v in variants if v.kind == "ablation" and v.ablation == ablation]
    single = [
        v
        for v in own
        if v.n_units == 1 and v.pool.kind.removed_by and getattr(v.intervention, "kind", "") == "zero"
    ]
    if not single:
        names = list(dict.fromkeys(v.ablation for v in variants if v.kind == "ablation"))
        if not own:
            raise StudyError(
                f"There is no ablation {quoted(ablation)} in this study, only: {', '.join(names)}."
                + near_hint(ablation, names)
            )
        raise StudyError(
            f"The ablation {quoted(ablation)} must remove single heads, neurons, layers or sublayers (`by: each`), by "
            f"zero, so that they can be ranked. Ablations of this study: {', '.join(names)}."
        )
    return single


def slim(
    detector: Any,
    variants: Sequence[Variant],
    losses: Mapping[str, float],
    choosing: Part,
    reporting: Part,
    categories: Sequence[int],
    *,
    metric: str = DEFAULT_METRIC,
    max_loss: float = 0.01,
    say: Callable[[str], object] = print,
) -> Slimmed:
    """Remove the units whose loss was smallest, as many as together cost no more than `max_loss`.

    Losses of single units do not add up, since the units that are left make up for those that are gone. So growing sets
    are measured, starting with the unit whose loss was smallest, and bisection finds the largest set that is allowed.
    The smaller detector is then measured on other images.

    Parameters
    ----------
    detector : Detector
        A torch detector.
    variants : sequence of Variant
        From `removable`: one unit each, all of one pool.
    losses : mapping of str to float
        By the variant's id, the change of the metric without its unit alone, on the images of `choosing`.
    choosing, reporting : Part
        Images on which the units are chosen, and others on which the loss is measured; see `halves`.
    categories : sequence of int
        Category id of each label; -1 for one that is not scored.
    metric : str
        Of `dissect_eval.METRICS`.
    max_loss : float
        Most that the metric may fall on the images of `choosing`.
    say : callable
        Takes a line for each set that is measured.

    Raises
    ------
    dissect_core.StudyError
        If not even one unit can go, or the metric is undefined on one of the halves.
    """
    undefined = [v.id for v in variants if not np.isfinite(losses[v.id])]
    if undefined:
        raise StudyError(
            f"{metric} is undefined on the {choosing.truth.n_images} images on which units are chosen, first for "
            f"{undefined[0]}. Take another metric, or run the study on more images."
        )
    ranked = sorted(variants, key=lambda v: -losses[v.id])
    units = _leaving_one(ranked)
    prepared = list(choosing.batches())
    before = _value(_found(detector, prepared, choosing.truth, categories), choosing.truth, metric)

    def without(count: int) -> float:
        with detector.ablated(_together(ranked[0], units[:count])):
            value = _value(_found(detector, prepared, choosing.truth, categories), choosing.truth, metric)
        say(f"without {count} of {ranked[0].pool.n_units}: {metric} {value:.3f} ({value - before:+.3f})")
        return value

    low, high = 0, len(units)
    while low < high:  # `low` units are known to be redundant, more than `high` are known not to be
        count = (low + high + 1) // 2
        if before - without(count) <= max_loss:
            low = count
        else:
            high = count - 1
    if not low:
        raise StudyError(
            f"Not even {_where(ranked[0])} can be removed: {metric} falls by more than {max_loss:g} on the "
            f"{choosing.truth.n_images} images on which units are chosen. Allow a larger loss."
        )
    variant = _together(ranked[0], units[:low])
    batch = next(iter(prepared))
    smaller = simplify_model(
        detector.model,
        variant,
        run=lambda model, given: _raw(_with_model(detector, model), given),
        batch=batch,
    )
    other = _with_model(detector, smaller.model)
    assert smaller.flops_before is not None
    assert smaller.flops_after is not None
    chosen_after = _value(_found(other, prepared, choosing.truth, categories), choosing.truth, metric)
    others = list(reporting.batches())
    found = [_found(one, others, reporting.truth, categories) for one in (detector, other)]
    (change,) = bootstrap(reporting.truth, *found, metrics=[metric], seed=variant.seed)
    if not np.isfinite(change.estimate):
        raise StudyError(
            f"{metric} is undefined on the {reporting.truth.n_images} images that are held out. Take another metric, "
            "or run the study on more images."
        )
    return Slimmed(
        variant=variant,
        removed=variant.removed(),
        metric=metric,
        before=change.baseline,
        after=change.variant,
        low=change.low,
        high=change.high,
        chosen_before=before,
        chosen_after=chosen_after,
        n_images=reporting.truth.n_images,
        n_chosen_on=choosing.truth.n_images,
        n_parameters_before=smaller.n_parameters_before,
        n_parameters_after=smaller.n_parameters_after,
        flops_before=smaller.flops_before,
        flops_after=smaller.flops_after,
        seconds_before=_fastest(detector, batch),
        seconds_after=_fastest(other, batch),
        n_bytes_before=_n_bytes(detector.model),
        n_bytes_after=_n_bytes(smaller.model),
        detector=other,
        whole=smaller,
    )


def _found(
    detector: Any, prepared: Sequence[Any], truth: GroundTruth, categories: Sequence[int]
) -> Detections:
    found = [one for batch in prepared for one in detector.predict_batch(batch)]
    boxes = Detections.from_arrays(found, truth.image_ids.tolist(), list(categories))
    return boxes.subset(categories=truth.category_names)  # without classes that are not scored


def _value(found: Detections, truth: GroundTruth, metric: str) -> float:
    value: float = evaluate_variants(truth, {"": found}, metrics=[metric])[0].value
    return value


def _with_model(detector: Any, model: Any) -> Any:
    """Return the same detector with another model."""
    if model is detector.model:
        return detector
    make = offered(detector, "with_model")
    if make is not None:
        return make(model)
    other = copy(detector)
    other.model = model
    return other


def _raw(detector: Any, batch: Any) -> Any:
    """Return every output of a detector's heads, before any selection; its detections if it gives no raw outputs."""
    import torch

    raw = offered(detector, "raw_outputs")
    if raw is not None:
        return raw(batch)
    with torch.no_grad():
        found = detector.predict_batch(batch)
    return [(torch.as_tensor(one.boxes), torch.as_tensor(one.scores)) for one in found]


def _n_bytes(model: Any) -> int:
    return sum(value.numel() * value.element_size() for value in model.state_dict().values())


def _leaving_one(ranked: Sequence[Variant]) -> list[int]:
    """Return units in their order, without the last one of every block of heads: a block with none is none."""
    chosen: list[int] = []
    taken: dict[str, int] = {}
    for variant in ranked:
        ((place, _),) = variant.pool.by_part(variant.units())
        taken[place.path] = taken.get(place.path, 0) + 1
        if not variant.pool.kind.last_one_stays or taken[place.path] < place.n_units:
            chosen += variant.units().tolist()
    return chosen


def _together(one: Variant, units: Sequence[int]) -> Variant:
    chosen = tuple(sorted(units))
    counts = np.array([place.parameters_per_unit * len(at) for place, at in one.pool.by_part(list(chosen))])
    return replace(
        one,
        id=f"{one.ablation}/redundant/{len(chosen)}",
        draw=Chosen(chosen),
        n_units=len(chosen),
        n_parameters=int(counts.sum()),
    )


def _where(variant: Variant) -> str:
    ((path, units),) = variant.removed().items()
    return path if variant.pool.kind.is_whole else f"{variant.pool.unit} {units[0]} of {path}"


def _fastest(detector: Any, batch: Any) -> float:
    times = []
    for _ in range(TIMED_PASSES):
        start = time.perf_counter()
        detector.predict_batch(batch)
        times.append(time.perf_counter() - start)
    return min(times)
