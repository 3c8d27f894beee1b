"""Arguments and options that several sub-commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import DissectMMDetError

BUNDLED = "demo:"


def bundled_checkpoint(path: Path | None) -> Path | None:
    """Let ``demo:detr`` stand for the checkpoint of a bundled detector."""
    if path is None or not str(path).startswith(BUNDLED):
        return path
    from ..demo import DEMO_DETECTORS, demo_files

    name = str(path).removeprefix(BUNDLED)
    if name not in DEMO_DETECTORS:
        known = ", ".join(f"{BUNDLED}{known}" for known in DEMO_DETECTORS)
        raise DissectMMDetError(f"the checkpoint {path} must be one of the bundled ones, {known}, or a file.")
    return demo_files(name).checkpoint


CheckpointArgument = Annotated[
    Path,
    typer.Argument(
        help="Checkpoint (.pth) of an MMDetection model, or demo:detr, demo:deformable_detr, demo:dino.",
        callback=bundled_checkpoint,
        show_default=False,
    ),
]
CheckpointOption = Annotated[
    Path,
    typer.Option(
        "--checkpoint",
        "-w",
        help="Checkpoint (.pth) of an MMDetection model, or demo:detr, demo:deformable_detr, demo:dino.",
        callback=bundled_checkpoint,
        show_default=False,
    ),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        help="Config that the model was trained with (default: the one stored in the checkpoint).",
    ),
]
TrustOption = Annotated[
    bool,
    typer.Option("--trust", help="Let the checkpoint run code while it is read. Only for files of your own."),
]
DeviceOption = Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:0, …")]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Seed of the random choice of units.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Overwrite files that exist.")]
