"""``deep-dissect demo``: a study over the bundled detectors, and their training."""

from __future__ import annotations

from functools import partial
from operator import length_hint
from pathlib import Path
from typing import Annotated

import typer

from dissect_core.progress import counted, tqdm_bar
from dissect_core.storage.files import write_whole
from dissect_mmdet.errors import DissectMMDetError

from ._console import Console
from ._options import DeviceOption, SeedOption

app = typer.Typer(
    help="Run a small ablation study over the bundled DETR, Deformable DETR and DINO.\n\n"
    "Removes growing shares of the query embeddings and of the attention heads of encoder and decoder, measures "
    "every variant on generated images, and writes a table, two figures and the raw numbers. Interrupted, the same "
    "command goes on where it was.",
    invoke_without_command=True,
)

DetectorsOption = Annotated[
    list[str] | None,
    typer.Option("--detector", help="detr, deformable_detr or dino; can be repeated (default: all)."),
]


@app.callback()
def demo(
    context: typer.Context,
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", help="For images, results and figures: new, empty, or of an earlier demo."
        ),
    ] = Path("deep-dissect-demo"),
    detector: DetectorsOption = None,
    images: Annotated[
        int, typer.Option("--images", min=1, max=1_000_000, help="Test images to run on.")
    ] = 48,
    repeats: Annotated[
        int, typer.Option("--repeats", min=1, max=1_000_000, help="Random draws at each dose.")
    ] = 2,
    seed: SeedOption = 0,
    device: DeviceOption = "cpu",
) -> None:
    """Run the study; see the sub-commands for training the detectors anew."""
    if context.invoked_subcommand is not None:
        return
    from dissect_mmdet.demo import DEMO_DETECTORS
    from dissect_mmdet.demo._report import Report, figure, table
    from dissect_mmdet.demo._results import interrupted_results, write_results
    from dissect_mmdet.demo._run import study_plan

    from ..report import DEFAULT_METRIC

    console = Console(highlight=False)
    names = _checked(list(dict.fromkeys(detector or DEMO_DETECTORS)))
    console.print(
        f"Deep Dissect demo: {', '.join(DEMO_DETECTORS[name] for name in names)} on {images} test images"
    )
    plan = study_plan(names, out, n_images=images, repeats=repeats, seed=seed, device=device)
    outcomes: Report = {}
    done = interrupted_results(out, plan.settings)
    if done:
        console.print(
            f"Going on after an interruption: {len(done)} of {plan.n_steps} variants are measured already."
        )
    try:
        with tqdm_bar(plan.n_steps, "variant") as bar:
            for name, outcome in plan.run(done):
                bar.set_description(f"{DEMO_DETECTORS[name]}: {outcome.target}", refresh=False)
                bar.update(1)
                outcomes.setdefault(name, []).append(outcome)
    except KeyboardInterrupt:
        n_done = sum(map(len, outcomes.values()))
        if outcomes:
            write_results(outcomes, out, plan.settings, complete=False)
        console.print(
            f"Interrupted: {n_done} of {plan.n_steps} variants are kept; the same command goes on there."
        )
        raise
    console.print(table(outcomes))
    written = write_results(outcomes, out, plan.settings, complete=True)
    for metric, file in ((DEFAULT_METRIC, "dose_response.png"), ("matched GIoU", "dose_response_giou.png")):
        drawn = figure(outcomes, metric)
        write_whole(out / file, partial(drawn.savefig, format="png", dpi=150), DissectMMDetError)
        written.append(out / file)
    console.print("Wrote " + ", ".join(str(path) for path in written) + f"; the images are in {out / 'data'}")


@app.command()
def train(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for logs, checkpoints and data.")] = Path(
        "work_dirs"
    ),
    detector: DetectorsOption = None,
    iterations: Annotated[
        int | None, typer.Option("--iterations", help="Length of the schedule (default: the config's).")
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder for the scenes (default: demo-data in --out).")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint in --out.")
    ] = False,
    device: DeviceOption = "cpu",
) -> None:
    """Train the demo detectors from nothing: about an hour each on two cores, minutes on a GPU."""
    from dissect_mmdet._runtime import require_mmdet
    from dissect_mmdet.demo import DEMO_DETECTORS, train_demo

    require_mmdet()
    # Deformable DETR first: the other two start from its weights.
    for name in sorted(
        _checked(detector or list(DEMO_DETECTORS)), key=lambda name: name != "deformable_detr"
    ):
        written = train_demo(
            name,
            out / name,
            data=data or out / "demo-data",
            device=device,
            max_iters=iterations,
            resume=resume,
            progress=lambda numbers: counted(
                numbers, tqdm_bar, length_hint(numbers), "scene", "drawing scenes"
            ),
        )
        typer.echo(f"{written}  (trained; copy it over the bundled one to use it in the demo)")


def _checked(names: list[str]) -> list[str]:
    from dissect_mmdet.demo import DEMO_DETECTORS

    for name in names:
        if name not in DEMO_DETECTORS:
            raise DissectMMDetError(f"--detector must be one of {', '.join(DEMO_DETECTORS)}, got {name!r}.")
    return names
