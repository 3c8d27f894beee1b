"""Make the list of variants from a spec and a model's anatomy: pure, deterministic, without torch."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from ..anatomy import Anatomy, unit_kind
from ..edits import intervention_label
from ..errors import PlanError
from ..spec import Ablation, StudySpec
from ._choices import Scores, choices, n_choices, unit_names
from ._controls import Controls, n_controls, units_of
from ._plan import Plan
from ._pool import Pool
from ._resolve import ablation_pool, in_reach
from ._variant import Chosen, Drawn, Variant, Whole, baseline, count_by_part

__all__ = ["n_variants", "plan"]


def plan(spec: StudySpec, anatomy: Anatomy, scores: Scores | None = None) -> Plan:
    """List every variant of a study, the baseline first.

    Parameters
    ----------
    spec : StudySpec
        The study.
    anatomy : Anatomy
        The parts of the model, as `dissect_core.torch.anatomy_of` reads them.
    scores : mapping of (score, path) to array of float, shape (n_units,), optional
        For selections by ``top`` and ``bottom``: a score for each unit of a part.

    Returns
    -------
    Plan
        A sequence of variants, with `notes`. Ids are unique. Variants that would make the same changes are merged into
        the first of them, and those that remove nothing into the baseline. For each pair, the plan also holds the
        variants that remove one of its units alone. A control never removes the set of another variant; where that
        leaves nothing to draw, or a selection is random already, there is no control, and `notes` say so.

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
    _guard(spec, anatomy)
    ablations = [in_reach(ablation, anatomy) for ablation in spec.ablations]
    asked = [
        (ablation, v) for ablation in ablations for v in _variants(ablation, anatomy, spec.seed, scores or {})
    ]
    merged = _Merged(spec.seed, _with_singles(asked))
    controls = Controls(list(merged.variants.values()), anatomy)
    made: dict[str, list[Variant]] = {}
    for ablation in ablations:
        if ablation.control is None:
            continue
        own = [(v, merged.known_as(v)) for of, v in asked if of is ablation]
        for control in controls.of(ablation, own):
            made.setdefault(str(control.control_of), []).append(control)
    variants = [one for variant in merged.all() for one in (variant, *made.get(variant.id, ()))]
    total = sum(component.n_parameters for component in anatomy.components)
    changed = [
        f"Controls of {named.name!r} match {unit_kind(named.target.unit).plural}, as these lie in no weight."
        for named, made_of in zip(spec.ablations, ablations, strict=True)
        if named.control != made_of.control
    ]
    return Plan(spec, variants, (*controls.notes, *changed), total)


class _Merged:
    """Variants without duplicates: of those that make the same changes, later ones are merged into the first."""

    def __init__(self, seed: int, asked: Iterable[Variant]) -> None:
        self._baseline = baseline(seed)
        self._others: dict[Any, list[str]] = {}
        self.variants: dict[Any, Variant] = {}
        for variant in asked:
            key = _key(variant)
            if key in self.variants or variant.n_units == 0:
                self._others.setdefault(key if variant.n_units else None, []).append(variant.id)
                # The first may have been asked for by other means than as a pair.
                if variant.singles and not self.variants[key].singles:
                    self.variants[key] = replace(self.variants[key], singles=variant.singles)
            else:
                self.variants[key] = variant

    def known_as(self, variant: Variant) -> str:
        """Return the id of the variant into which a given one was merged; its own, if it was not."""
        return self.variants[_key(variant)].id if variant.n_units else self._baseline.id

    def all(self) -> Iterator[Variant]:
        """Yield the baseline and the variants, each with the ids of those that were merged into it."""
        yield replace(self._baseline, merged=tuple(self._others.get(None, ())))
        for key, variant in self.variants.items():
            yield replace(variant, merged=tuple(self._others[key])) if key in self._others else variant


def _with_singles(asked: Sequence[tuple[Ablation, Variant]]) -> Iterator[Variant]:
    """Yield the variants asked for, and before each pair the variants of its single units that are still missing.

    A pair gets the ids of the variants of its single units as `singles`.
    """
    if not any(_is_pair(ablation) for ablation, _ in asked):
        yield from (variant for _, variant in asked)
        return
    alone: dict[Any, str] = {}
    for _, variant in asked:
        if variant.n_units == 1:
            alone.setdefault((units_of(variant), variant.intervention), variant.id)
    for ablation, variant in asked:
        if not _is_pair(ablation):
            yield variant
            continue
        ids = []
        for unit in variant.units().tolist():
            single = _single(variant, unit)
            key = units_of(single), single.intervention
            if key not in alone:
                alone[key] = single.id
                yield single
            ids.append(alone[key])
        yield replace(variant, singles=tuple(ids))


def _is_pair(ablation: Ablation) -> bool:
    return ablation.select.by == "pairs"


def _single(pair: Variant, unit: int) -> Variant:
    """Return the variant that removes one unit of a pair, with the id that `select.by: each` would give it."""
    draw = Chosen((unit,))
    name = unit_names(pair.pool)
    both = "+".join(name(each) for each in pair.units().tolist())
    return replace(
        pair,
        id=pair.id.replace(f"/pairs/{both}", f"/each/{name(unit)}", 1),
        ablation=f"{pair.ablation}: singles",
        draw=draw,
        n_units=1,
        n_parameters=pair.pool.n_parameters(count_by_part(pair.pool, draw) or ()),
    )


def _guard(spec: StudySpec, anatomy: Anatomy) -> None:
    """Refuse too many variants before any is made: all pairs of ten thousand units would not fit into memory."""
    counts = {ablation.name: n_variants(ablation, anatomy) for ablation in spec.ablations}
    total = sum(counts.values())
    if total > spec.max_variants:
        largest = max(counts, key=lambda name: counts[name])
        raise PlanError(
            f"The study {spec.name!r} asks for {total:,} variants ({counts[largest]:,} of them in {largest!r}), more "
            f"than `max_variants`, {spec.max_variants:,}. Raise it if that is meant, or select fewer."
        )


def n_variants(ablation: Ablation, anatomy: Anatomy) -> int:
    """Return how many variants an ablation asks for at most: with controls and the single units of pairs."""
    ablation = in_reach(ablation, anatomy)
    return len(ablation.interventions) * sum(
        n_choices(ablation, pool) * (1 + n_controls(ablation, pool, anatomy))
        for pool in _pools(ablation, anatomy)
    )


def _pools(ablation: Ablation, anatomy: Anatomy) -> list[Pool]:
    whole = ablation_pool(ablation, anatomy)
    if ablation.target.pool:
        return [whole]
    return [Pool(whole.unit, (part,), whole.segments_per_row) for part in whole.parts]


def _key(variant: Variant) -> Any:
    """Return a key that is equal for variants that make the same changes."""
    pool, draw = variant.pool, variant.draw
    if isinstance(draw, Drawn) and draw.count == pool.n_units:
        draw = Whole(tuple(range(len(pool.parts))))
    if isinstance(draw, Chosen) and len(draw.units) == pool.n_units:
        draw = Whole(tuple(range(len(pool.parts))))
    if isinstance(draw, Chosen):
        draw = Chosen(tuple(sorted(draw.units)))
    # Random replacement values differ from repeat to repeat, although the same units are removed.
    own = variant.id if variant.intervention.kind in ("noise", "shuffle", "resample") else None
    return pool.key, draw, variant.intervention, own


def _variants(ablation: Ablation, anatomy: Anatomy, seed: int, scores: Scores) -> Iterator[Variant]:
    target = ablation.target
    for pool in _pools(ablation, anatomy):
        where = ablation.name if target.pool else f"{ablation.name}/{pool.parts[0].path}"
        for choice in choices(ablation, pool, where, scores):
            counts = count_by_part(pool, choice.draw)
            n_units = choice.draw.count if isinstance(choice.draw, Drawn) else sum(counts or ())
            for number, intervention in enumerate(ablation.interventions):
                label = "" if len(ablation.interventions) == 1 else f"/{_label(ablation, number)}"
                yield Variant(
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


def _n_parameters(pool: Pool, counts: Sequence[int] | None, n_units: int) -> int:
    if counts is not None:
        return pool.n_parameters(counts)
    sizes = {part.parameters_per_unit for part in pool.parts}
    return n_units * sizes.pop() if len(sizes) == 1 else 0


def _label(ablation: Ablation, number: int) -> str:
    """Return the kind of an intervention, with its number if another one has the same kind."""
    kinds = [intervention_label(item, "-") for item in ablation.interventions]
    return kinds[number] if kinds.count(kinds[number]) == 1 else f"{kinds[number]}-{number}"
