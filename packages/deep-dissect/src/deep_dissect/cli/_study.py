"""A study's plan and its images, as several commands make them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dissect_core.plan import Plan, scores_needed

from ..data import CocoSplit, coco_files
from ..errors import FrontDoorError
from ..pipeline import Listener, plan

if TYPE_CHECKING:
    from dissect_core.detectors import Detector
    from dissect_core.spec import StudySpec

__all__ = ["DEMO_IMAGES", "files_of", "images_of", "plan_of"]

DEMO_IMAGES = 100


def plan_of(
    spec: StudySpec,
    detector: Detector,
    images: Path | None,
    annotations: Path | None,
    class_map: Mapping[str, str | None] | None = None,
) -> Plan:
    """Return every variant of a study, with the scores that its selections need.

    Raises
    ------
    FrontDoorError
        If a selection needs images with their truth, and none are given.
    """
    by_gradient = [name for name in scores_needed(spec) if name != "weight_norm"]
    if not by_gradient:
        return plan(spec, detector)
    if images is None or annotations is None:
        raise FrontDoorError(
            f"study {spec.name} selects by {', '.join(by_gradient)}, which takes images with their truth: give "
            "--images and --annotations, or --coco."
        )
    data = CocoSplit(annotations, images, check=False)
    return plan(spec, detector, data, class_map=class_map, listener=Listener())


def files_of(
    coco: Path | None, images: Path | None, annotations: Path | None
) -> tuple[Path | None, Path | None]:
    """Return the image folder and the annotation file that a command is given, by ``--coco`` or one by one.

    Raises
    ------
    FrontDoorError
        If both ways are taken, or the folder is not that of COCO.
    """
    if coco is None:
        return images, annotations
    if images is not None or annotations is not None:
        raise FrontDoorError("--coco stands for --images and --annotations: leave these out, or --coco.")
    return coco_files(coco, what="--coco")


def images_of(
    demo: str | None,
    images: Path | None,
    annotations: Path | None,
    limit: int | None,
    *,
    check: bool = True,
) -> CocoSplit:
    """Return the images that a command is given, with their truth; bundled ones for a bundled detector.

    Raises
    ------
    FrontDoorError
        If none are given, or none are left.
    """
    if images is None and annotations is None and demo is not None:
        return CocoSplit("demo:scenes", limit=limit or DEMO_IMAGES)
    if images is None or annotations is None:
        raise FrontDoorError(
            "a study runs over images with their truth: give --images and --annotations, or --coco, or --demo for "
            "bundled ones."
        )
    return CocoSplit(annotations, images, limit, check=check)
