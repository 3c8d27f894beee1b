"""What the demo shows: a table beside the baseline, dose-response curves, and the raw numbers."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from dissect_eval.plot import Curve, dose_response_grid
from rich.table import Table

from ._files import DEMO_DETECTORS
from ._study import Measurement, Outcome

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Report: TypeAlias = dict[str, list[Outcome]]

METRICS: tuple[tuple[str, Callable[[Measurement], float]], ...] = (
    ("AP50", lambda m: m.ap50),
    ("F1", lambda m: m.f1),
    ("GIoU (matched)", lambda m: m.mean_giou),
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
    doses = sorted({outcome.dose for outcomes in report.values() for outcome in outcomes})
    result = Table(title="What is left when a share of the units is removed (mean over draws)", title_justify="left")
    for heading in ("detector", "removed", "metric"):
        result.add_column(heading)
    for dose in doses:
        result.add_column("baseline" if dose == 0 else f"{dose:.0%}", justify="right")
    for name, outcomes in report.items():
        for t, target in enumerate(targets_of(outcomes)):
            groups = by_dose(outcomes, target)
            for m, (label, metric) in enumerate(METRICS):
                cells = [_cell(groups.get(dose, []), metric) for dose in doses]
                lead = DEMO_DETECTORS[name] if t == m == 0 else ""
                last = m == len(METRICS) - 1
                result.add_row(lead, target if m == 0 else "", label, *cells, end_section=last)
    return result


def _cell(outcomes: Sequence[Outcome], metric: Callable[[Measurement], float]) -> str:
    values = [metric(outcome.measurement) for outcome in outcomes]
    defined = [value for value in values if not np.isnan(value)]
    no_op = any(outcome.dose > 0 and outcome.n_changed == 0 for outcome in outcomes)
    return ("–" if not defined else f"{np.mean(defined):.3f}") + ("*" if no_op else "")


def figure(report: Report) -> Figure:
    """Dose-response curves: a column for each detector, AP50 above, GIoU of `matched` mode below."""
    panels: dict[str, dict[str, Curve]] = {}
    for label, metric in (METRICS[0], METRICS[2]):
        for name, outcomes in report.items():
            curves = {}
            for target in targets_of(outcomes):
                groups = by_dose(outcomes, target)
                repeats = [[metric(outcome.measurement) for outcome in group] for group in groups.values()]
                curves[target] = Curve(doses=list(groups), repeats=repeats)
            panels[f"{DEMO_DETECTORS[name]}: {label}"] = curves
    return dose_response_grid(panels, columns=len(report), metric_label="", dose_label="share of units removed")


def write_results(report: Report, folder: Path) -> list[Path]:
    """Write ``results.csv`` and ``results.json``, each whole or not at all."""
    rows = [
        {"detector": name, **{k: v for k, v in asdict(outcome).items() if k != "measurement"}}
        | asdict(outcome.measurement)
        for name, outcomes in report.items()
        for outcome in outcomes
    ]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    plain = [{k: None if isinstance(v, float) and np.isnan(v) else v for k, v in row.items()} for row in rows]
    contents = {"results.csv": text.getvalue(), "results.json": json.dumps(plain, indent=2)}
    written = []
    for name, content in contents.items():
        scratch = folder / f".{name}.part"
        scratch.write_text(content, encoding="utf-8", newline="")
        os.replace(scratch, folder / name)
        written.append(folder / name)
    return written
