"""``deep-dissect export``: write variants of a study as checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dissect_core import UnknownComponentError, near_matches
from dissect_core.plan import Plan, Variant
from dissect_core.spec import load_spec
from dissect_core.text import file_names
from dissect_mmdet.errors import DissectMMDetError

from ..studies import study_path
from ._loaded import say_loaded
from ._options import (
    AllowMissingOption,
    CheckpointOption,
    ClassesOption,
    ClassMapOption,
    ConfigOption,
    CustomImportsOption,
    ForceOption,
    StudyDeviceOption,
    TrustOption,
    WeightsPrefixOption,
    class_map_of,
)
from ._source import Source
from ._study import AnnotationsOption, ImagesOption, StudyArgument, open_detector, plan_study


def export(
    study: StudyArgument,
    variant: Annotated[
        str,
        typer.Argument(
            help="Id of a variant as `plan --all` lists them, or a glob: 'encoder*each*'.",
            show_default=False,
        ),
    ],
    checkpoint: CheckpointOption,
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", help="Folder for the checkpoints; made if it is missing.", show_default=False
        ),
    ],
    config: ConfigOption = None,
    images: ImagesOption = None,
    annotations: AnnotationsOption = None,
    force: ForceOption = False,
    class_map: ClassMapOption = None,
    device: StudyDeviceOption = None,
    classes: ClassesOption = None,
    allow_missing: AllowMissingOption = False,
    weights_prefix: WeightsPrefixOption = "",
    custom_imports: CustomImportsOption = None,
    trust: TrustOption = False,
) -> None:
    """Write variants of a study as checkpoints, which any program loads that loads the original."""
    spec = load_spec(study_path(study))
    detector = open_detector(
        spec,
        checkpoint,
        config,
        None,
        trust=trust,
        device=device,
        allow_missing=allow_missing,
        weights_prefix=weights_prefix,
        classes=classes,
        custom_imports=custom_imports or (),
    )
    variants = _matching(
        plan_study(study, spec, detector, images, annotations, class_map_of(class_map)), variant
    )
    for one in variants:
        one.as_edits()  # what cannot be written is said before the first file is
    source = Source(
        checkpoint, trust=trust, weights_prefix=weights_prefix, model=detector.model, fit=detector.fit
    )
    say_loaded(detector)
    targets = [out / f"{name}.pth" for name in file_names([one.id for one in variants])]
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
        raise DissectMMDetError(
            f"VARIANT {pattern!r} matches none of the study's {len(variants) - 1:,} variants, such as "
            f"{', '.join(map(repr, near))}. `deep-dissect plan --all` lists them."
        )
    return found
