"""``deep-dissect simplify``: take out for good what a study found to be redundant."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Column, Table

from dissect_core import StudyChangedError
from dissect_core.engine import weights_sha256
from dissect_core.plan import Variant
from dissect_core.progress import tqdm_bar
from dissect_core.storage import check_output, write_text_whole
from dissect_core.store import Study

from .._simplify import Part, Slimmed, halves, removable, slim
from ..data import CocoSplit
from ..errors import FrontDoorError
from ..report import DEFAULT_METRIC, Settings, StudyDetections, in_processes, measure
from ._console import Console, print_whole
from ._loaded import say_loaded, say_missing
from ._opening import Opening, opens_detector
from ._options import COUNT_AT_MOST, FolderArgument, ForceOption, JobsOption
from ._study import plan_of


@opens_detector()
def simplify_(
    folder: FolderArgument,
    ablation: Annotated[
        str,
        typer.Argument(
            help="Name of an ablation of the study that removes single units.", show_default=False
        ),
    ],
    opening: Opening,
    metric: Annotated[
        str, typer.Option("--metric", help="What must not fall: AP, AP50, f1, …")
    ] = DEFAULT_METRIC,
    max_loss: Annotated[float, typer.Option("--max-loss", min=0.0, help="By how much it may.")] = 0.01,
    images: Annotated[
        Path | None, typer.Option("--images", "-i", help="Folder of the images (default: where they were).")
    ] = None,
    batch_size: Annotated[
        int, typer.Option("--batch-size", min=1, max=COUNT_AT_MOST, help="Images a batch.")
    ] = 1,
    jobs: JobsOption = 1,
    out: Annotated[
        Path | None, typer.Option("--out", help="Also write what was removed and measured, as JSON.")
    ] = None,
    force: ForceOption = False,
) -> None:
    """Remove the least missed heads, neurons or layers of a detector for good, and measure what that saves and costs.

    Units are ranked by what each cost alone on one half of the study's images, drawn with its seed; then as many of
    them go together as cost no more than --max-loss there. What that costs is measured on the other half.
    """
    study = Study.open(folder)
    if out is not None:
        check_output(out, "--out", force=force, inputs=folder.rglob("*"))
    settings = Settings(n_replicates=0)
    if metric not in settings.metrics:
        raise FrontDoorError(f"--metric must be one of {', '.join(settings.metrics)}, got {metric!r}.")
    detector: Any = opening.open(study.spec)
    if weights_sha256(detector.model) != study.facts["detector"].get("weights_sha256"):
        raise StudyChangedError(f"The study {folder} is of another detector: its weights differ from these.")
    where = images or study.image_folder
    if where is None:
        raise FrontDoorError("the study's images are not where they were: give their folder as --images.")
    variants = removable(plan_of(study.spec, detector, None, None), ablation)
    found = StudyDetections(study)
    choosing, reporting = halves(found.truth, study.spec.seed)
    parts = [
        Part(truth, partial(detector.prepare, CocoSplit(truth, where).images, batch_size))
        for truth in (choosing, reporting)
    ]
    ids = choosing.image_ids.tolist()
    results = measure(study, settings=settings, images=ids, spread=in_processes(jobs), bar=tqdm_bar)
    rows = results.table.select(metric=metric, category_id=None)
    say_loaded(detector)
    console = Console(highlight=False, soft_wrap=True)
    say_missing(console, detector)
    if results.better_than_chance.text:
        console.print(f"warning: {results.better_than_chance.text}", markup=False)
    ranked = {variant.id for variant in variants}
    still = [row["id"] for row in results.variants if row["no_op"] and row["id"] in ranked]
    if still:
        console.print(
            f"note: {len(still)} of the {len(ranked)} variants that are ranked changed nothing in the study, such as "
            f"{still[0]}: what they remove is not used there, which is no robustness",
            markup=False,
        )
    console.print(
        f"chosen on {choosing.n_images} of the study's {found.truth.n_images} images, drawn with its seed; measured on "
        f"the other {reporting.n_images}",
        markup=False,
    )
    slimmed = slim(
        detector,
        variants,
        {row.variant: row.difference for row in rows},
        parts[0],
        parts[1],
        found.match.categories.tolist(),
        metric=metric,
        max_loss=max_loss,
        say=lambda line: console.print(line, markup=False),
    )
    _show(console, slimmed, variants, max_loss)
    if out is not None:
        told = getattr(detector, "facts", {}).get("missing_weights")
        missing = {} if told is None else {"missing_weights": told}
        write_text_whole(out, json.dumps({**_record(slimmed), **missing}, indent=2) + "\n")
        console.print(f"as JSON: {out}", markup=False)


def _show(console: Console, slimmed: Slimmed, variants: Sequence[Variant], max_loss: float) -> None:
    table = Table("", *(Column(name, justify="right") for name in ("before", "after", "")), box=SIMPLE_HEAD)
    rows = [
        (
            f"{variants[0].pool.unit}s",
            variants[0].pool.n_units,
            variants[0].pool.n_units - slimmed.variant.n_units,
            ",",
        ),
        ("parameters", slimmed.n_parameters_before, slimmed.n_parameters_after, ","),
        ("GFLOP a pass", slimmed.flops_before / 1e9, slimmed.flops_after / 1e9, ".3g"),
        ("ms a pass", 1000 * slimmed.seconds_before, 1000 * slimmed.seconds_after, ".1f"),
        (f"{slimmed.metric}, held-out images", slimmed.before, slimmed.after, ".3f"),
    ]
    for name, before, after, form in rows:
        change = (
            f"{after - before:+.3f}"
            if name.startswith(slimmed.metric)
            else f"{after / before - 1:+.1%}"
            if before
            else ""
        )
        table.add_row(name, format(before, form), format(after, form), change)
    print_whole(table)
    console.print(_loss(slimmed, max_loss), markup=False)
    for path, units in slimmed.removed.items():
        console.print(
            f"removed from {path}: {variants[0].pool.unit} {', '.join(map(str, units))}", markup=False
        )


def _loss(slimmed: Slimmed, max_loss: float) -> str:
    """What was lost on the images that are held out, beside what was chosen to be lost on the others."""
    change, chosen = slimmed.after - slimmed.before, slimmed.chosen_after - slimmed.chosen_before
    text = (
        f"{slimmed.metric} changes by {change:+.3f} [{slimmed.low:+.3f}, {slimmed.high:+.3f}] on the "
        f"{slimmed.n_images} images that are held out, and by {chosen:+.3f} on the {slimmed.n_chosen_on} "
        "on which it was chosen"
    )
    if -change > max_loss:
        return f"{text}: more than --max-loss, {max_loss:g}"
    return (
        f"{text}; a loss beyond --max-loss, {max_loss:g}, is not ruled out"
        if -slimmed.low > max_loss
        else text
    )


def _record(slimmed: Slimmed) -> dict[str, object]:
    names = (
        "before",
        "after",
        "low",
        "high",
        "chosen_before",
        "chosen_after",
        "n_images",
        "n_chosen_on",
        "n_parameters_before",
        "n_parameters_after",
        "flops_before",
        "flops_after",
    )
    return {
        "variant": slimmed.variant.id,
        "removed": {path: list(units) for path, units in slimmed.removed.items()},
        "metric": slimmed.metric,
        **{name: getattr(slimmed, name) for name in (*names, "seconds_before", "seconds_after")},
    }
