"""Selections: which of a target's units a variant removes, and how many variants there are."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, model_validator

from ..edits import Spec
from ._fields import Counts, Fractions

Score: TypeAlias = Literal["weight_norm", "weight_gradient", "head_importance"]


class FractionSelection(Spec):
    """Random shares of the units, each drawn several times."""

    by: Literal["fraction"] = Field(description="How units are selected.")
    fractions: Fractions = Field(description="Doses, in [0, 1]; 0.05 is five percent.")
    repeats: int = Field(
        default=1, ge=1, description="Random draws at each dose; doses 0 and 1 leave nothing to draw."
    )
    rounding: Literal["floor", "nearest"] = Field(
        default="floor", description="How a share becomes a count; floor is the rule of Deep Dissect 1.0."
    )
    nested: bool = Field(
        default=True,
        description="Within one repeat a larger dose removes what a smaller one removes, and more.",
    )


class CountSelection(Spec):
    """Random sets of given sizes."""

    by: Literal["count"] = Field(description="How units are selected.")
    counts: Counts = Field(description="How many units to remove.")
    repeats: int = Field(default=1, ge=1, description="Random draws of each count.")
    nested: bool = Field(
        default=True, description="Within one repeat a larger set contains the smaller ones."
    )


class IndexSelection(Spec):
    """Given units, removed together."""

    by: Literal["indices"] = Field(description="How units are selected.")
    indices: Counts = Field(
        description="Units of the pool, from 0, in the order of the selected components or blocks."
    )


class PlainSelection(Spec):
    """Every unit alone (each), all but one (only), every pair (pairs), or all together (all)."""

    by: Literal["each", "only", "pairs", "all"] = Field(description="How units are selected.")


class CumulativeSelection(Spec):
    """All units of one part of the pool, then of two parts, and so on: layer after layer."""

    by: Literal["cumulative"] = Field(description="How units are selected.")
    order: Literal["forwards", "backwards"] = Field(
        default="forwards",
        description="Begin with the first component or block in the model's order, or with the last.",
    )


class RankSelection(Spec):
    """The units that score highest (top) or lowest (bottom)."""

    by: Literal["top", "bottom"] = Field(description="How units are selected.")
    score: Score = Field(
        description="weight_norm: L2 norm of a unit's weights; weight_gradient: sum of |w · dL/dw| on a few images; "
        "head_importance: |dL/d gate| of each head (Michel et al. 2019, arXiv:1905.10650)."
    )
    fractions: Fractions | None = Field(default=None, description="Shares of the units to remove.")
    counts: Counts | None = Field(default=None, description="Numbers of units to remove.")

    @model_validator(mode="after")
    def _one_of_both(self) -> "RankSelection":
        if (self.fractions is None) == (self.counts is None):
            raise ValueError("give either `fractions` or `counts`")
        return self


Selection: TypeAlias = Annotated[
    FractionSelection
    | CountSelection
    | IndexSelection
    | PlainSelection
    | CumulativeSelection
    | RankSelection,
    Field(discriminator="by"),
]


class Control(Spec):
    """Random sets as large as the set of each variant: they show what the removal of so much does by itself."""

    match: Literal["units", "parameters"] = Field(
        default="units", description="Draw as many units of the same kind, or as many single weights."
    )
    source: Literal["component", "anywhere"] = Field(
        default="component",
        description="Draw from the target's own components, or from anywhere in the model (single weights only).",
    )
    repeats: int = Field(default=1, ge=1, description="Random sets for each variant.")

    @model_validator(mode="after")
    def _anywhere_counts_weights(self) -> "Control":
        if self.source == "anywhere" and self.match == "units":
            raise ValueError(
                "`source: anywhere` needs `match: parameters`: units differ from component to component"
            )
        return self
