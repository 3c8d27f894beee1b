"""``deep-dissect report``, ``compare`` and ``export-coco``: what a study's folder holds."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Column, Table

from dissect_core.progress import tqdm_bar
from dissect_core.storage import check_output, is_remote, write_text_whole
from dissect_core.store import Study
from dissect_core.text import cut
from dissect_eval import GroundTruth
from dissect_eval.study import (
    DEFAULT_METRIC,
    Settings,
    StudyDetections,
    StudyResults,
    compare,
    counted,
    in_processes,
    measure,
)

from ..errors import FrontDoorError
from ..report import FORMATS, latex_table, write_report, write_results
from ._console import Console, echo, print_whole
from ._loaded import say_missing
from ._options import (
    ClassMapOption,
    CommonClassesOption,
    FolderArgument,
    ForceOption,
    JobsOption,
    ReplicatesOption,
    class_map_of,
)
from ._results import number


def report(
    folder: FolderArgument,
    metric: Annotated[
        str, typer.Option("--metric", help="What the pictures show: AP, AP50, f1, …")
    ] = DEFAULT_METRIC,
    images: Annotated[
        Path | None,
        typer.Option(
            "--images",
            "-i",
            help="Folder of the images, for examples (default: only those in FOLDER).",
        ),
    ] = None,
    annotations: Annotated[
        Path | None, typer.Option("--annotations", "-a", help="Another truth than the study's own.")
    ] = None,
    replicates: ReplicatesOption = None,
    jobs: JobsOption = 1,
    score_threshold: Annotated[
        float,
        typer.Option("--score-threshold", min=0.0, max=1.0, help="Score cut of F1, precision and recall."),
    ] = 0.3,
    iou_threshold: Annotated[
        float, typer.Option("--iou-threshold", min=0.0, max=1.0, help="Least IoU of a true positive.")
    ] = 0.5,
    figures: Annotated[
        str,
        typer.Option(
            "--figures", help="Also write pictures to figures/: png, svg, pdf, or png,svg.", metavar="FORMATS"
        ),
    ] = "",
    latex: Annotated[
        bool, typer.Option("--latex", help="Also write the table of doses as summary.tex.")
    ] = False,
    common_classes: CommonClassesOption = False,
    class_map: ClassMapOption = None,
) -> None:
    """Measure a study anew and write its tables and report.html; the detector is not needed."""
    study = Study.open(folder)
    formats = tuple(word.strip() for word in figures.split(",") if word.strip())
    if unknown := [word for word in formats if word not in FORMATS]:
        raise FrontDoorError(
            f"--figures must be of {', '.join(FORMATS)}, several with commas, got {', '.join(unknown)}."
        )
    settings = Settings(
        n_replicates=replicates,
        score_threshold=score_threshold,
        iou_threshold=iou_threshold,
        common_classes=common_classes,
        class_map=class_map_of(class_map),
    )
    if metric not in settings.metrics:
        raise FrontDoorError(f"--metric must be one of {', '.join(settings.metrics)}, got {metric!r}.")
    if images is not None and not images.is_dir():
        raise FrontDoorError(
            f"--images must be the folder of the study's images, got {images}: no such folder."
        )
    truth = None if annotations is None else GroundTruth.from_coco(annotations)
    results = measure(study, truth, settings, spread=in_processes(jobs), bar=tqdm_bar)
    written = [*write_results(results), write_report(results, images=images, metric=metric, formats=formats)]
    if latex:
        text = latex_table(results)
        write_text_whole(folder / "summary.tex", text)
        written.append(folder / "summary.tex")
    if formats:
        written.append(folder / "figures")
    say_missing(Console(stderr=True, highlight=False), study)
    if at_chance := results.better_than_chance.text:
        Console(stderr=True, soft_wrap=True).print(f"warning: {at_chance}", markup=False)
    for path in written:
        echo(path)


def compare_(
    first: FolderArgument,
    second: FolderArgument,
    metric: Annotated[str, typer.Option("--metric", help="AP, AP50, f1, …")] = DEFAULT_METRIC,
    jobs: JobsOption = 1,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    common_classes: CommonClassesOption = False,
    class_map: ClassMapOption = None,
) -> None:
    """Say what two studies lost, each against its own baseline: of two detectors, or before and after."""
    settings = Settings(n_replicates=0, common_classes=common_classes, class_map=class_map_of(class_map))
    a, b = (_measured(folder, metric, settings, jobs) for folder in (first, second))
    found = compare(a, b, (metric,))
    if as_json:
        rows = [{name: _defined(value) for name, value in row.items()} for row in found.rows]
        told = {"by": found.by, "same": found.same, "at_chance": found.at_chance, "rows": rows}
        if any(results.notes for results in (a, b)):
            told["notes"] = [results.notes for results in (a, b)]
        notes = [results.missing_weights for results in (a, b)]
        typer.echo(json.dumps({**({"missing_weights": notes} if any(notes) else {}), **told}, indent=2))
        return
    base = [results.table.select(metric=metric, category_id=None)[0].value for results in (a, b)]
    console = Console(highlight=False, soft_wrap=True)
    for name, results in (("A", a), ("B", b)):
        if results.missing_weights:
            console.print(f"warning: {name}: {results.missing_weights}", markup=False)
    for letter, folder, results, value in zip("AB", (first, second), (a, b), base, strict=True):
        images = counted(results.truth.n_images, "image")
        text = f"{letter}: {folder}, {results.study.spec.name}, {images}, baseline {metric} {number(value)}"
        console.print(text, markup=False)
    for letter, reason in zip("AB", found.at_chance, strict=True):
        if reason:
            console.print(f"warning: {letter}: {reason}", markup=False)
    for letter, results in zip("AB", (a, b), strict=True):
        for note in results.notes:
            console.print(f"note: {letter}: {note}", markup=False)
    if found.same:
        console.print(found.same, markup=False)
        return
    right = (Column(name, justify="right", no_wrap=True) for name in ("n", "change A", "change B", "B − A"))
    table = Table(
        Column("variant" if found.by == "variant" else "ablation", no_wrap=True), *right, box=SIMPLE_HEAD
    )
    for row in found.rows:
        values = (row[f"{metric}_{which}"] for which in ("first", "second", "change"))
        table.add_row(_named(row), row["n"], *(number(value, signed=True) for value in values))
    print_whole(table)
    if found.only_first or found.only_second:
        console.print(f"without a counterpart: {found.only_first} of A, {found.only_second} of B")


def _defined(value: Any) -> Any:
    """Return a cell for JSON, which has no NaN."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _named(row: Mapping[str, Any]) -> str:
    """Return a row's name, with the number of its variants that changed nothing."""
    counts = {"A": row["no_op_first"], "B": row["no_op_second"]}
    still = [f"{count} of {letter}" for letter, count in counts.items() if count]
    name = cut(str(row["name"]))
    return f"{name} (changed nothing: {', '.join(still)})" if still else name


def export_coco(
    folder: FolderArgument,
    variant: Annotated[str, typer.Option("--variant", help="Id of a variant.")] = "baseline",
    out: Annotated[Path | None, typer.Option("--out", help="The file (default: on standard output).")] = None,
    force: ForceOption = False,
) -> None:
    """Write a variant's detections as a COCO results list, for any other tool."""
    study = Study.open(folder)
    if out is not None:
        check_output(out, "--out", force=force, inputs=() if is_remote(folder) else folder.rglob("*"))
    boxes, n_dropped = StudyDetections(study).of(variant)
    text = json.dumps(boxes.to_results())
    if n_dropped:
        Console(stderr=True, soft_wrap=True).print(
            f"warning: {n_dropped} detections with NaN or infinity are left out.", markup=False
        )
    if boxes.n_negative:
        Console(stderr=True, soft_wrap=True).print(
            f"warning: {boxes.n_negative} detections have an inverted box (max < min): each is written as the point of "
            "its first corner.",
            markup=False,
        )
    say_missing(Console(stderr=True, highlight=False), study)
    if out is None:
        typer.echo(text)
    else:
        write_text_whole(out, text)
        echo(f"{out}  ({boxes.n_boxes:,} detections)")


def _measured(folder: Path, metric: str, settings: Settings, jobs: int) -> StudyResults:
    if metric not in settings.metrics:
        raise FrontDoorError(f"--metric must be one of {', '.join(settings.metrics)}, got {metric!r}.")
    return measure(Study.open(folder), settings=settings, spread=in_processes(jobs), bar=tqdm_bar)
