"""What a study found to be redundant, taken out for good: how much can go before a metric falls too far."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dissect_core import StudyError
from dissect_core.plan import Chosen, Variant
from dissect_core.torch import simplify
from dissect_eval import Detections, GroundTruth, evaluate_variants
from dissect_eval.study import DEFAULT_METRIC

from .._detector import MMDetDetector

UNITS = ("head", "neuron", "layer", "sublayer")
TIMED_PASSES = 5


@dataclass(frozen=True)
class Slimmed:
    """A detector without what a study found to be redundant.

    Attributes
    ----------
    variant : Variant
        All that was removed.
    removed : mapping of str to tuple of int
        Units by place.
    metric : str
    before, after : float
        The metric on the study's images.
    n_parameters_before, n_parameters_after : int
    flops_before, flops_after : int
        Of one pass over the first batch.
    seconds_before, seconds_after : float
        Of the same pass, the fastest of a few.
    detector : MMDetDetector
        The smaller one.
    """

    variant: Variant
    removed: Mapping[str, tuple[int, ...]]
    metric: str
    before: float
    after: float
    n_parameters_before: int
    n_parameters_after: int
    flops_before: int
    flops_after: int
    seconds_before: float
    seconds_after: float
    detector: MMDetDetector


def removable(variants: Sequence[Variant], ablation: str) -> list[Variant]:
    """Variants of an ablation that take out one unit each, as `simplify` can for good.

    Raises
    ------
    dissect_core.StudyError
        If there are none.
    """
    own = [v for v in variants if v.kind == "ablation" and v.ablation == ablation]
    single = [
        v
        for v in own
        if v.n_units == 1 and v.pool.unit in UNITS and getattr(v.intervention, "kind", "") == "zero"
    ]
    if not single:
        names = list(dict.fromkeys(v.ablation for v in variants if v.kind == "ablation"))
        if not own:
            raise StudyError(f"There is no ablation {ablation!r} in this study, only: {', '.join(names)}.")
        raise StudyError(
            f"The ablation {ablation!r} must remove single heads, neurons, layers or sublayers (`by: each`), by "
            f"zero, so that they can be ranked. Ablations of this study: {', '.join(names)}."
        )
    return single


def slim(
    detector: MMDetDetector,
    variants: Sequence[Variant],
    losses: Mapping[str, float],
    truth: GroundTruth,
    batches: Callable[[], Iterable[Any]],
    categories: Sequence[int],
    *,
    metric: str = DEFAULT_METRIC,
    max_loss: float = 0.01,
    say: Callable[[str], object] = print,
) -> Slimmed:
    """Remove the units that were missed least, as many as cost no more than `max_loss` together.

    Losses of single units do not add up, since what is left makes up for what is gone: so growing sets, from the least
    missed unit on, are measured, and the largest that holds is found by bisection.

    Parameters
    ----------
    detector : MMDetDetector
    variants : sequence of Variant
        From `removable`: one unit each, all of one pool.
    losses : mapping of str to float
        By the variant's id, what its unit alone cost.
    truth : GroundTruth
    batches : callable
        Gives the prepared images of the truth, one after the other.
    categories : sequence of int
        Category id of each label; -1 for one that is not scored.
    metric : str
        Of `dissect_eval.METRICS`.
    max_loss : float
        Most that the metric may fall.
    say : callable
        Takes a line for each set that is measured.

    Raises
    ------
    dissect_core.StudyError
        If not even one unit can go.
    """
    ranked = sorted(variants, key=lambda v: -losses[v.id])
    units = _leaving_one(ranked)
    prepared = list(batches())

    def measured(found: list[Any]) -> float:
        boxes = Detections.from_arrays(found, truth.image_ids.tolist(), list(categories))
        boxes = boxes.subset(categories=truth.category_names)  # without classes that are not scored
        value: float = evaluate_variants(truth, {"": boxes}, metrics=[metric])[0].value
        return value

    before = measured(detector.predict_batches(prepared))

    def without(count: int) -> float:
        with detector.ablated(_together(ranked[0], units[:count])):
            value = measured(detector.predict_batches(prepared))
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
            f"Not even {_where(ranked[0])} can be removed: {metric} falls by more than {max_loss:g}. Allow more."
        )
    variant = _together(ranked[0], units[:low])
    batch = next(iter(prepared))
    smaller = simplify(
        detector.model, variant, run=lambda model, given: _raw(detector, model, given), batch=batch
    )
    other = MMDetDetector(smaller.model, detector.config, detector.class_names, detector.fit)
    assert smaller.flops_before is not None
    assert smaller.flops_after is not None
    return Slimmed(
        variant,
        variant.removed(),
        metric,
        before,
        measured(other.predict_batches(prepared)),
        smaller.n_parameters_before,
        smaller.n_parameters_after,
        smaller.flops_before,
        smaller.flops_after,
        _fastest(detector, batch),
        _fastest(other, batch),
        other,
    )


def _raw(detector: MMDetDetector, model: Any, batch: Any) -> Any:
    """Every number that a model's heads give, before any selection."""
    import torch

    with torch.no_grad():
        given = model.data_preprocessor(
            {**batch, "data_samples": [s.clone() for s in batch["data_samples"]]}, False
        )
        return model(given["inputs"], given["data_samples"], mode="tensor")


def _leaving_one(ranked: Sequence[Variant]) -> list[int]:
    """Units in their order, without the last one of every block of heads: a block with none is none."""
    chosen: list[int] = []
    taken: dict[str, int] = {}
    for variant in ranked:
        ((place, _),) = variant.pool.by_place(variant.units())
        taken[place.path] = taken.get(place.path, 0) + 1
        if variant.pool.unit != "head" or taken[place.path] < place.n_units:
            chosen += variant.units().tolist()
    return chosen


def _together(one: Variant, units: Sequence[int]) -> Variant:
    chosen = tuple(sorted(units))
    counts = np.array([place.parameters_per_unit * len(at) for place, at in one.pool.by_place(list(chosen))])
    return replace(
        one,
        id=f"{one.ablation}/redundant/{len(chosen)}",
        draw=Chosen(chosen),
        n_units=len(chosen),
        n_parameters=int(counts.sum()),
    )


def _where(variant: Variant) -> str:
    ((path, units),) = variant.removed().items()
    return f"{variant.pool.unit} {units[0]} of {path}" if variant.pool.unit in ("head", "neuron") else path


def _fastest(detector: MMDetDetector, batch: Any) -> float:
    times = []
    for _ in range(TIMED_PASSES):
        start = time.perf_counter()
        detector.predict_batch(batch)
        times.append(time.perf_counter() - start)
    return min(times)
