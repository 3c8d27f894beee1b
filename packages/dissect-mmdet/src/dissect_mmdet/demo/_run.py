"""The demo from beginning to end: images, detectors, variants."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dissect_eval import GroundTruth, label_to_category

from .._images import image_paths
from .._open import open_mmdet
from ._data import write_split
from ._files import demo_files
from ._study import DOSES, Outcome, demo_targets, n_variants, run_study

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

    def run(self) -> Iterator[tuple[str, Outcome]]:
        """Yield the name of a detector and an outcome for each variant."""
        for name in self.names:
            files = demo_files(name)
            detector = open_mmdet(config=files.config, checkpoint=files.checkpoint, device=self.device)
            batches = list(detector.prepare(self.images, BATCH_SIZE))
            categories = label_to_category(self.truth, detector.class_names)
            for outcome in run_study(
                name, detector, batches, self.truth, categories, repeats=self.repeats, seed=self.seed
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
    """
    images, annotations = write_split(folder / "data", "test", n_images)
    truth = GroundTruth.from_coco(annotations)
    return StudyPlan(tuple(names), image_paths(images, truth.file_names), truth, repeats, seed, device)
