"""Two studies side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import StudyDataError
from ..measuring import DEFAULT_METRIC, StudyResults
from ._rows import summary_rows


@dataclass(frozen=True)
class Comparison:
    """Two studies of the same variants, or of the same ablations of two detectors.

    Attributes
    ----------
    rows : tuple of dict
        A row for each variant where both studies have the same, else for each ablation, intervention and dose, without
        controls: `name`; `n`, how many variants; of each metric its change in the first study, in the second, and the
        difference of the two; `no_op_first` and `no_op_second`, how many variants changed nothing.
    by : {"variant", "dose"}
        What the rows are of.
    only_first, only_second : int
        Numbers of rows of each study that have no counterpart in the other.
    same : str
        Why the two are one study, so that all differences are 0; empty if they are not.
    at_chance : tuple of str
        Why the baseline of the first and of the second study is no better than chance; empty texts if they are.
    """

    rows: tuple[dict[str, Any], ...]
    by: str
    only_first: int
    only_second: int
    same: str = ""
    at_chance: tuple[str, str] = ("", "")


def compare(
    first: StudyResults, second: StudyResults, metrics: tuple[str, ...] = (DEFAULT_METRIC,)
) -> Comparison:
    """Compare the changes of metrics in two studies, each against its own baseline.

    Parameters
    ----------
    first, second : StudyResults
    metrics : tuple of str
        Metrics that both studies have.

    Raises
    ------
    StudyDataError
        If the studies have nothing in common, or a metric is not in both.
    """
    for metric in metrics:
        if metric not in first.settings.metrics or metric not in second.settings.metrics:
            raise StudyDataError(f"`metrics` must be metrics that both studies have, got {metric!r}.")
    rows_a, rows_b = summary_rows(first), summary_rows(second)
    by = "variant" if _ablated(rows_a) == _ablated(rows_b) else "dose"
    a, b = _grouped(rows_a, by, metrics), _grouped(rows_b, by, metrics)
    common = [name for name in a if name in b]
    if not common:
        raise StudyDataError(
            f"The studies {first.study.path} and {second.study.path} have nothing in common to compare: neither the "
            "same variants nor ablations of the same name, intervention and dose."
        )
    rows = []
    for name in common:
        row: dict[str, Any] = {"name": name, "n": f"{a[name]['n']}, {b[name]['n']}" if by == "dose" else "1"}
        row |= {"no_op_first": a[name]["no_op"], "no_op_second": b[name]["no_op"]}
        for metric in metrics:
            x, y = a[name][metric], b[name][metric]
            row |= {f"{metric}_first": x, f"{metric}_second": y, f"{metric}_change": y - x}
        rows.append(row)
    same = _why_same(first, second)
    at_chance = (first.better_than_chance.text, second.better_than_chance.text)
    return Comparison(tuple(rows), by, len(a) - len(common), len(b) - len(common), same, at_chance)


def _ablated(rows: list[dict[str, Any]]) -> set[str]:
    return {row["id"] for row in rows if row["kind"] == "ablation"}


def _why_same(first: StudyResults, second: StudyResults) -> str:
    """Say why two studies are one (same folder, or same spec, detector, images and numbers); return "" for two."""
    a, b = first.study, second.study
    if a.path == b.path or _resolved(a.path) == _resolved(b.path):
        return f"A and B are one study, {a.path}, compared with itself: every difference is 0."
    frozen = [one.environment.get("frozen") for one in (a, b)]
    if frozen[0] is None or frozen[0] != frozen[1] or not _same_numbers(first, second):
        return ""
    return (
        "A and B are one study in two folders, of the same spec, detector and images, with the same numbers: every "
        "difference is 0."
    )


def _same_numbers(first: StudyResults, second: StudyResults) -> bool:
    a, b = ({(r.variant, r.metric, r.category_id): r.value for r in one.table} for one in (first, second))
    return all(a[key] == b[key] or (math.isnan(a[key]) and math.isnan(b[key])) for key in a.keys() & b.keys())


def _resolved(path: object) -> object:
    return (
        path.resolve() if isinstance(path, Path) else path
    )  # in an object store there is nothing to resolve


def _grouped(rows: list[dict[str, Any]], by: str, metrics: tuple[str, ...]) -> dict[str, Mapping[str, Any]]:
    """Return the mean change of each metric, by the name of a variant or of an ablation at a dose."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if row["kind"] != "ablation":
            continue
        name = (
            row["id"] if by == "variant" else f"{row['ablation']}, {row['intervention']}, {row['dose']:.1%}"
        )
        groups.setdefault(name, []).append(row)
    return {
        name: {
            "n": len(members),
            "no_op": sum(bool(row["no_op"]) for row in members),
            **{m: _mean([row[f"{m}_difference"] for row in members]) for m in metrics},
        }
        for name, members in groups.items()
    }


def _mean(values: list[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return sum(known) / len(known) if known else math.nan
