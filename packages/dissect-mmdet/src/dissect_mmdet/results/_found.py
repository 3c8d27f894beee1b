"""A study's detections beside its truth, ready to be measured."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dissect_core import StudyError
from dissect_core.study import Found, Study
from dissect_eval import Detections, GroundTruth, label_to_category

TRUTH = "truth.json"
_KEPT = ("id", "image_id", "category_id", "bbox", "area", "iscrowd", "ignore")


def truth_file(annotations: Path, truth: GroundTruth) -> bytes:
    """What an annotation file says of the images of a study, without outlines: kept in the study's folder.

    Parameters
    ----------
    annotations : Path
        A COCO instances file, which `truth` was read from.
    truth : GroundTruth
        Of the study's images.
    """
    content = json.loads(annotations.read_text(encoding="utf-8"))
    # As the reader has it: ids may be written as strings or floats.
    wanted = {str(image) for image in truth.image_ids.tolist()}

    def is_of_the_study(entry: dict[str, Any], key: str) -> bool:
        value = entry.get(key)
        return str(int(value) if isinstance(value, float) else value) in wanted

    kept = {
        "images": [image for image in content["images"] if is_of_the_study(image, "id")],
        "annotations": [
            {key: each[key] for key in _KEPT if key in each}
            for each in content["annotations"]
            if is_of_the_study(each, "image_id")
        ],
        "categories": content["categories"],
    }
    return json.dumps(kept, ensure_ascii=False).encode()


class StudyDetections:
    """Detections of a study's variants, as `dissect_eval` takes them.

    Parameters
    ----------
    study : Study
    truth : GroundTruth, optional
        The truth kept with the study, if left out.

    Raises
    ------
    dissect_core.StudyError
        If the study has no truth, or no image that was run.
    """

    def __init__(self, study: Study, truth: GroundTruth | None = None) -> None:
        self.study = study
        whole = truth if truth is not None else kept_truth(study)
        bad = set(study.bad_images())
        self.n_bad_images = len(bad)
        self._ids = np.array([image.image_id for image in study.images], dtype=np.int64)
        ran = [image_id for i, image_id in enumerate(self._ids.tolist()) if i not in bad]
        if not ran:
            raise StudyError(f"None of the images of the study {study.path} could be read.")
        # Images that could not be read are left out: they would count as images without a detection.
        self.truth = whole.subset(ran) if len(ran) < whole.n_images else whole

    @cached_property
    def categories(self) -> NDArray[np.int64]:
        """Category id of each label of the detector."""
        return np.asarray(label_to_category(self.truth, self.study.class_names))

    def of(self, variant: str) -> tuple[Detections, int]:
        """Detections of a variant, and how many were left out since they are not finite."""
        found = self.study.found(variant)
        if found.not_finite.any():
            found, n_dropped = _finite(found)
        else:
            n_dropped = 0
        per_image = [(f.boxes, f.scores, f.labels) for f in found.by_image().values()]
        return Detections.from_arrays(per_image, self._ids[found.images].tolist(), self.categories), n_dropped


def kept_truth(study: Study) -> GroundTruth:
    """The truth that was kept with a study.

    Raises
    ------
    dissect_core.StudyError
        If there is none.
    """
    path = study.path / TRUTH
    if not path.is_file():
        raise StudyError(f"The study {study.path} holds no truth: pass `truth`, or run it with annotations.")
    return GroundTruth.from_coco(path)


def _finite(found: Found) -> tuple[Found, int]:
    """Leave out detections with NaN or infinity: no metric knows what they mean."""
    good = np.isfinite(found.boxes).all(axis=1) & np.isfinite(found.scores)
    owner = np.repeat(np.arange(len(found.counts)), found.counts)
    counts = np.bincount(owner[good], minlength=len(found.counts))
    kept = found._replace(
        counts=counts, boxes=found.boxes[good], scores=found.scores[good], labels=found.labels[good]
    )
    return kept, int((~good).sum())
