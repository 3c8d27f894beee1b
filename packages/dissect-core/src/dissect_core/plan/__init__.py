"""Plans: every variant of a study on one model, worked out without torch."""

from ._build import n_variants, plan
from ._choices import Scores
from ._plan import Plan, PlanCost, PlanRow
from ._pool import Pool, PoolPart
from ._resolve import ablation_pool, pool_of
from ._scores import reference_images, scores_needed, unit_sums, weight_norms
from ._variant import Chosen, Drawn, Variant, Whole, apply, baseline_again

__all__ = [
    "Chosen",
    "Drawn",
    "Plan",
    "PlanCost",
    "PlanRow",
    "Pool",
    "PoolPart",
    "Scores",
    "Variant",
    "Whole",
    "ablation_pool",
    "apply",
    "baseline_again",
    "n_variants",
    "plan",
    "pool_of",
    "reference_images",
    "scores_needed",
    "unit_sums",
    "weight_norms",
]
