"""``deep-dissect export``: write variants of a study as checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dissect_core import UnknownComponentError, near_matches
from dissect_core.detectors import adapter_tools, open_detector
from dissect_core.plan import Plan, Variant
from dissect_core.text import file_names

from ..errors import FrontDoorError
from ..pipeline import spec_of
from ._loaded import say_loaded
from ._opening import Opening, opens_detector
from ._options import (
    AnnotationsOption,
    ClassMapOption,
    CocoOption,
    ForceOption,
    ImagesOption,
    StudyArgument,
    class_map_of,
)
from ._source import Source
from ._study import files_of, plan_of


@opens_detector(leave_out=["demo"])
def export(
    study: StudyArgument,
    variant: Annotated[
        str,
        typer.Argument(
            help="Id of a variant as `plan --all` lists them, or a glob: 'encoder*each*'.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option("--out", help="Folder for the checkpoints; made if it is missing.", show_default=False),
    ],
    opening: Opening,
    images: ImagesOption = None,
    annotations: AnnotationsOption = None,
    coco: CocoOption = None,
    force: ForceOption = False,
    class_map: ClassMapOption = None,
) -> None:
    """Write variants of a study as checkpoints, which any program loads that loads the original."""
    images, annotations = files_of(coco, images, annotations)
    spec = spec_of(study)
    # The checkpoint that a study names may be a stranger's: the user must say which one is copied.
    request = opening.request()
    detector = open_detector(request)
    variants = _matching(plan_of(spec, detector, images, annotations, class_map_of(class_map)), variant)
    for one in variants:
        one.as_edits()  # refuses what cannot be written before the first file is written
    tools = adapter_tools(request.named.adapter)
    source = Source(tools.checkpoint(request, detector=detector), tools.checkpoint_suffix)
    say_loaded(detector)
    targets = [out / f"{name}{source.suffix}" for name in file_names([one.id for one in variants])]
    for one, target in zip(variants, targets, strict=True):
        source.export(one, target, force=force)


def _matching(variants: Plan, pattern: str) -> list[Variant]:
    try:
        found = [v for v in variants.select(pattern) if v.kind != "baseline"]
    except UnknownComponentError:
        found = []
    if not found:
        ids = [name for v in variants if v.kind != "baseline" for name in (v.id, *v.merged)]
        near = near_matches(pattern, ids, n=3) or ids[:3]
        raise FrontDoorError(
            f"VARIANT {pattern!r} matches none of the study's {len(variants) - 1:,} variants, such as "
            f"{', '.join(map(repr, near))}. `deep-dissect plan --all` lists them."
        )
    return found
