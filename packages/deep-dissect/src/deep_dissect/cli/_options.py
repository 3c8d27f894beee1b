"""Arguments and options that several sub-commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dissect_core.storage.locations import location_of

COUNT_AT_MOST = 1_000_000_000
"""Most images and the like: no study has more, and results of computing with it stay finite."""


TrustOption = Annotated[
    bool,
    typer.Option(
        "--trust",
        help="Let files run code: the checkpoint while it is read, the config in it, and whatever the study names (a "
        "config, modules, a cluster). Only for files whose maker you trust.",
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
        help="A .json, .yaml or .csv file: for each class name of the detector the truth's name, or nothing; classes "
        "without a counterpart are left out.",
        show_default=False,
    ),
]
DeviceOption = Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:0, …")]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Seed of the random choice of units.")]
JobsOption = Annotated[
    int,
    typer.Option(
        "--jobs",
        "-j",
        min=1,
        max=1024,
        help="Processes that measure variants side by side.",
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


CocoOption = Annotated[
    Path | None,
    typer.Option(
        "--coco",
        help="Folder of COCO, instead of --images and --annotations: val2017 in it, and "
        "annotations/instances_val2017.json.",
        metavar="DIR",
        show_default=False,
    ),
]


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

StudyArgument = Annotated[
    str, typer.Argument(help="A study's file, or the name of a shipped one (see `studies`).")
]
ImagesOption = Annotated[
    Path | None,
    typer.Option(
        "--images",
        "-i",
        help="Folder of the images, for selections by weight_gradient or head_importance.",
        show_default=False,
    ),
]
AnnotationsOption = Annotated[
    Path | None,
    typer.Option(
        "--annotations", "-a", help="Their ground truth, a COCO instances file.", show_default=False
    ),
]
