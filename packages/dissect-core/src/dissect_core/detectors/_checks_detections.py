"""Checks of single detections: one entry for each image, and arrays that mean what they should."""

import numpy as np

from ._check import BrokenRuleError, Check, check, require
from ._compare import copied
from ._protocol import ImageDetections
from ._subject import Subject

__all__ = ["CHECKS"]

_TYPES = {"boxes": np.float64, "scores": np.float64, "labels": np.int64, "queries": np.int64}


@check(
    "images",
    "The check is given at least two images that exist.",
    "Give some images with objects on them, of the kind that the detector was trained on.",
)
def images(subject: Subject) -> str:
    missing = [path for path in subject.images if not path.is_file()]
    require(not missing, f"no such file: {', '.join(map(str, missing[:3]))}.")
    require(len(set(subject.images)) >= 2, f"{len(set(subject.images))} different images.")
    return f"{len(subject.images)}."


@check(
    "predictions",
    "prepare gives one batch for each image, and predict_batch a list with one ImageDetections for it.",
    "Give a list, also for a single image, with an entry for an image on which nothing is found.",
    needs=("members", "images"),
)
def predictions(subject: Subject) -> str:
    found: list[ImageDetections] = []
    for number, batch in enumerate(subject.detector.prepare(subject.images)):
        listed: object = subject.detector.predict_batch(batch)
        if not isinstance(listed, list):
            raise BrokenRuleError(f"batch {number} gives a {type(listed).__name__}.")
        require(len(listed) == 1, f"batch {number} of one image gives {len(listed)} entries.")
        kind = type(listed[0])
        require(kind is ImageDetections, f"batch {number} gives a {kind.__name__}.")
        given = {name: getattr(listed[0], name) for name in ImageDetections._fields}
        if given["queries"] is None:  # the one that may be left out
            del given["queries"]
        wrong = [name for name, array in given.items() if not isinstance(array, np.ndarray)]
        require(not wrong, f"{', '.join(wrong)} of batch {number} are no NumPy arrays.")
        found += copied(listed)
    require(len(found) == len(subject.images), f"{len(subject.images)} images, {len(found)} batches of one.")
    subject.alone = found
    return f"{len(found)} images, {sum(len(f.labels) for f in found)} detections."


@check(
    "arrays",
    "boxes are float64 (n, 4), scores float64 (n,), labels int64 (n,), queries int64 (n,) or None, with one n.",
    "Convert them; without detections the shapes are (0, 4), (0,) and (0,).",
    needs=("predictions",),
)
def arrays(subject: Subject) -> str:
    for number, found in enumerate(subject.alone):
        n = len(found.labels) if found.labels.ndim else 0
        for field, array in found.arrays.items():
            shape = (n, 4) if field == "boxes" else (n,)
            require(
                array.dtype == _TYPES[field] and array.shape == shape,
                f"image {number}: {field} of {array.dtype}, shape {array.shape}, with {n} labels.",
            )
    return "types and shapes as they should be."


@check(
    "finite",
    "Boxes and scores are finite.",
    "Leave out detections without a box, and look for divisions by zero.",
    needs=("arrays",),
)
def finite(subject: Subject) -> str:
    for number, found in enumerate(subject.alone):
        for field in ("boxes", "scores"):
            values = getattr(found, field)
            wrong = values[~np.isfinite(values)]
            require(not len(wrong), f"image {number}: {wrong[:1]} in {field}.")
    return "no NaN, no infinity."


@check(
    "scores",
    "Scores are in [0, 1].",
    "Put logits through the sigmoid or softmax that the detector was trained with; percents are to be divided.",
    needs=("arrays",),
)
def scores(subject: Subject) -> str:
    values = np.concatenate([f.scores for f in subject.alone])
    values = values[np.isfinite(values)]
    outside = values[(values < 0) | (values > 1)]
    require(not len(outside), f"{len(outside)} of {len(values)} outside, {outside[:1]} for instance.")
    return f"{values.min():.3g} to {values.max():.3g}." if len(values) else "none."


@check(
    "boxes",
    "Boxes are x_min, y_min, x_max, y_max, with x_min <= x_max and y_min <= y_max.",
    "Convert boxes that are x, y, width, height or centre and size.",
    needs=("arrays",),
)
def boxes(subject: Subject) -> str:
    values = np.concatenate([f.boxes for f in subject.alone])
    values = values[np.isfinite(values).all(axis=1)]
    wrong = values[(values[:, :2] > values[:, 2:]).any(axis=1)]
    require(not len(wrong), f"{len(wrong)} of {len(values)} are not, {wrong[:1].tolist()} for instance.")
    return f"{len(values)} in order."


@check(
    "labels",
    "Labels are indices into class_names.",
    "Count classes from 0 without gaps: no COCO category ids, no background class.",
    needs=("arrays", "class names"),
)
def labels(subject: Subject) -> str:
    n = len(subject.detector.class_names)
    values = np.unique(np.concatenate([f.labels for f in subject.alone]))
    outside = values[(values < 0) | (values >= n)]
    require(not len(outside), f"the labels {outside[:5].tolist()} with {n} class names.")
    return f"{len(values)} of {n} classes found."


CHECKS: tuple[Check, ...] = (images, predictions, arrays, finite, scores, boxes, labels)
