"""``deep-dissect simplify``: take out for good what a study found to be redundant."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Column, Table

from dissect_core.progress import tqdm_bar
from dissect_eval import METRICS
from dissect_eval.study import DEFAULT_METRIC

from ..errors import FrontDoorError
from ..smaller import Slimmed, require_new_folder, simplify, write_slimmed
from ..study import Study
from ._console import Console, print_whole
from ._loaded import say_loaded, say_missing
from ._opening import Opening, opens_detector
from ._options import COUNT_AT_MOST, FolderArgument, ForceOption, JobsOption


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
        Path | None,
        typer.Option(
            "--out", help="Write the smaller detector to this folder, with how to open it and all numbers."
        ),
    ] = None,
    force: ForceOption = False,
) -> None:
    """Remove the least missed heads, neurons or layers of a detector for good, and measure what that saves and costs.

    Units are ranked by what each cost alone on one half of the study's images, drawn with its seed; then as many of
    them go together as cost no more than --max-loss there. What that costs is measured on the other half.
    """
    study = Study.open(folder)
    if out is not None:
        require_new_folder(out, "--out", force=force)
    if metric not in METRICS:
        raise FrontDoorError(f"--metric must be one of {', '.join(METRICS)}, got {metric!r}.")
    if images is None and study.image_folder is None:
        raise FrontDoorError("the study's images are not where they were: give their folder as --images.")
    detector: Any = opening.open(study.spec)
    console = Console(highlight=False, soft_wrap=True)

    def say(line: str) -> None:
        if not said:
            say_loaded(detector)  # nothing refuses it any more
            say_missing(console, detector)
        said.append(line)
        console.print(line, markup=False)

    said: list[str] = []
    slimmed = simplify(
        study,
        ablation,
        detector,
        metric=metric,
        max_loss=max_loss,
        images=images,
        batch_size=batch_size,
        jobs=jobs,
        say=say,
        bar=tqdm_bar,
    )
    _show(console, slimmed, max_loss)
    if out is not None:
        write_slimmed(slimmed, out, study, opening.request(study.spec), force=force)
        console.print(f"the smaller detector, and how to open it: {out / 'README.md'}", markup=False)


def _show(console: Console, slimmed: Slimmed, max_loss: float) -> None:
    pool = slimmed.variant.pool
    table = Table("", *(Column(name, justify="right") for name in ("before", "after", "")), box=SIMPLE_HEAD)
    rows = [
        (
            f"{pool.unit}s",
            pool.n_units,
            pool.n_units - slimmed.variant.n_units,
            ",",
        ),
        ("parameters", slimmed.n_parameters_before, slimmed.n_parameters_after, ","),
        ("bytes of weights", slimmed.n_bytes_before, slimmed.n_bytes_after, ","),
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
        console.print(f"removed from {path}: {pool.unit} {', '.join(map(str, units))}", markup=False)


def _loss(slimmed: Slimmed, max_loss: float) -> str:
    """Return the loss on the images that are held out, beside the loss on those that the units were chosen on."""
    change, chosen = slimmed.after - slimmed.before, slimmed.chosen_after - slimmed.chosen_before
    text = (
        f"{slimmed.metric} changes by {change:+.3f} [{slimmed.low:+.3f}, {slimmed.high:+.3f}] on the "
        f"{slimmed.n_images} images that are held out, and by {chosen:+.3f} on the {slimmed.n_chosen_on} "
        "on which units were chosen"
    )
    if -change > max_loss:
        return f"{text}: more than --max-loss, {max_loss:g}"
    return (
        f"{text}; a loss beyond --max-loss, {max_loss:g}, is not ruled out"
        if -slimmed.low > max_loss
        else text
    )
