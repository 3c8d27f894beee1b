"""The images that ``deep-dissect run`` is given, or the bundled ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree

from dissect_core.storage.locations import is_remote
from dissect_eval import GroundTruth
from dissect_mmdet.detector import image_paths
from dissect_mmdet.errors import DissectMMDetError

DEMO_IMAGES = 100


@dataclass(frozen=True)
class StudyImages:
    """The images of a study, and their truth; and the folder that was made for bundled ones just now."""

    images: Path
    annotations: Path
    truth: GroundTruth
    made: Path | None = None

    @contextmanager
    def only_with(self, study: Path) -> Iterator[None]:
        """Take bundled images away again where an error comes before a study is begun with them."""
        try:
            yield
        except BaseException:
            if self.made is not None and not is_remote(study) and not study.exists():
                rmtree(self.made)
            raise


def images_of(
    demo: str | None, images: Path | None, annotations: Path | None, limit: int | None, out: Path
) -> StudyImages:
    """The images with their truth; bundled ones are written beside the study's folder.

    Raises
    ------
    DissectMMDetError
        If none are given, or none are left.
    """
    made: Path | None = None
    if images is None and annotations is None and demo is not None:
        from dissect_mmdet.demo import write_split

        beside = _beside(out)
        made = None if beside.exists() else beside
        images, annotations = write_split(beside, "test", limit or DEMO_IMAGES)
    if images is None or annotations is None:
        raise DissectMMDetError(
            "a study runs over images with their truth: give --images and --annotations, or --demo for bundled ones."
        )
    truth = GroundTruth.from_coco(annotations)
    if limit is not None:
        truth = truth.subset(truth.image_ids[:limit].tolist())
    if not truth.n_images:
        raise DissectMMDetError(f"annotation file {annotations} holds no image.")
    return StudyImages(images, annotations, truth, made)


def _beside(out: Path) -> Path:
    """Folder for bundled images: beside the study's, or here where that is kept elsewhere."""
    return Path(f"{out.name}-images") if is_remote(out) else out.with_name(f"{out.name}-images")


def files_of(data: StudyImages, on_bad_image: str) -> list[Path]:
    """Files of the images; missing ones are an error now, unless bad ones are skipped and put on record later."""
    if on_bad_image == "skip" and data.images.is_dir():
        return [data.images / name for name in data.truth.file_names]
    return image_paths(data.images, data.truth.file_names)
