"""Arguments and options that several sub-commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dissect_core.storage.locations import location_of

COUNT_AT_MOST = 1_000_000_000
"""Of images and the like: no study has more, and what is computed with it stays a number."""


def bundled_checkpoint(path: Path | None) -> Path | None:
    """Let ``demo:detr`` stand for the checkpoint of a bundled detector."""
    if path is None:
        return None
    from dissect_mmdet.bundled import real_checkpoint

    return real_checkpoint(path)


CheckpointArgument = Annotated[
    Path,
    typer.Argument(
        help="Checkpoint (.pth, .safetensors) of an MMDetection model, or demo:detr, demo:deformable_detr, demo:dino.",
        callback=bundled_checkpoint,
        show_default=False,
    ),
]
CheckpointOption = Annotated[
    Path,
    typer.Option(
        "--checkpoint",
        "-w",
        help="Checkpoint (.pth, .safetensors) of an MMDetection model, or demo:detr, demo:deformable_detr, demo:dino.",
        callback=bundled_checkpoint,
        show_default=False,
    ),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        help="Config that the model was trained with (default: the one stored in the checkpoint). One in Python is a "
        "program, and is run; of one in YAML or JSON the values are read, which name only what MMDetection registers.",
    ),
]
TrustOption = Annotated[
    bool,
    typer.Option(
        "--trust",
        help="Let files run code: the checkpoint while it is read, the config in it, and whatever the study names (a "
        "config, modules, a cluster). Only for files whose maker you trust.",
    ),
]
CustomImportsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--custom-imports",
        help="Module to import first, which registers classes that the config names; may be repeated. It is a program.",
        metavar="MODULE",
        show_default=False,
    ),
]
ClassesOption = Annotated[
    str | None,
    typer.Option(
        "--classes",
        help="Names of the detector's classes in order, with commas, instead of those in --config or the checkpoint.",
        metavar="A,B,…",
        show_default=False,
    ),
]
CommonClassesOption = Annotated[
    bool,
    typer.Option(
        "--common-classes", help="Score the classes that detector and truth both know; leave out all others."
    ),
]
ClassMapOption = Annotated[
    Path | None,
    typer.Option(
        "--class-map",
        help="For names of the detector the truth's names, or nothing: a .json, .yaml or .csv file; classes without a "
        "counterpart are left out.",
        show_default=False,
    ),
]
AllowMissingOption = Annotated[
    bool,
    typer.Option(
        "--allow-missing",
        help="Open a checkpoint that does not fit the model: random numbers of a fixed seed stand in for missing "
        "weights, and every result says so.",
    ),
]
WeightsPrefixOption = Annotated[
    str,
    typer.Option(
        "--weights-prefix",
        help="Which weights, of a checkpoint with several: what their names begin with (teacher.), or their key "
        "(ema.).",
        show_default=False,
    ),
]
DeviceOption = Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:0, …")]
StudyDeviceOption = Annotated[
    str | None, typer.Option("--device", help="cpu, cuda, cuda:0, … (default: as the study says, else cpu).")
]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Seed of the random choice of units.")]
JobsOption = Annotated[
    int,
    typer.Option(
        "--jobs",
        "-j",
        min=1,
        max=1024,
        help="Processes that measure variants side by side: for minutes of work.",
    ),
]
ReplicatesOption = Annotated[
    int | None,
    typer.Option(
        "--replicates",
        min=0,
        max=10_000_000,
        help="Resamples of the images for intervals and p-values; 0: none (default: 1000, and for p-values as many as "
        "their correction for the number of variants needs, up to 20000).",
        show_default=False,
    ),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Overwrite files that exist.")]


def class_map_of(path: Path | None) -> dict[str, str | None] | None:
    """Return the content of ``--class-map``."""
    if path is None:
        return None
    from dissect_eval import read_class_map

    return read_class_map(path)


FolderArgument = Annotated[
    Path,
    typer.Argument(
        help="A study's folder, or s3://bucket/study.",
        show_default=False,
        parser=location_of,
        metavar="FOLDER",
    ),
]
