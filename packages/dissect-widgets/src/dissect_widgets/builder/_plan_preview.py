"""The plan of a study on a model, as far as a form can show it at once."""

from __future__ import annotations

from typing import NamedTuple

from dissect_core import DissectError
from dissect_core.anatomy import Anatomy
from dissect_core.plan import PlanRow, n_variants, plan, scores_needed
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
    """

    name: str
    n_variants: int
    problem: str = ""


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
    """

    ablations: tuple[PlannedAblation, ...]
    rows: tuple[PlanRow, ...] = ()
    unlisted: str = ""
    notes: tuple[str, ...] = ()

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
        return counted._replace(rows=variants.rows, notes=variants.notes)
    except DissectError as error:
        wrong = PlannedAblation("the study", 0, str(error))
        return PlanPreview((*counted.ablations, wrong), unlisted="The study does not fit the model.")


def _counted(ablation: Ablation, anatomy: Anatomy) -> PlannedAblation:
    try:
        return PlannedAblation(ablation.name, n_variants(ablation, anatomy))
    except DissectError as error:
        return PlannedAblation(ablation.name, 0, str(error))
