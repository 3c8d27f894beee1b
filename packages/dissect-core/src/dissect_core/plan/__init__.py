"""Plans: every variant of a study on one model, worked out without torch."""

from ._plan import Plan, PlanCost, PlanRow
from .apply import apply
from .build import n_variants, plan
from .choices import Scores
from .places import pool_of
from .pool import Place, Pool
from .reference import reference_images
from .scores import scores_needed, weight_norms
from .variant import Chosen, Drawn, Variant, Whole, baseline_again

__all__ = [
    "Chosen",
    "Drawn",
    "Place",
    "Plan",
    "PlanCost",
    "PlanRow",
    "Pool",
    "Scores",
    "Variant",
    "Whole",
    "apply",
    "baseline_again",
    "n_variants",
    "plan",
    "pool_of",
    "reference_images",
    "scores_needed",
    "weight_norms",
]
