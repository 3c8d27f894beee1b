"""Pictures of classes and of error types, from a study's tables."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from .._plot_classes import per_class_bars
from .._plot_errors import error_type_bars
from .._plot_heatmap import value_heatmap
from .._tide_fix import ERROR_TYPES, SPECIAL_TYPES
from ._named import FigureData, NamedFigure, short, title_of, with_no_ops
from ._tables import StudyTables

__all__ = ["class_bars", "class_map", "class_values", "error_bars", "variant_groups"]

_BACKGROUND = 0.1  # of `error_types`
ROWS_AT_MOST = 40
CLASSES_AT_MOST = 120
BARS_AT_MOST = 25
ABLATIONS_AT_MOST = 4


def class_map(
    tables: StudyTables, metric: str, *, show: Literal["difference", "ablated", "baseline"] = "difference"
) -> Iterator[NamedFigure]:
    """What each class has or loses, mean over the draws of each ablation and dose."""
    rows = tables.summary
    column = {"difference": "difference", "ablated": "value", "baseline": "baseline"}[show]
    by_id = class_values(tables, metric, column)
    every = list(dict.fromkeys(category for _, category in by_id))
    names = every[:CLASSES_AT_MOST]
    groups = {name: ids for name, ids in variant_groups(rows).items() if ids}
    if not names or not groups:
        return
    shown = dict(list(groups.items())[:ROWS_AT_MOST])
    values = [[_mean([by_id[one, name] for one in ids]) for name in names] for ids in shown.values()]
    label = f"change of {title_of(metric)}" if show == "difference" else f"{title_of(metric)}, {show}"
    row_of = {row["id"]: row for row in rows}
    shown = {with_no_ops(name, [row_of[one] for one in ids]): ids for name, ids in shown.items()}
    figure = value_heatmap(values, list(shown), names, value_label=label, diverging=show == "difference")
    what = f"Change of {title_of(metric)}" if show == "difference" else f"{title_of(metric)} ({show})"
    loss = " Orange is a loss." if show == "difference" else ""
    cut = [f"{len(names)} of {len(every):,} classes"] if len(names) < len(every) else []
    cut += [f"{len(shown)} of {len(groups):,} doses"] if len(shown) < len(groups) else []
    only = f" The first {' and '.join(cut)}." if cut else ""
    table = tuple((name, *cells) for name, cells in zip(shown, values, strict=True))
    data = FigureData(("ablation and dose", *names), table)
    yield NamedFigure("classes", f"{what} of each class, mean over draws.{loss}{only}", figure, data)


def class_bars(tables: StudyTables, metric: str, variant: str) -> Iterator[NamedFigure]:
    """What one variant leaves of each class beside the baseline, the classes that lose most first."""
    before, after = (
        {
            category: value
            for (one, category), value in class_values(tables, metric, column).items()
            if one == variant
        }
        for column in ("baseline", "value")
    )
    losses = {name: after[name] - before[name] for name in after}
    known = sorted((name for name in losses if math.isfinite(losses[name])), key=lambda name: losses[name])
    if not known:
        return
    names = known[:BARS_AT_MOST]
    label = title_of(metric)
    figure = per_class_bars(
        {side: {name: of[name] for name in names} for side, of in (("baseline", before), ("ablated", after))},
        metric_label=label,
    )
    cut = f" {len(names)} of {len(known):,} classes." if len(names) < len(known) else ""
    data = FigureData(
        ("class", "baseline", "ablated", "change"),
        tuple((name, before[name], after[name], losses[name]) for name in names),
    )
    yield NamedFigure(
        "class-bars",
        f"{label} of each class with and without {variant}, the largest loss first.{cut}",
        figure,
        data,
    )


def class_values(
    tables: StudyTables, metric: str, column: str = "difference"
) -> dict[tuple[str, str], float]:
    """A column of the classes' table for one metric, by variant and class."""
    import pyarrow.compute as pc

    chosen = tables.per_class.filter(pc.equal(tables.per_class["metric"], metric))
    keys = zip(*(chosen[name].to_pylist() for name in ("variant", "category")), strict=True)
    return dict(zip(keys, chosen[column].to_numpy().tolist(), strict=True))


def variant_groups(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Ids of the variants of each ablation, intervention and dose, by a name for people; controls are left out."""
    several = len({row["intervention"] for row in rows[1:]}) > 1
    groups: dict[str, list[str]] = {}
    for row in rows[1:]:
        if row["kind"] == "ablation":
            dose = f"{row['dose']:.0%}" if row["dose"] >= 0.01 else f"{row['dose']:.1%}"
            what = f", {row['intervention']}" if several else ""
            groups.setdefault(f"{row['ablation']}{what}, {dose}", []).append(row["id"])
    return groups


class _Errors(NamedTuple):
    """What mending each type of error would give, as it stands in a table."""

    foreground: float
    background: float
    delta_ap: Mapping[str, float]


def error_bars(tables: StudyTables, metric: str) -> Iterator[NamedFigure]:
    """Error types of the baseline, and of the variant that loses most in each ablation."""
    rows = tables.summary
    foreground = float(tables.about["settings"].get("iou_threshold", 0.5))
    errors = {
        row["variant"]: _Errors(
            foreground,
            _BACKGROUND,
            {kind: row.get(f"d_{kind}", math.nan) for kind in (*ERROR_TYPES, *SPECIAL_TYPES)},
        )
        for row in tables.errors
    }
    chosen = {"baseline": errors[rows[0]["id"]]}
    ablations = list(dict.fromkeys(row["ablation"] for row in rows[1:]))
    for ablation in ablations[:ABLATIONS_AT_MOST]:
        members = [
            r
            for r in rows
            if r["ablation"] == ablation and not r.get("no_op") and math.isfinite(r[f"{metric}_difference"])
        ]
        if members and not tables.at_chance:
            worst = min(members, key=lambda r: r[f"{metric}_difference"])
            chosen[short(ablation, 24)] = errors[worst["id"]]
    cut = (
        f" The first {ABLATIONS_AT_MOST} of {len(ablations)} ablations."
        if len(ablations) > ABLATIONS_AT_MOST
        else ""
    )
    data = FigureData(
        ("type of error", *chosen),
        tuple(
            (kind, *(one.delta_ap[kind] for one in chosen.values()))
            for kind in (*ERROR_TYPES, *SPECIAL_TYPES)
        ),
    )
    yield NamedFigure(
        "errors",
        "AP that mending each type of error (TIDE) would give: baseline, and the variant of each ablation that loses "
        f"most.{cut}",
        error_type_bars(chosen),
        data,
    )


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return sum(known) / len(known) if known else math.nan
