"""One picture of the study: the losses of single parts, and of growing shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from dissect_core.plan import Variant
from dissect_eval import VariantTable

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
MARKERS = ("o", "s", "^", "D")


def draw(variants: Sequence[Variant], labels: Mapping[str, str], table: VariantTable) -> Figure:
    """Draw parts that were removed one at a time on the left, sweeps over doses on the right."""
    groups: dict[str, list[Variant]] = {}
    for variant in variants:
        groups.setdefault(variant.ablation, []).append(variant)
    baseline = groups.pop("baseline")[0]
    sweeps = {name: group for name, group in groups.items() if len({v.dose for v in group}) > 1}
    figure = Figure(figsize=(11, 6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
    _single_parts(left, {name: groups[name] for name in groups if name not in sweeps}, labels, table)
    _sweeps(right, baseline, sweeps, table)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(True, axis="x" if axes is left else "y", color="#DDDDDD", linewidth=0.8)
        axes.set_axisbelow(True)
    return figure


def _single_parts(
    axes: Axes, groups: Mapping[str, Sequence[Variant]], labels: Mapping[str, str], table: VariantTable
) -> None:
    rows = {row.variant: row for row in table.select(metric="AP50")}
    ticks, names, at = [], [], 0.0
    for number, (name, group) in enumerate(groups.items()):
        found = [rows[variant.id] for variant in group]
        places = at + np.arange(len(group))
        reach = [[r.difference - r.low for r in found], [r.high - r.difference for r in found]]
        axes.errorbar(
            [r.difference for r in found],
            places,
            xerr=np.maximum(reach, 0),
            fmt=MARKERS[number],
            color=COLOURS[number],
            markersize=5,
            linewidth=1.5,
            label=name,
        )
        ticks += places.tolist()
        names += [labels[variant.id] for variant in group]
        at = ticks[-1] + 1.8
    axes.axvline(0, color="#555555", linestyle="--", linewidth=1.2)
    axes.set_yticks(ticks, names, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("Change of AP50, with its paired 95 % interval")
    axes.set_title("One part removed")
    axes.legend(frameon=False, loc="upper left")


def _sweeps(
    axes: Axes, baseline: Variant, groups: Mapping[str, Sequence[Variant]], table: VariantTable
) -> None:
    values = {row.variant: row.value for row in table.select(metric="AP50")}
    whole = values[baseline.id]
    axes.axhline(whole, color="#555555", linestyle="--", linewidth=1.2, label="whole model")
    for number, (name, group) in enumerate(groups.items()):
        style: dict[str, Any] = {"color": COLOURS[number], "marker": MARKERS[number]}
        doses = sorted({variant.dose for variant in group})
        means = [float(np.mean([values[v.id] for v in group if v.dose == dose])) for dose in doses]
        axes.plot([0, *doses], [whole, *means], linewidth=2, markersize=6, label=name, **style)
        draws = np.array([(v.dose, values[v.id]) for v in group])
        axes.plot(draws[:, 0], draws[:, 1], linestyle="none", markersize=3, alpha=0.45, **style)
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_formatter(PercentFormatter(xmax=1))
    axes.set_xlabel("Dose (share of units removed)")
    axes.set_ylabel("AP50")
    axes.set_title("Growing shares, three draws each")
    axes.legend(frameon=False)
