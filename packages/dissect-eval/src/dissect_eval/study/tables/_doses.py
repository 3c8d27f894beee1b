"""Dose–response as a table: the mean of each metric where a share of a target's units is removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...statistics import summarize_repeats
from ._groups import Row, groups_of

__all__ = ["DOSE_COLUMNS", "dose_rows"]

DOSE_COLUMNS = (
    "target",
    "ablation",
    "block",
    "kind",
    "intervention",
    "dose",
    "random_draws",
    "metric",
    "n",
    "mean",
    "standard_deviation",
    "low",
    "high",
)


def dose_rows(
    summary: Sequence[Row], metrics: Sequence[str], selections: Mapping[str, str], confidence: float = 0.95
) -> list[dict[str, Any]]:
    """Return a row for each target, intervention, dose and metric: the mean over its variants, with an interval.

    Parameters
    ----------
    summary : sequence of mapping
        A row for each variant, the baseline first, see `StudyTables.summary`.
    metrics : sequence of str
        Metrics that `summary` has values of.
    selections : mapping of str to str
        How each ablation selects units, by its name.
    confidence : float
        Coverage of the intervals.

    Returns
    -------
    list of dict
        `target` is the ablation, with the block where the ablation takes each block apart; `n` is the number of
        variants in which the metric is defined. `low` and `high` are the t interval of the mean (NaN below two values),
        which covers random draws only where `random_draws` is true: elsewhere the variants are of different units. The
        first row of each metric is the baseline, at dose 0.

    Examples
    --------
    >>> whole = {"id": "baseline", "ablation": "", "kind": "baseline", "unit": "", "intervention": "", "dose": 0.0}
    >>> half = {**whole, "ablation": "heads", "kind": "ablation", "unit": "head", "intervention": "zero", "dose": 0.5}
    >>> rows = [{**whole, "AP": 0.4}, *({**half, "id": f"heads/{i}", "AP": 0.1 * i} for i in (1, 2))]
    >>> [(row["target"], row["dose"], row["n"], round(row["mean"], 2)) for row in dose_rows(rows, ["AP"], {})]
    [('baseline', 0.0, 1, 0.4), ('heads', 0.5, 2, 0.15)]
    """
    rows: list[dict[str, Any]] = []
    if summary:
        about = ("baseline", "", "", "baseline", "", 0.0, False)
        rows += [_row(about, metric, summary[:1], confidence) for metric in metrics]
    for group in groups_of(summary, selections):
        about = (
            group.question,
            group.ablation,
            group.block,
            group.kind,
            group.intervention,
            group.dose,
            group.are_draws,
        )
        rows += [_row(about, metric, group.rows, confidence) for metric in metrics]
    return rows


def _row(about: tuple[Any, ...], metric: str, variants: Sequence[Row], confidence: float) -> dict[str, Any]:
    found = summarize_repeats([row[metric] for row in variants], confidence)
    numbers = (metric, found.n, found.mean, found.standard_deviation, found.low, found.high)
    return dict(zip(DOSE_COLUMNS, (*about, *numbers), strict=True))
