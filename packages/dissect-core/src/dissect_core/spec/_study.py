"""The whole specification of a study."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from ..anatomy import UNITS, unit_kind
from ..edits import Spec, Zero, is_activation
from ._execution import Execution, LocalExecution
from ._fields import SpecIntervention, as_kinds
from ._selections import Control, Selection
from ._targets import Target

SCHEMA_VERSION = 1


def _control(value: Any) -> Any:
    """Let ``random`` stand for a control with its defaults."""
    return {} if value == "random" else value


class Ablation(Spec):
    """One question: what is removed, how much of it, and what takes its place.

    Examples
    --------
    >>> ablation = Ablation.model_validate(
    ...     {
    ...         "name": "encoder heads",
    ...         "target": {"unit": "head", "components": "encoder.self_attn"},
    ...         "select": {"by": "fraction", "fractions": [0.25, 0.5], "repeats": 5},
    ...     }
    ... )
    >>> ablation.target.part, ablation.interventions
    ('output', (Zero(kind='zero'),))
    """

    name: str = Field(
        pattern=r"^[^/\s](?:[^/\n]*[^/\s])?$",
        max_length=80,
        description="Part of every variant's id: unique within the study, without a slash.",
    )
    target: Target = Field(description="Which components, and what to count in.")
    select: Selection = Field(description="Which units, and how many variants.")
    interventions: Annotated[tuple[SpecIntervention, ...], BeforeValidator(as_kinds), Field(min_length=1)] = (
        Field(
            default=(Zero(),),
            description="What takes the place of what is removed; with several, each selection runs with every one.",
        )
    )
    control: Annotated[Control, BeforeValidator(_control)] | None = Field(
        default=None,
        description="Random sets as large as each variant's, and never the set of another variant; `random` takes the "
        "defaults. Selections that are random already, or that leave nothing to draw from, get none.",
    )

    @model_validator(mode="after")
    def _fits(self) -> "Ablation":
        unit, by = self.target.unit, self.select.by
        kind = unit_kind(unit)
        if kind.in_structure and self.interventions != (Zero(),):
            raise ValueError(
                f"the unit {unit!r} changes the model's structure and no values: leave `interventions` out"
            )
        if by in ("top", "bottom") and not kind.scores:
            raise ValueError(f"`select.by: {by}` needs units with weights, not {unit!r}")
        if kind.acts_by == "readout" and (by != "each" or self.control is not None or not self.target.pool):
            raise ValueError(
                "the unit 'readout' reads one layer after the other: write `select: {by: each}`, and leave `control` "
                "and `pool: false` out"
            )
        self._fits_activations()
        score = getattr(self.select, "score", None)
        if score is not None and score not in kind.scores:
            having = " and ".join(row.plural for row in UNITS.values() if score in row.scores)
            raise ValueError(f"`score: {score}` is defined for {having}, not for the unit {unit!r}")
        return self

    def _fits_activations(self) -> None:
        """Refuse interventions on activations that do not fit the ablation's target, selection or control."""
        acting = [is_activation(item) for item in self.interventions]
        if not any(acting):
            return
        unit = self.target.unit
        acts_on = unit_kind(unit).activation
        if acts_on is None:
            known = ", ".join(row.name for row in UNITS.values() if row.activation)
            raise ValueError(
                f"`interventions` in activation space are for {known}; the unit {unit!r} has weights only"
            )
        if acts_on == "rows" and not all(acting):
            raise ValueError(
                f"weights of {unit_kind(unit).plural} are rows of an embedding, their activations enter decoder "
                "layers: make one ablation for each `space`"
            )
        if acts_on == "rows" and self.select.by in ("top", "bottom"):
            raise ValueError(
                f"`select.by: {self.select.by}` needs units with weights, not activations of {unit_kind(unit).plural}"
            )
        if getattr(self.target, "part", "output") != "output":
            raise ValueError("`target.part` must be output for interventions in activation space")
        if self.control is not None and self.control.match == "parameters":
            raise ValueError(
                "`control.match: parameters` draws single weights, which have no activation: match units"
            )
        if acts_on == "whole" and any(getattr(item, "kind", "") == "optimal" for item in self.interventions):
            raise ValueError(
                f"`kind: optimal` is fitted for heads, neurons, channels or queries, not {unit!r}"
            )


class DetectorSpec(Spec):
    """The detector, named by the adapter that opens it."""

    adapter: str = Field(description="Name of an entry point in the group dissect.detectors, such as mmdet.")
    options: dict[str, Any] = Field(
        default_factory=dict,
        description="Options of the adapter: for mmdet checkpoint, config, ...; relative paths start from the folder "
        "in which the study is run. Options that may run code (config, trust) count only with --trust (trust=True).",
    )


class ReferenceSpec(Spec):
    """Images over which activations are averaged, units are scored by gradients, and optimal constants are fitted."""

    images: int = Field(
        default=32, ge=1, description="How many of the study's images, drawn once with its seed."
    )


class StudySpec(Spec):
    """A study: a detector, and the questions asked about it.

    Examples
    --------
    >>> spec = StudySpec.model_validate({"name": "heads", "ablations": []})
    Traceback (most recent call last):
    pydantic_core._pydantic_core.ValidationError: 1 validation error for StudySpec...
    """

    schema_version: Literal[1] = Field(
        default=1, description="Version of this format; a newer version needs a newer Deep Dissect."
    )
    name: str = Field(min_length=1, max_length=200, description="Title, for reports.")
    description: str = Field(default="", description="Remarks on the study; they change nothing.")
    seed: int = Field(default=0, ge=0, description="Seed of every random draw in the study.")
    detector: DetectorSpec | None = Field(
        default=None, description="The detector; left out, it is given when the study is run."
    )
    reference: ReferenceSpec = Field(
        default=ReferenceSpec(),
        description="Images for means and samples of activations, scores by gradients, and optimal constants.",
    )
    ablations: tuple[Ablation, ...] = Field(
        min_length=1, description="The questions, each a sweep of variants."
    )
    max_variants: int = Field(
        default=10_000,
        ge=1,
        le=1_000_000,
        description="Refuse to plan more variants than this: a guard against studies that are far too large.",
    )
    execution: Execution = Field(
        default=LocalExecution(),
        description="Where the study is computed. Another engine may continue it: this is no part of its identity.",
    )

    @property
    def identity(self) -> dict[str, Any]:
        """The fields that must not change when a study is continued, as plain data.

        `execution` and `detector` are left out: a detector is identified by its weights and config, not by their paths.
        """
        return self.model_dump(mode="json", exclude={"execution", "detector"})

    @model_validator(mode="after")
    def _names_differ(self) -> "StudySpec":
        names = [ablation.name for ablation in self.ablations]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(
                f"`name` must be unique among the ablations, got {', '.join(repeated)} more than once"
            )
        return self
