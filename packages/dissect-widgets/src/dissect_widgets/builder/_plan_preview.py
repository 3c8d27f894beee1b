"""The plan of a study on a model, as far as a form can show it at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from dissect_core import DissectError, PlanError
from dissect_core.anatomy import Anatomy
from dissect_core.plan import (
    Drawn,
    PlanRow,
    Pool,
    Variant,
    ablation_pool,
    n_variants,
    plan,
    pool_of,
    scores_needed,
)
from dissect_core.spec import Ablation, StudySpec

PLANNED_AT_ONCE = 2000
"""Studies of more variants are counted, not listed: a field must answer at once."""


class PlannedAblation(NamedTuple):
    """Number of variants of one ablation, or why it has none.

    Attributes
    ----------
    name : str
    n_variants : int
        Variants that it asks for, controls included, before equal ones are merged; 0 where it does not fit the model.
    problem : str
        Why it does not fit the model; empty if it does.
    n_controls : int
        How many of the variants are controls, at most.
    units : str
        What there is to remove, such as "36 heads".
    blocks : tuple of str
        Paths of the places in which they lie.
    """

    name: str
    n_variants: int
    problem: str = ""
    n_controls: int = 0
    units: str = ""
    blocks: tuple[str, ...] = ()


class PlanPreview(NamedTuple):
    """The variants that a study would run.

    Attributes
    ----------
    ablations : tuple of PlannedAblation
    rows : tuple of PlanRow
        Every variant, the baseline first; empty where `unlisted` says why.
    unlisted : str
        Why the variants are counted and not listed; empty if they are listed.
    notes : tuple of str
        What the study asks for and does not get, such as controls of a selection that is random already.
    places : Counter of tuple of str
        How many variants change these places of the model, as far as that is known before units are drawn.
    """

    ablations: tuple[PlannedAblation, ...]
    rows: tuple[PlanRow, ...] = ()
    unlisted: str = ""
    notes: tuple[str, ...] = ()
    places: Mapping[tuple[str, ...], int] = {}  # of a named tuple; never changed

    @property
    def problems(self) -> tuple[str, ...]:
        """Return what keeps the study from being run on this model."""
        return tuple(each.problem for each in self.ablations if each.problem)

    @property
    def n_variants(self) -> int:
        """Return how many variants run, the baseline included; where they are not listed, an upper bound."""
        return len(self.rows) or 1 + sum(each.n_variants for each in self.ablations)


def preview(spec: StudySpec, anatomy: Anatomy) -> PlanPreview:
    """Plan a study without its model's weights.

    Parameters
    ----------
    spec : StudySpec
    anatomy : Anatomy

    Returns
    -------
    PlanPreview

    Examples
    --------
    >>> from dissect_core import Component
    >>> anatomy = Anatomy((Component("query_embedding.weight", (100, 256), "float32"),))
    >>> from dissect_core.spec import load_spec
    >>> target = {"unit": "row", "components": "query_embedding.*"}
    >>> ablation = {"name": "queries", "target": target, "select": {"by": "each"}}
    >>> preview(load_spec({"name": "queries", "ablations": [ablation]}), anatomy).n_variants
    101
    """
    counted = PlanPreview(tuple(_counted(ablation, anatomy) for ablation in spec.ablations))
    if counted.problems:
        return counted._replace(unlisted="The study does not fit the model.")
    if needed := scores_needed(spec):
        return counted._replace(
            unlisted=f"Which units are removed is known once {', '.join(needed)} is measured."
        )
    if counted.n_variants > PLANNED_AT_ONCE:
        return counted._replace(unlisted=f"More than {PLANNED_AT_ONCE:,} variants are counted, not listed.")
    try:
        variants = plan(spec, anatomy)
        places = Counter(_places_of(variant) for variant in variants)
        return counted._replace(rows=variants.rows, notes=variants.notes, places=places)
    except DissectError as error:
        wrong = PlannedAblation("the study", 0, str(error))
        return PlanPreview((*counted.ablations, wrong), unlisted="The study does not fit the model.")


def _counted(ablation: Ablation, anatomy: Anatomy) -> PlannedAblation:
    try:
        n, pool = n_variants(ablation, anatomy), _pool(ablation, anatomy)
        alone = n if ablation.control is None else n_variants(_without_control(ablation), anatomy)
    except DissectError as error:
        return PlannedAblation(ablation.name, 0, str(error))
    units = pool.kind.counted(pool.n_units)
    if indices := getattr(ablation.select, "indices", None):
        units = f"{len(indices):,} of {units}"
    return PlannedAblation(ablation.name, n, "", n - alone, units, tuple(part.path for part in pool.parts))


def _without_control(ablation: Ablation) -> Ablation:
    return ablation.model_copy(update={"control": None})


def _pool(ablation: Ablation, anatomy: Anatomy) -> Pool:
    """Return the units of an ablation; of heads that lie in no weight, those that pass."""
    try:
        return ablation_pool(ablation, anatomy)
    except PlanError:
        return pool_of(ablation.target, anatomy, "activation")


def _places_of(variant: Variant) -> tuple[str, ...]:
    """Return the places that a variant changes; of a random draw, all from which it is drawn."""
    pool = variant.pool
    if isinstance(variant.draw, Drawn):
        return tuple(part.path for part in pool.parts)
    return tuple(part.path for part, _ in pool.by_part(variant.units()))
