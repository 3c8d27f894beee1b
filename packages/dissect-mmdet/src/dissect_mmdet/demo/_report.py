"""What the demo shows: a table beside the baseline, dose-response curves, and the raw numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from dissect_eval.plots import Curve, dose_response_grid
from dissect_eval.study import DEFAULT_METRIC

from ..bundled import DEMO_DETECTORS
from ._study import SCORE_THRESHOLD, Measurement, Outcome

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CAPTION = (
    f"F1 counts detections of score ≥ {SCORE_THRESHOLD}: it can rise when an ablation silences false positives. "
    "GIoU is that of matched mode, blind to class, score and false positives: read it against chance, the GIoU of as "
    "many random boxes. Draws are over all units of a kind, in all layers."
)

STAR = " *: a draw changed no detection on any image, which is no robustness."

Report: TypeAlias = dict[str, list[Outcome]]

METRICS: tuple[tuple[str, Callable[[Measurement], float]], ...] = (
    (DEFAULT_METRIC, lambda m: m.ap),
    ("F1", lambda m: m.f1),
    ("matched GIoU", lambda m: m.mean_giou),
)


def by_dose(outcomes: Sequence[Outcome], target: str) -> dict[float, list[Outcome]]:
    """The outcomes of a target for each dose, rising from the control (dose 0, the baseline)."""
    groups: dict[float, list[Outcome]] = {}
    for outcome in outcomes:
        if outcome.target in ("baseline", target):
            groups.setdefault(outcome.dose, []).append(outcome)
    return dict(sorted(groups.items()))


def targets_of(outcomes: Sequence[Outcome]) -> list[str]:
    """Names of the targets, in the order of the study."""
    return list(dict.fromkeys(outcome.target for outcome in outcomes if outcome.target != "baseline"))


def table(report: Report) -> Table:
    """Mean of each metric at each dose, the baseline first; a star marks a variant that changed nothing."""
    n_draws = 1 + max(outcome.repeat for outcomes in report.values() for outcome in outcomes)
    draws = "one random draw each" if n_draws == 1 else f"mean of {n_draws} random draws"
    doses = sorted({outcome.dose for outcomes in report.values() for outcome in outcomes})
    result = Table(
        title=f"What is left when a share of the units is removed ({draws})",
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        caption=CAPTION + (STAR if any(one.is_no_op for each in report.values() for one in each) else ""),
        caption_justify="left",
    )
    result.add_column("removed", no_wrap=True)
    result.add_column("metric", no_wrap=True)
    for dose in doses:
        result.add_column("baseline" if dose == 0 else f"{dose:.0%}", justify="right", no_wrap=True)
    for name, outcomes in report.items():
        chance = outcomes[0].measurement.chance_giou
        result.add_row(Text(DEMO_DETECTORS[name], style="bold"), "chance", f"{chance:.3f}")
        for target in targets_of(outcomes):
            groups = by_dose(outcomes, target)
            for m, (label, metric) in enumerate(METRICS):
                cells = [_cell(groups.get(dose, []), metric) for dose in doses]
                result.add_row(f"  {target}" if m == 0 else "", label.removeprefix("matched "), *cells)
        result.add_section()
    return result


def _cell(outcomes: Sequence[Outcome], metric: Callable[[Measurement], float]) -> str:
    values = [metric(outcome.measurement) for outcome in outcomes]
    defined = [value for value in values if not np.isnan(value)]
    no_op = any(outcome.is_no_op for outcome in outcomes)
    return ("–" if not defined else f"{np.mean(defined):.3f}") + ("*" if no_op else "")


def figure(report: Report, metric_label: str) -> Figure:
    """Dose-response curves of one metric, a panel for each detector; small marks are single draws.

    Parameters
    ----------
    report : dict of str to list of Outcome
    metric_label : str
        One of the names in `METRICS`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    metric = dict(METRICS)[metric_label]
    panels: dict[str, dict[str, Curve]] = {}
    baselines: dict[str, float] = {}
    chance: dict[str, float] = {}
    for name, outcomes in report.items():
        title = DEMO_DETECTORS[name]
        still = {outcome.target for outcome in outcomes if outcome.is_no_op}
        panels[title] = {
            f"{target} (some draws changed nothing)" if target in still else target: _curve(
                by_dose(outcomes, target), metric
            )
            for target in targets_of(outcomes)
        }
        baselines[title] = metric(outcomes[0].measurement)
        if metric_label == "matched GIoU":
            chance[title] = outcomes[0].measurement.chance_giou
    return dose_response_grid(panels, metric_label=metric_label, baselines=baselines, chance=chance)


def _curve(groups: dict[float, list[Outcome]], metric: Callable[[Measurement], float]) -> Curve:
    """Mean over the draws at each dose, with the draws beside it."""
    n_draws = max(len(group) for group in groups.values())
    points = np.full((len(groups), n_draws), np.nan)
    for row, group in enumerate(groups.values()):
        points[row, : len(group)] = [metric(outcome.measurement) for outcome in group]
    means = [row[~np.isnan(row)].mean() if (~np.isnan(row)).any() else np.nan for row in points]
    return Curve(doses=list(groups), values=means, points=points)
