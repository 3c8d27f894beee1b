"""A study and the detector that it is about: what ``plan`` and ``export`` have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dissect_core.plan import Variant, plan, scores_needed, weight_norms
from dissect_core.spec import StudySpec

from .. import _open
from .._detector import MMDetDetector
from ..errors import DissectMMDetError
from ._options import bundled_checkpoint

StudyArgument = Annotated[
    str, typer.Argument(help="A study's file, or the name of a shipped one (see `studies`).")
]
DetectorOption = Annotated[
    Path | None,
    typer.Option(
        "--checkpoint",
        "-w",
        help="The detector, or demo:detr and so on; left out, the study's own.",
        callback=bundled_checkpoint,
        show_default=False,
    ),
]
DemoOption = Annotated[
    str | None, typer.Option("--demo", help="A bundled detector instead: detr, deformable_detr or dino.")
]


def open_detector(
    spec: StudySpec, checkpoint: Path | None, config: Path | None, demo: str | None, *, trust: bool
) -> MMDetDetector:
    """Open the detector that is asked for, else the one that the study names."""
    if demo is not None:
        from ..demo import DEMO_DETECTORS, demo_files

        if demo not in DEMO_DETECTORS:
            raise DissectMMDetError(f"--demo must be one of {', '.join(DEMO_DETECTORS)}, got {demo!r}.")
        bundled = demo_files(demo)
        return _open.open_mmdet(config=bundled.config, checkpoint=bundled.checkpoint)
    if checkpoint is None and spec.detector is not None and spec.detector.adapter == "mmdet":
        return _open.open_mmdet(**spec.detector.options)
    if checkpoint is None:
        raise DissectMMDetError(
            "a plan needs a detector: give --checkpoint (and --config), or --demo detr, or name one in the study."
        )
    return _open.open_mmdet(config=config, checkpoint=checkpoint, trust=trust)


def plan_study(study: str, spec: StudySpec, detector: MMDetDetector) -> list[Variant]:
    """Every variant of a study, with the scores that its selections need."""
    scores = None
    if needed := scores_needed(spec):
        if needed != ("weight_norm",):
            raise DissectMMDetError(
                f"study {study} selects by {', '.join(needed)}: only weight_norm can be planned without images."
            )
        arrays = {name: value.detach().cpu().numpy() for name, value in detector.model.named_parameters()}
        scores = weight_norms(spec, detector.anatomy, arrays)
    return plan(spec, detector.anatomy, scores)
