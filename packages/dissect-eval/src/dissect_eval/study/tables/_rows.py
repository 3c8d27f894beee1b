"""Lay out the numbers of a study as rows of its tables."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..measuring import StudyResults
from ._files import pyarrow

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["class_table", "error_rows", "summary_rows"]

_OF_THE_PLAN = (
    "id",
    "ablation",
    "kind",
    "unit",
    "intervention",
    "space",
    "n_units",
    "n_available",
    "dose",
    "repeat",
    "control_of",
    "n_parameters",
    "share",
    "masked",
    "changed",
    "output_change",
    "flops_saved",
    "no_op",
    "n_detections",
    "n_not_finite",
    "n_negative",
    "n_degenerate",
    "removed",
)
"""Columns of `summary_rows` besides metrics: what the plan says of a variant, and what it changed."""


def summary_rows(results: StudyResults) -> list[dict[str, Any]]:
    """Return a row for each variant: what it is, then each metric with its paired difference from the baseline."""
    overall = {(row.variant, row.metric): row for row in results.table.select(category_id=None)}
    rows = []
    for variant in results.variants:
        out = {name: variant.get(name) for name in _OF_THE_PLAN}
        for metric in results.settings.metrics:
            row = overall[variant["id"], metric]
            out[metric] = row.value
            out[f"{metric}_difference"] = row.difference
            out[f"{metric}_low"], out[f"{metric}_high"] = row.low, row.high
            out[f"{metric}_p"] = row.p_adjusted
            if (metric, None) in results.noise:
                out[f"{metric}_noise"] = results.noise[metric, None]
            if metric in results.chance[variant["id"]]:
                out[f"{metric}_chance"] = results.chance[variant["id"]][metric]
        out["baseline_at_chance"] = results.better_than_chance.at_chance
        rows.append(out)
    return rows


def class_table(results: StudyResults) -> pa.Table:
    """Return the table of single classes, with a row for each variant, class and metric; it may be large."""
    names = ("variant", "category_id", "category", "metric", "value", "baseline", "difference", "low", "high")
    rows = [row for row in results.table if row.category_id is not None]
    columns = {name: [getattr(row, name) for row in rows] for name in names}
    still = {row["id"] for row in results.variants if row["no_op"]}
    p_values, no_op = [row.p_adjusted for row in rows], [row.variant in still for row in rows]
    noise = (
        [results.noise.get((row.metric, row.category_id), math.nan) for row in rows] if results.noise else []
    )
    return pyarrow().table({**columns, **({"noise": noise} if noise else {}), "p": p_values, "no_op": no_op})


def error_rows(results: StudyResults) -> list[dict[str, Any]]:
    """Return a row for each variant: errors of each type, and the AP that fixing them gains, or why it is undefined."""
    still = {row["id"] for row in results.variants if row["no_op"]}
    return [
        {
            "variant": name,
            "no_op": name in still,
            "ap": found.ap,
            **{f"n_{kind}": count for kind, count in found.counts.items()},
            **{f"d_{kind}": change for kind, change in found.delta_ap.items()},
            "undefined": _why_undefined(found.undefined),
        }
        for name, found in results.errors.items()
    ]


def _why_undefined(reasons: Mapping[str, str]) -> str:
    """Return a text on why changes of AP are undefined: each reason once, after the error types that it is for."""
    kinds: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        if name.startswith("delta_ap."):
            kinds.setdefault(reason, []).append(name.removeprefix("delta_ap."))
    return "; ".join(f"{', '.join(names)}: {reason}" for reason, names in kinds.items())
