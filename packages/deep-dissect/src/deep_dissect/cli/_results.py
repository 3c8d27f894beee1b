"""A study's numbers on the terminal."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Column, Table

from dissect_core.text import cut
from dissect_eval.study import DEFAULT_METRIC, StudyResults, counted, summary_rows, widened, with_no_ops

from ..report import counted_variants, say_nothing
from ._console import Console, lines_of, print_whole

SHOWN = (DEFAULT_METRIC, "AP50", "f1", "matched_giou")
TITLES = {"f1": "F1", "matched_giou": "GIoU"}
ROWS_AT_MOST = 40
WORST = 5


def print_summary(console: Console, results: StudyResults) -> None:
    """Print a line for each selection of each ablation: the metrics that are left, and the interval of the loss."""
    metrics = [name for name in SHOWN if name in results.settings.metrics]
    rows = summary_rows(results)
    baseline = rows[0]
    if results.missing_weights:
        console.print(f"warning: {results.missing_weights}", markup=False)
    console.print(
        f"{cut(results.study.spec.name)}: {counted_variants(rows)}, {counted(results.truth.n_images, 'image')}, "
        f"{counted(results.truth.n_boxes, 'object')}",
        markup=False,
    )
    if at_chance := results.better_than_chance.text:
        console.print(f"warning: {at_chance}", markup=False)
    table = Table(
        Column("ablation", no_wrap=True),
        Column("dose", justify="right", no_wrap=True),
        Column("n", justify="right", no_wrap=True),
        Column(lines_of("output\nchange"), justify="right", no_wrap=True),
        *(Column(TITLES.get(name, name), justify="right", no_wrap=True) for name in metrics),
        Column(f"change of {TITLES.get(metrics[0], metrics[0])}", justify="right", no_wrap=True),
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    table.add_row("baseline", "", "", "", *(number(baseline[m]) for m in metrics), "")
    table.add_row(
        "chance", "", "", "", *(number(baseline.get(f"{m}_chance")) for m in metrics), "", end_section=True
    )
    groups = _groups(rows)
    for members in list(groups.values())[:ROWS_AT_MOST]:
        first = members[0]
        changes = [row["output_change"] for row in members if math.isfinite(row["output_change"])]
        table.add_row(
            with_no_ops(_name(first, rows), members),
            f"{first['dose']:.0%}" if first["dose"] >= 0.01 else f"{first['dose']:.2%}",
            str(len(members)),
            f"{np.mean(changes):.0%}" if changes else "–",
            *(
                number(np.nanmean([row[m] for row in members]) if _any(members, m) else math.nan)
                for m in metrics
            ),
            _loss(members, metrics[0]),
        )
    print_whole(table)
    if not at_chance:  # a baseline at chance has nothing to lose
        _print_worst(console, rows, metrics[0], results.settings.confidence)
        _print_pairs(console, results, metrics[0])
    if len(groups) > ROWS_AT_MOST:
        console.print(f"… and {len(groups) - ROWS_AT_MOST} more lines in repeats.csv")
    for text in _remarks(results, rows):
        console.print(text, markup=False)


def _name(row: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    """Return the name of a line: the ablation, with its intervention where the study has several."""
    name = cut(str(row["ablation"])) + (", random control" if row["kind"] == "control" else "")
    return (
        name
        if len({other["intervention"] for other in rows[1:]}) == 1
        else f"{name}: {cut(str(row['intervention']))}"
    )


def _print_worst(console: Console, rows: list[dict[str, Any]], metric: str, confidence: float) -> None:
    """Print the single variants that lose most, with intervals that hold for all variants together."""
    known = [
        row
        for row in rows[1:]
        if row["kind"] == "ablation" and not row["no_op"] and math.isfinite(row[f"{metric}_difference"])
    ]
    worst = sorted(known, key=lambda row: row[f"{metric}_difference"])[:WORST]
    worst = [row for row in worst if row[f"{metric}_difference"] < 0]
    if len(known) > WORST and worst:
        has_intervals = math.isfinite(worst[0][f"{metric}_low"])
        together = f", with intervals for all {len(known):,} together" if has_intervals else ""
        console.print(f"largest losses of {TITLES.get(metric, metric)}, chosen on the same images{together}:")
        for row in worst:
            change, *ends = (row[f"{metric}_{end}"] for end in ("difference", "low", "high"))
            low, high = widened(change, ends[0], ends[1], len(known), confidence)
            wide = {**row, f"{metric}_low": low, f"{metric}_high": high}
            p = row[f"{metric}_p"]
            text = f", p {p:.2g}" if math.isfinite(p) else ""
            console.print(f"  {_loss([wide], metric)}{text}  {cut(row['id'])}", markup=False)


def _print_pairs(console: Console, results: StudyResults, metric: str) -> None:
    """Print the pairs that cost most beyond the sum of the losses of their two units."""
    known = [row for row in results.interactions if math.isfinite(row[f"{metric}_beyond"])]
    most = sorted(known, key=lambda row: -row[f"{metric}_beyond"])[:WORST]
    most = [row for row in most if row[f"{metric}_beyond"] > 0]
    if not known:
        return
    name = TITLES.get(metric, metric)
    if not most:
        console.print(f"{len(known):,} pairs; none loses more {name} than the sum of both single losses")
        return
    has_intervals = math.isfinite(most[0][f"{metric}_beyond_low"])
    alone = " (the interval is that of each for itself)" if has_intervals else ""
    console.print(
        f"{len(known):,} pairs; those that lose most {name} beyond the sum of both single losses{alone}:"
    )
    for row in most:
        low, high = row[f"{metric}_beyond_low"], row[f"{metric}_beyond_high"]
        text = f" [{low:+.3f}, {high:+.3f}]" if math.isfinite(low) else ""
        alone = f"{row[f'{metric}_loss_first']:.3f} and {row[f'{metric}_loss_second']:.3f} alone"
        both = f"{row[f'{metric}_loss']:.3f} together, {alone}"
        console.print(f"  {row[f'{metric}_beyond']:+.3f}{text}  {cut(row['variant'])}: {both}", markup=False)


def _groups(rows: list[dict[str, Any]]) -> dict[tuple[Any, ...], list[dict[str, Any]]]:
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        if row["kind"] not in ("ablation", "control"):
            continue
        key = (row["ablation"], row["kind"], row["intervention"], row["dose"])
        groups.setdefault(key, []).append(row)
    return groups


def _any(rows: list[dict[str, Any]], metric: str) -> bool:
    return any(math.isfinite(row[metric]) for row in rows)


def _loss(members: list[dict[str, Any]], metric: str) -> str:
    """Return the difference from the baseline: with its interval for one variant, else the range over all."""
    differences = [row[f"{metric}_difference"] for row in members]
    if not any(map(math.isfinite, differences)):
        return "–"
    if len(members) > 1:
        low, high = np.nanmin(differences), np.nanmax(differences)
        return f"{low:+.3f} to {high:+.3f}"
    row = members[0]
    if not math.isfinite(row[f"{metric}_low"]):
        return f"{differences[0]:+.3f}"
    return f"{differences[0]:+.3f} [{row[f'{metric}_low']:+.3f}, {row[f'{metric}_high']:+.3f}]"


def _remarks(results: StudyResults, rows: list[dict[str, Any]]) -> list[str]:
    """Return the notes that must stand beside the numbers."""
    remarks = []
    still = [row for row in rows if row["no_op"]]
    if still:
        remarks.append(f"note: {say_nothing(still)}")
    if results.n_bad_images:
        remarks.append(
            f"note: images that are left out everywhere: {results.n_bad_images}; they could not be read, have another "
            "size than annotated, or the model failed on them; see log.jsonl"
        )
    remarks += [f"note: {text}" for text in results.notes]
    return remarks


def number(value: float | None, *, signed: bool = False) -> str:
    """Return three decimals; a dash for what is undefined."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:+.3f}" if signed else f"{value:.3f}"
