"""The demo: the shipped study ``demo`` of every bundled detector, by the pipeline that any other study takes.

What is shown here and nowhere else is the detectors side by side: one table, one picture a metric, one file of numbers.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from pyarrow.csv import write_csv
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from dissect_core.detectors import open_detector
from dissect_core.storage import claim_folder, write_bytes_whole
from dissect_eval.plots import Curve, dose_response_grid, figure_bytes

from .data import CocoSplit
from .errors import FrontDoorError
from .pipeline import Listener, RunOptions, StudySpec, load_spec, run_study
from .studies import shipped_studies
from .study import Results, Study

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["DETECTORS", "demo_figure", "demo_spec", "demo_table", "run_demo", "title_of", "write_demo"]

DETECTORS = ("detr", "deformable_detr", "dino")
"""Bundled detectors that are shown, unless others are asked for."""
DATA = "demo:scenes"
OPTIONS = RunOptions(batch_size=16, shard_images=64)
REPLICATES = 200
METRICS = {"AP": "AP", "f1": "F1", "matched_giou": "matched GIoU"}
"""What is shown, and how it is written."""
FIGURES = {"AP": "dose_response.png", "matched_giou": "dose_response_giou.png"}
CHANCE = "matched_giou_chance"
CAPTION = (
    "F1 counts detections of score ≥ 0.3: it can rise when an ablation silences false positives. "
    "GIoU is that of matched mode, blind to class, score and false positives: read it against chance, the GIoU of as "
    "many random boxes. Units are drawn from all layers together."
)
STAR = " *: a draw changed no detection on any image, which says nothing about robustness."
_ACRONYMS = ("detr", "dino")

Found = Mapping[str, Results]
"""Results by the names of the detectors."""
Rows = Sequence[Mapping[str, Any]]


def title_of(name: str) -> str:
    """Return the name of a bundled detector as it stands in a title.

    Examples
    --------
    >>> title_of("deformable_detr")
    'Deformable DETR'
    """
    return " ".join(word.upper() if word in _ACRONYMS else word.capitalize() for word in name.split("_"))


def demo_spec(repeats: int = 2, seed: int = 0) -> StudySpec:
    """Return the shipped study ``demo``, with another number of random draws at each dose, or another seed.

    Examples
    --------
    >>> [ablation.select.repeats for ablation in demo_spec(repeats=3).ablations]
    [3, 3, 3, 3]
    """
    content = load_spec(shipped_studies()["demo"]).model_dump(mode="json")
    content["seed"] = seed
    for ablation in content["ablations"]:
        ablation["select"]["repeats"] = repeats
    return load_spec(content)


def run_demo(
    names: Sequence[str] = DETECTORS,
    out: Path | str = "deep-dissect-demo",
    *,
    n_images: int = 48,
    repeats: int = 2,
    seed: int = 0,
    device: str = "cpu",
    listener: Listener | None = None,
) -> Iterator[Study]:
    """Run the demo's study of each detector, in a folder of its name.

    Parameters
    ----------
    names : sequence of str
        Bundled detectors.
    out : path
        New, empty, or the folder of an earlier demo, which goes on.
    n_images : int
        Images of ``demo:scenes``, from the first on.
    repeats : int
        Random draws at each dose below 1.
    seed : int
        Seed of the study; the images do not depend on it.
    device : str
        Where the detectors run.
    listener : Listener, optional

    Yields
    ------
    Study
        One for each name; the last one is not complete if the run was stopped.

    Raises
    ------
    FrontDoorError
        If there are fewer images.
    StudyError
        If the folder holds files of others, or studies that differ.
    """
    detectors = [
        open_detector(f"demo:{name}", device=device) for name in names
    ]  # an error comes before anything is written
    data = CocoSplit(DATA, limit=n_images)
    if len(data) < n_images:
        raise FrontDoorError(
            f"`n_images` must be at most {len(data)}, as many as {DATA} has, got {n_images}."
        )
    claim_folder(Path(out), "--out")
    spec = demo_spec(repeats, seed)
    for name, detector in zip(names, detectors, strict=True):
        study = run_study(spec, detector, data, Path(out) / name, options=OPTIONS, listener=listener)
        yield study
        if not study.is_complete:
            return


def write_demo(found: Found, folder: Path) -> list[Path]:
    """Write each study's tables and report; and of all together ``results.csv``, ``results.json`` and the pictures.

    Returns
    -------
    list of Path
        The files of all detectors together, then the reports.
    """
    rows = [
        {"detector": name, **{key: value for key, value in row.items() if key != "removed"}}
        for name, results in found.items()
        for row in results.tables.summary
    ]
    plain = [{key: _defined(value) for key, value in row.items()} for row in rows]
    sink = pa.BufferOutputStream()
    write_csv(pa.Table.from_pylist(plain), sink)
    about = {
        name: {"study": name, "settings": results.tables.about["settings"]} for name, results in found.items()
    }
    content = {"studies": about, "variants": plain}
    files = {
        "results.csv": sink.getvalue().to_pybytes(),
        "results.json": (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode(),
        **{file: figure_bytes(demo_figure(found, metric), "png") for metric, file in FIGURES.items()},
    }
    for name, data in files.items():
        write_bytes_whole(folder / name, data)
    for results in found.values():
        results.write()
    reports = [results.report(images=results.study.image_folder) for results in found.values()]
    return [*(folder / name for name in files), *reports]


def demo_table(found: Found) -> Table:
    """Return the mean of each metric at each dose, the baseline first; a star marks a draw that changed nothing."""
    every = [row for results in found.values() for row in results.tables.summary]
    n_draws = 1 + max(row["repeat"] or 0 for row in every)
    draws = "one random draw each" if n_draws == 1 else f"mean of {n_draws} random draws"
    doses = _doses(next(iter(found.values())).study.spec)
    table = Table(
        title=f"What is left when a share of the units is removed ({draws})",
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        caption=CAPTION + (STAR if any(row["no_op"] for row in every) else ""),
        caption_justify="left",
    )
    table.add_column("removed", no_wrap=True)
    table.add_column("metric", no_wrap=True)
    for dose in doses:
        table.add_column("baseline" if dose == 0 else f"{dose:.0%}", justify="right", no_wrap=True)
    for name, results in found.items():
        baseline = results.tables.summary[0]
        table.add_row(Text(title_of(name), style="bold"), "chance", f"{baseline[CHANCE]:.3f}")
        for target, exact in _by_target(results).items():
            # A dose of 25 % is rounded to whole units, for instance 26.7 %.
            groups = {dose: exact[_nearest(dose, exact)] for dose in doses}
            for metric, label in METRICS.items():
                cells = [_cell(groups[dose], metric) for dose in doses]
                first = f"  {target}" if metric == next(iter(METRICS)) else ""
                table.add_row(first, label.removeprefix("matched "), *cells)
        table.add_section()
    return table


def demo_figure(found: Found, metric: str) -> Figure:
    """Draw the dose–response curves of one metric, a panel for each detector; small marks are single draws.

    Parameters
    ----------
    found : mapping of str to Results
    metric : {"AP", "f1", "matched_giou"}
    """
    panels: dict[str, dict[str, Curve]] = {}
    baselines: dict[str, float] = {}
    chance: dict[str, float] = {}
    for name, results in found.items():
        title, baseline = title_of(name), results.tables.summary[0]
        panels[title] = {
            _named(target, groups): _curve(groups, metric) for target, groups in _by_target(results).items()
        }
        baselines[title] = baseline[metric]
        if metric == "matched_giou":
            chance[title] = baseline[CHANCE]
    return dose_response_grid(panels, metric_label=METRICS[metric], baselines=baselines, chance=chance)


def _doses(spec: StudySpec) -> list[float]:
    """Return the shares that are asked for, from 0, the baseline, on."""
    asked = {dose for one in spec.ablations if one.select.by == "fraction" for dose in one.select.fractions}
    return [0.0, *sorted(asked)]


def _nearest(dose: float, known: Iterable[float]) -> float:
    return min(known, key=lambda other: abs(other - dose))


def _by_target(results: Results) -> dict[str, dict[float, Rows]]:
    """Return the rows of each ablation by dose, rising from the baseline."""
    baseline, *rows = results.tables.summary
    found: dict[str, dict[float, list[Mapping[str, Any]]]] = {}
    for row in rows:
        found.setdefault(row["ablation"], {0.0: [baseline]}).setdefault(row["dose"], []).append(row)
    return {target: dict(sorted(groups.items())) for target, groups in found.items()}


def _named(target: str, groups: Mapping[float, Rows]) -> str:
    still = any(row["no_op"] for rows in groups.values() for row in rows)
    return f"{target} (some draws changed nothing)" if still else target


def _cell(rows: Rows, metric: str) -> str:
    known = [row[metric] for row in rows if math.isfinite(row[metric])]
    star = "*" if any(row["no_op"] for row in rows) else ""
    return ("–" if not known else f"{np.mean(known):.3f}") + star


def _curve(groups: Mapping[float, Rows], metric: str) -> Curve:
    """Return the mean over the draws at each dose, with the draws beside it."""
    points = np.full((len(groups), max(map(len, groups.values()))), np.nan)
    for number, rows in enumerate(groups.values()):
        points[number, : len(rows)] = [row[metric] for row in rows]
    means = [row[np.isfinite(row)].mean() if np.isfinite(row).any() else math.nan for row in points]
    return Curve(doses=list(groups), values=means, points=points)


def _defined(value: Any) -> Any:
    """Return a value as JSON has it, which knows no NaN."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
