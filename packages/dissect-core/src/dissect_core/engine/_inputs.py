"""Inputs of a study beside its images: its plan, and activations of reference images."""

import hashlib
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ..detectors import Detector, LossDetector, model_of, offered
from ..errors import StudyError
from ..plan import Plan, Variant, plan, reference_images, scores_needed, weight_norms
from ..progress import MakeBar, counted, no_bar
from ..spec import StudySpec
from ..storage.files import own_folder
from ..storage.locations import is_remote
from ..store import _file_names
from ..store._record import Record
from ..store._truth import refs_by_truth
from ._loading import Files, annotated_sizes
from ._options import ClassMap


def planned(
    spec: StudySpec,
    detector: Detector,
    files: Files,
    truth: Any,
    bar: MakeBar,
    class_map: ClassMap | None = None,
) -> Plan:
    """Plan a study, with scores by the model's weights and by gradients on its reference images.

    Raises
    ------
    StudyError
        If the study selects by a score that the detector cannot give.
    """
    needed = scores_needed(spec)
    scores: dict[tuple[str, str], NDArray[np.float64]] = {}
    if needed:
        model = _model(detector, f"select by {', '.join(needed)}")
    if "weight_norm" in needed:
        arrays = {name: value.detach().cpu().numpy() for name, value in model.named_parameters()}
        scores |= weight_norms(spec, detector.anatomy, arrays)
    if set(needed) - {"weight_norm"}:
        from ..torch import gradient_scores

        losing = _losing(detector, truth, "scores by gradients")
        images = files.usable(detector, reference_images(spec, len(files.paths)).tolist())
        with files.named(detector, images) as chosen:
            batches = counted(
                _with_truth(losing, chosen, truth, class_map), bar, len(chosen), "image", "scores"
            )
            scores |= gradient_scores(
                model, batches, lambda _model, batch: losing.loss(batch), spec, detector.anatomy
            )
    return plan(spec, detector.anatomy, scores)


def plan_study(
    spec: StudySpec,
    detector: Detector,
    images: Sequence[Path] = (),
    truth: Any = None,
    *,
    class_map: ClassMap | None = None,
    bar: MakeBar = no_bar,
) -> Plan:
    """Return every variant of a study of a detector, as `run` will, with the scores that its selections need.

    Parameters
    ----------
    spec : StudySpec
    detector : Detector
    images : sequence of Path
        All images of the study, for scores by gradients: they are taken from the study's reference images.
    truth : StudyTruth, optional
        Their ground truth, for the same.
    class_map : mapping of str to (str or None), optional
        As in `RunOptions`.
    bar : callable
        Makes progress bars.

    Raises
    ------
    StudyError
        If the study selects by a score that the detector cannot give, or that needs a truth.
    DissectError
        As `dissect_core.plan.plan` raises.
    """
    paths = tuple(images)
    sizes = None
    if truth is not None and paths:
        sizes = annotated_sizes(truth, [ref.image_id for ref in refs_by_truth(paths, truth)])
    return planned(spec, detector, Files(paths, sizes=sizes), truth, bar, class_map)


class ReferenceActivations:
    """Activations of reference images, gathered in one pass when the first variant needs them, and kept in a folder.

    Parameters
    ----------
    spec : StudySpec
    detector : Detector
    variants : sequence of Variant
    files : Files
        All images of the study.
    truth : object
        As the detector's `prepare_with_truth` takes it; for optimal constants only.
    record : Record
        Record of the folder that keeps them: a second run reads what the first has gathered.
    bar : callable
        Makes progress bars.
    class_map : mapping of str to (str or None), optional
        For names of the detector the truth's.
    """

    def __init__(
        self,
        spec: StudySpec,
        detector: Detector,
        variants: Sequence[Variant],
        files: Files,
        truth: Any,
        record: Record,
        bar: MakeBar,
        class_map: ClassMap | None = None,
    ) -> None:
        self._class_map = class_map
        self._detector, self._truth, self._bar = detector, truth, bar
        self._files, self._drawn = files, reference_images(spec, len(files.paths)).tolist()
        self._record, self._folder = record, record.folder
        self._needing = [v for v in variants if v.space == "activation" and v.intervention.kind != "zero"]
        self._fitted: dict[str, Any] = {}
        self._gathered: Any = None

    def __call__(self, variant: Variant) -> Any:
        """Return what a variant needs: None, the activations, or these with constants fitted for its units."""
        if variant.space != "activation" or variant.intervention.kind == "zero":
            return None
        if variant.intervention.kind != "optimal":
            return self._reference()
        if variant.id not in self._fitted:
            self._fitted[variant.id] = self._fit(variant)
        return self._fitted[variant.id]

    def gather(self) -> None:
        """Gather and fit all that any variant needs, and keep it: for workers that find it in the folder then."""
        for variant in self._needing:
            self(variant)

    def _reference(self) -> Any:
        from ..torch import gather_reference, load_reference, reference_sites, save_reference

        if self._gathered is None and (kept := self._record.file(_file_names.REFERENCE)) is not None:
            self._gathered = load_reference(kept)
        if self._gathered is None:
            model = _model(self._detector, "replace activations")
            keep = any(v.intervention.kind == "resample" for v in self._needing)
            with self._files.named(self._detector, self._chosen) as chosen:
                found = self._detector.prepare(chosen)
                self._gathered = gather_reference(
                    model,
                    counted(found, self._bar, len(chosen), "image", "reference activations"),
                    lambda _model, batch: self._detector.predict_batch(batch),
                    reference_sites(self._needing),
                    keep=keep,
                )
            save_reference(self._gathered, self._folder / _file_names.REFERENCE)
            self._record.note(_file_names.REFERENCE)
        return self._gathered

    @cached_property
    def _chosen(self) -> list[int]:
        return self._files.usable(self._detector, self._drawn)

    def _fit(self, variant: Variant) -> Any:
        from ..torch import fit_optimal, load_reference, save_reference

        name = f"{_file_names.OPTIMAL}/{hashlib.sha256(variant.id.encode()).hexdigest()[:24]}.npz"
        if (kept := self._record.file(name)) is not None:
            return load_reference(kept)
        path = self._folder / name
        intervention: Any = variant.intervention
        losing = _losing(self._detector, self._truth, "optimal constants")
        reference = self._reference()
        with self._files.named(self._detector, self._chosen) as chosen:
            fitted = fit_optimal(
                _model(self._detector, "fit constants"),
                list(_with_truth(losing, chosen, self._truth, self._class_map)),
                lambda _model, batch: losing.loss(batch),
                variant.sites(),
                reference,
                steps=intervention.steps,
                learning_rate=intervention.learning_rate,
                seed=variant.seed,
            )
        if not is_remote(path):
            own_folder(path.parent)
        save_reference(fitted, path)
        self._record.note(name)
        return fitted


def _with_truth(
    losing: LossDetector, images: Sequence[Path], truth: Any, class_map: ClassMap | None
) -> Iterator[Any]:
    """Return batches with truth, whose names are the detector's unless a map says others."""
    if class_map is None:
        return losing.prepare_with_truth(images, truth)
    return losing.prepare_with_truth(images, truth, class_map=class_map)


def _model(detector: Detector, purpose: str) -> Any:
    model = model_of(detector)
    if model is None:
        raise StudyError(
            f"The detector must be a torch model to {purpose}, but {type(detector).__name__} has no `model`. "
            "Leave these ablations out."
        )
    return model


def _losing(detector: Detector, truth: Any, purpose: str) -> LossDetector:
    if offered(detector, "loss") is None or offered(detector, "prepare_with_truth") is None:
        raise StudyError(
            f"The detector must have a loss for {purpose}, but {type(detector).__name__} has no `prepare_with_truth` "
            "and `loss`. Leave these ablations out, or select by weight_norm."
        )
    if truth is None:
        raise StudyError(f"`truth` must be given for {purpose}, got None. Pass the images' ground truth.")
    return cast("LossDetector", detector)
