"""From a spec and a model's anatomy to the list of variants: pure, deterministic, without torch."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from ..anatomy import Anatomy
from ..errors import PlanError
from ..spec import Ablation, StudySpec
from .choices import Scores, choices, n_choices
from .controls import control_variants
from .places import ablation_pool
from .pool import Pool
from .variant import Chosen, Drawn, Variant, Whole, baseline, count_by_place, intervention_label

__all__ = ["n_variants", "plan"]


def plan(spec: StudySpec, anatomy: Anatomy, scores: Scores | None = None) -> list[Variant]:
    """List every variant of a study, the baseline first.

    Parameters
    ----------
    spec : StudySpec
        What is asked.
    anatomy : Anatomy
        What the model is made of.
    scores : mapping of (score, path) to array of float, shape (n_units,), optional
        For selections by ``top`` and ``bottom``: a score for each unit of a place.

    Returns
    -------
    list of Variant
        Ids are unique. Variants that would remove the very same are merged into the first of them, and those
        that remove nothing into the baseline.

    Raises
    ------
    UnknownComponentError, PlanError, UnitError
        If a target does not fit the model, a score is missing, or the variants are more than `max_variants`.

    Examples
    --------
    >>> from dissect_core import Component
    >>> from dissect_core.spec import load_spec
    >>> anatomy = Anatomy((Component("query_embedding.weight", (100, 256), "float32"),))
    >>> spec = load_spec(
    ...     {
    ...         "name": "queries",
    ...         "ablations": [
    ...             {
    ...                 "name": "queries",
    ...                 "target": {"unit": "row", "components": "query_embedding.*"},
    ...                 "select": {"by": "fraction", "fractions": [0.05, 1], "repeats": 2},
    ...             }
    ...         ],
    ...     }
    ... )
    >>> for variant in plan(spec, anatomy):
    ...     print(variant.id, variant.n_units)
    baseline 0
    queries/row/0.05/0 5
    queries/row/0.05/1 5
    queries/row/1/0 100
    """
    whole = baseline(spec.seed)
    merged: dict[Any, list[str]] = {}
    variants: dict[Any, Variant] = {}
    _guard(spec, anatomy)
    for ablation in spec.ablations:
        for variant in _variants(ablation, anatomy, spec.seed, scores or {}):
            key = _key(variant)
            if key in variants or variant.n_units == 0:
                merged.setdefault(key if variant.n_units else None, []).append(variant.id)
            else:
                variants[key] = variant
    first = replace(whole, merged=tuple(merged.get(None, ())))
    return [first, *(replace(v, merged=tuple(merged[k])) if k in merged else v for k, v in variants.items())]


def _guard(spec: StudySpec, anatomy: Anatomy) -> None:
    """Count before anything is made: all pairs of ten thousand units would not fit into memory."""
    counts = {ablation.name: n_variants(ablation, anatomy) for ablation in spec.ablations}
    total = sum(counts.values())
    if total > spec.max_variants:
        largest = max(counts, key=lambda name: counts[name])
        raise PlanError(
            f"The study {spec.name!r} asks for {total:,} variants ({counts[largest]:,} of them in {largest!r}), more "
            f"than `max_variants`, {spec.max_variants:,}. Raise it if that is meant, or select fewer."
        )


def n_variants(ablation: Ablation, anatomy: Anatomy) -> int:
    """How many variants an ablation asks for, controls included and duplicates not merged."""
    each = len(ablation.interventions) * (1 + (ablation.control.repeats if ablation.control else 0))
    return each * sum(n_choices(ablation, pool) for pool in _pools(ablation, anatomy))


def _pools(ablation: Ablation, anatomy: Anatomy) -> list[Pool]:
    whole = ablation_pool(ablation, anatomy)
    if ablation.target.pool:
        return [whole]
    return [Pool(whole.unit, (place,), whole.segments_per_row) for place in whole.places]


def _key(variant: Variant) -> Any:
    """Equal for variants that remove the very same."""
    pool, draw = variant.pool, variant.draw
    if isinstance(draw, Drawn) and draw.count == pool.n_units:
        draw = Whole(tuple(range(len(pool.places))))
    if isinstance(draw, Chosen) and len(draw.units) == pool.n_units:
        draw = Whole(tuple(range(len(pool.places))))
    if isinstance(draw, Chosen):
        draw = Chosen(tuple(sorted(draw.units)))
    # Random replacement values differ from repeat to repeat, although the same units are removed.
    own = variant.id if variant.intervention.kind in ("noise", "shuffle", "resample") else None
    return pool.key, draw, variant.intervention, own


def _variants(ablation: Ablation, anatomy: Anatomy, seed: int, scores: Scores) -> Iterator[Variant]:
    target = ablation.target
    for pool in _pools(ablation, anatomy):
        where = ablation.name if target.pool else f"{ablation.name}/{pool.places[0].path}"
        for choice in choices(ablation, pool, where, scores):
            counts = count_by_place(pool, choice.draw)
            n_units = choice.draw.count if isinstance(choice.draw, Drawn) else sum(counts or ())
            for number, intervention in enumerate(ablation.interventions):
                label = "" if len(ablation.interventions) == 1 else f"/{_label(ablation, number)}"
                variant = Variant(
                    id=f"{where}/{target.unit}/{choice.label}{label}",
                    ablation=ablation.name,
                    pool=pool,
                    draw=choice.draw,
                    n_units=n_units,
                    n_parameters=_n_parameters(pool, counts, n_units),
                    intervention=intervention,
                    repeat=choice.repeat,
                    seed=seed,
                )
                yield variant
                if ablation.control is not None:
                    yield from control_variants(variant, ablation.control, anatomy)


def _n_parameters(pool: Pool, counts: Sequence[int] | None, n_units: int) -> int:
    if counts is not None:
        return pool.n_parameters(counts)
    sizes = {place.parameters_per_unit for place in pool.places}
    return n_units * sizes.pop() if len(sizes) == 1 else 0


def _label(ablation: Ablation, number: int) -> str:
    """Kind of an intervention, with its number where the kind does not tell it from the others."""
    kinds = [intervention_label(item, "-") for item in ablation.interventions]
    return kinds[number] if kinds.count(kinds[number]) == 1 else f"{kinds[number]}-{number}"
