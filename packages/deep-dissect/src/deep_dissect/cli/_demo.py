"""``deep-dissect demo``: a study over the bundled detectors, and their training."""

from __future__ import annotations

from operator import length_hint
from pathlib import Path
from typing import Annotated

import typer

from dissect_core.progress import counted, tqdm_bar

from ._console import Console, print_whole
from ._interruption import StoppedError
from ._options import DeviceOption, SeedOption

app = typer.Typer(
    help="Run a small ablation study over the bundled DETR, Deformable DETR and DINO.\n\n"
    "Removes growing shares of the query embeddings and of the attention heads of encoder and decoder, runs every "
    "variant on generated images, and writes a table, two figures, the raw numbers, and a report of each detector. "
    "If it is interrupted, the same command goes on where it stopped.",
    invoke_without_command=True,
    add_completion=False,
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
        typer.Option("--out", help="For studies, results and figures: new, empty, or of an earlier demo."),
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
    """Run the study; the sub-command `train` trains the detectors anew."""
    if context.invoked_subcommand is not None:
        return
    from ..demo import DETECTORS, REPLICATES, demo_table, run_demo, title_of, write_demo
    from ..study import Results

    console = Console(highlight=False)
    names = list(dict.fromkeys(detector or DETECTORS))
    console.print(
        f"Deep Dissect demo: {', '.join(map(title_of, names))} on {images} test images", markup=False
    )
    found: dict[str, Results] = {}
    studies = run_demo(names, out, n_images=images, repeats=repeats, seed=seed, device=device)
    for name, study in zip(names, studies, strict=False):
        if not study.is_complete:
            done, wanted = study.progress()
            raise StoppedError(
                f"interrupted after {done} of {wanted} batches of {title_of(name)}; the same command goes on from there"
            )
        folder = study.image_folder
        found[name] = study.measure(replicates=REPLICATES, bar=tqdm_bar)
    print_whole(demo_table(found))
    written = write_demo(found, out)
    console.print(f"Wrote {', '.join(map(str, written))}; the images are in {folder}", markup=False)


@app.command()
def train(
    out: Annotated[Path, typer.Option("--out", help="Folder for logs, checkpoints and data.")] = Path(
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
    from dissect_core.detectors import adapter_tools, bundled_detector

    from ..demo import DETECTORS

    names = list(dict.fromkeys(detector or DETECTORS))
    adapters = {
        name: bundled_detector(f"demo:{name}").adapter for name in names
    }  # before the first is trained
    # Deformable DETR first: the other two start from its weights.
    for name in sorted(names, key=lambda name: name != "deformable_detr"):
        written = adapter_tools(adapters[name]).train(
            name,
            out / name,
            data=data or out / "demo-data",
            device=device,
            iterations=iterations,
            resume=resume,
            progress=lambda numbers: counted(
                numbers, tqdm_bar, length_hint(numbers), "scene", "drawing scenes"
            ),
        )
        typer.echo(f"{written}  (trained; copy it over the bundled one to use it in the demo)")
