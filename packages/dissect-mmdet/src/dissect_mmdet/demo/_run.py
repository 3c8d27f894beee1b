"""The demo from beginning to end: images, detectors, variants."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dissect_core.storage import claim_folder
from dissect_eval import GroundTruth, label_to_category

from ..bundled import demo_files
from ..detector._images import image_paths
from ..detector._models import available_device
from ..detector._open import open_mmdet
from ..errors import DissectMMDetError
from ._data import write_split
from ._study import DOSES, SCORE_THRESHOLD, Outcome, demo_targets, n_variants, run_study

BATCH_SIZE = 16


@dataclass(frozen=True)
class StudyPlan:
    """What the demo will run, and how many steps that takes.

    Attributes
    ----------
    names : sequence of str
        Bundled detectors.
    images : sequence of Path
    truth : GroundTruth
        Of these images.
    repeats, seed, device
        As in `study_plan`.
    """

    names: Sequence[str]
    images: Sequence[Path]
    truth: GroundTruth
    repeats: int
    seed: int
    device: str

    @property
    def n_steps(self) -> int:
        """Variants over all detectors, baselines included."""
        return len(self.names) * n_variants(demo_targets(), DOSES, self.repeats)

    @property
    def settings(self) -> dict[str, Any]:
        """Everything that the numbers depend on, for the record and for going on after an interruption."""
        weights = {name: sha256(demo_files(name).checkpoint.read_bytes()).hexdigest() for name in self.names}
        packages = ("dissect-mmdet", "dissect-eval", "torch", "mmdet")
        return {
            "images": len(self.images),
            "repeats": self.repeats,
            "doses": list(DOSES),
            "seed": self.seed,
            "device": self.device,
            "score_threshold": SCORE_THRESHOLD,
            "weights_sha256": weights,
            "versions": {name: version(name) for name in packages},
        }

    def run(self, done: Mapping[str, Outcome] | None = None) -> Iterator[tuple[str, Outcome]]:
        """Yield the name of a detector and an outcome for each variant; those in `done` are not measured again."""
        for name in self.names:
            files = demo_files(name)
            detector = open_mmdet(config=files.config, checkpoint=files.checkpoint, device=self.device)
            batches = list(detector.prepare(self.images, BATCH_SIZE))
            categories = label_to_category(self.truth, detector.class_names)
            for outcome in run_study(
                name,
                detector,
                batches,
                self.truth,
                categories,
                repeats=self.repeats,
                seed=self.seed,
                done=done,
            ):
                yield name, outcome


def study_plan(
    names: Sequence[str], folder: Path, *, n_images: int, repeats: int, seed: int, device: str
) -> StudyPlan:
    """Draw the test images where they are missing and say what the demo will do.

    Parameters
    ----------
    names : sequence of str
        Bundled detectors, see `DEMO_DETECTORS`.
    folder : Path
        Gets the images under ``data``.
    n_images : int
        Images of the test split, from its beginning.
    repeats : int
        Draws at each dose below 1.
    seed : int
        Seed of the study; the images do not depend on it.
    device : str
        Where the detectors run.

    Returns
    -------
    StudyPlan

    Raises
    ------
    DeviceError, DissectMMDetError
        If the device is not there, or the folder holds files that were not written here.
    """
    available_device(device)  # before anything is written
    claim_folder(folder, "--out", DissectMMDetError)
    images, annotations = write_split(folder / "data", "test", n_images)
    truth = GroundTruth.from_coco(annotations)
    return StudyPlan(tuple(names), image_paths(images, truth.file_names), truth, repeats, seed, device)
