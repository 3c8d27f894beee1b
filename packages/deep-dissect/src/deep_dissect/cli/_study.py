"""A study and the detector that it is about: what ``plan`` and ``export`` have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, cast

import numpy as np
import typer
from numpy.typing import NDArray

from dissect_core.detectors import DetectorRequest
from dissect_core.detectors import open_detector as open_by_adapter
from dissect_core.plan import Plan, plan, reference_images, scores_needed, weight_norms
from dissect_core.progress import counted, tqdm_bar
from dissect_core.spec import DetectorSpec, StudySpec
from dissect_core.torch import gradient_scores
from dissect_eval import GroundTruth
from dissect_mmdet.detector import MMDetDetector, image_paths
from dissect_mmdet.errors import DissectMMDetError

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
DemoOption = Annotated[
    str | None, typer.Option("--demo", help="A bundled detector instead: detr, deformable_detr or dino.")
]


def detector_request(
    spec: StudySpec,
    checkpoint: Path | None,
    config: Path | None,
    demo: str | None,
    *,
    trust: bool,
    device: str | None = None,
    default_device: str = "cpu",
    allow_missing: bool = False,
    weights_prefix: str = "",
    classes: str | None = None,
    custom_imports: Sequence[str] = (),
) -> DetectorRequest:
    """Which detector to open: the one that the command asks for, else the one that the study names.

    What the command says is the user's own word, what the study says is not. Files by their whole paths.

    Raises
    ------
    DissectMMDetError
        If there is none.
    """
    said = {
        "config": config,
        "device": device,
        "allow_missing": allow_missing or None,
        "weights_prefix": weights_prefix or None,
        "classes": classes,
        "custom_imports": list(custom_imports) or None,
    }
    own: dict[str, Any] = {name: value for name, value in said.items() if value is not None}
    named = DetectorSpec(adapter="mmdet", options={"device": default_device})
    if demo is not None:
        from dissect_mmdet.demo import DEMO_DETECTORS, demo_files

        if demo not in DEMO_DETECTORS:
            raise DissectMMDetError(f"--demo must be one of {', '.join(DEMO_DETECTORS)}, got {demo!r}.")
        bundled = demo_files(demo)
        own |= {"config": bundled.config, "checkpoint": bundled.checkpoint}
    elif checkpoint is not None:
        own["checkpoint"] = checkpoint
    elif spec.detector is None:
        raise DissectMMDetError(
            "a study needs a detector: give --checkpoint (and --config), or --demo detr, or name one in the study."
        )
    elif spec.detector.adapter == "mmdet":
        options = {**named.options, **spec.detector.options}
        named = DetectorSpec(adapter="mmdet", options=options | _whole_paths(options))
    else:
        named = spec.detector
    return DetectorRequest(named, own | _whole_paths(own), trust=trust)


def _whole_paths(options: Mapping[str, Any]) -> dict[str, str]:
    """Files among the options by their whole paths: workers on a cluster do not stand in this folder."""
    files = [(name, options.get(name)) for name in ("config", "checkpoint")]
    named = {name: Path(file) for name, file in files if isinstance(file, (str, Path)) and file}
    return {name: str(path.absolute()) for name, path in named.items() if path.is_file()}


def open_detector(
    spec: StudySpec,
    checkpoint: Path | None,
    config: Path | None,
    demo: str | None,
    *,
    trust: bool,
    device: str | None = None,
    allow_missing: bool = False,
    weights_prefix: str = "",
    classes: str | None = None,
    custom_imports: Sequence[str] = (),
) -> MMDetDetector:
    """Open an MMDetection model: the one that is asked for, else the one that the study names."""
    mine = spec
    if checkpoint is None and demo is None and spec.detector is not None and spec.detector.adapter != "mmdet":
        mine = spec.model_copy(update={"detector": None})
    request = detector_request(
        mine,
        checkpoint,
        config,
        demo,
        trust=trust,
        device=device,
        allow_missing=allow_missing,
        weights_prefix=weights_prefix,
        classes=classes,
        custom_imports=custom_imports,
    )
    return cast("MMDetDetector", open_by_adapter(request))


def plan_study(
    study: str,
    spec: StudySpec,
    detector: MMDetDetector,
    images: Path | None,
    annotations: Path | None,
    class_map: Mapping[str, str | None] | None = None,
) -> Plan:
    """Every variant of a study, with the scores that its selections need."""
    scores: dict[tuple[str, str], NDArray[np.float64]] = {}
    needed = scores_needed(spec)
    if "weight_norm" in needed:
        arrays = {name: value.detach().cpu().numpy() for name, value in detector.model.named_parameters()}
        scores |= weight_norms(spec, detector.anatomy, arrays)
    by_gradient = [name for name in needed if name != "weight_norm"]
    if by_gradient:
        if images is None or annotations is None:
            raise DissectMMDetError(
                f"study {study} selects by {', '.join(by_gradient)}, which takes images with their truth: give "
                "--images and --annotations."
            )
        scores |= _gradient_scores(spec, detector, images, annotations, class_map)
    return plan(spec, detector.anatomy, scores)


def _gradient_scores(
    spec: StudySpec,
    detector: MMDetDetector,
    images: Path,
    annotations: Path,
    class_map: Mapping[str, str | None] | None,
) -> dict[tuple[str, str], NDArray[np.float64]]:
    truth = GroundTruth.from_coco(annotations)
    chosen = [truth.file_names[i] for i in reference_images(spec, truth.n_images)]
    batches = detector.prepare_with_truth(image_paths(images, chosen), truth, class_map=class_map)
    return gradient_scores(
        detector.model,
        counted(batches, tqdm_bar, len(chosen), "image", "scores"),
        lambda _model, batch: detector.loss(batch),
        spec,
        detector.anatomy,
    )
