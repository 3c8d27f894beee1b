"""The truth of given images in a detector's own labels, as its training loss takes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import TruthError
from ._classes import match_classes
from ._truth import GroundTruth


class ImageTruth(NamedTuple):
    """The objects of one image that a training loss learns from.

    Attributes
    ----------
    image_id : int
    boxes : ndarray of float64, shape (n, 4)
        xyxy in pixels of the image.
    labels : ndarray of int64, shape (n,)
        The detector's.
    area : ndarray of float64, shape (n,)
        In square pixels.
    iscrowd : ndarray of bool, shape (n,)
    """

    image_id: int
    boxes: NDArray[np.float64]
    labels: NDArray[np.int64]
    area: NDArray[np.float64]
    iscrowd: NDArray[np.bool_]


@dataclass(frozen=True)
class TrainingTruth:
    """The truth of some images, in a detector's labels; made by `training_truth`.

    Attributes
    ----------
    truth : GroundTruth
    indices : tuple of int
        Index of each image in the truth.
    labels : mapping of int to int
        The detector's label of each category that is a class.
    """

    truth: GroundTruth
    indices: tuple[int, ...]
    labels: Mapping[int, int]

    def image_id(self, number: int) -> int:
        """Return the id of an image, by its number."""
        return int(self.truth.image_ids[self.indices[number]])

    def of(self, number: int, size: tuple[int, int]) -> ImageTruth:
        """Return the objects of one image.

        Left out are boxes marked ``ignore``, of a side below one pixel, without area, outside the image, or of a
        category that is no class: the rules of MMDetection's ``CocoDataset``. Crowds are among them, and marked.

        Parameters
        ----------
        number : int
            Of the image.
        size : (width, height)
            Of the image in pixels, as it was read.
        """
        truth, index = self.truth, self.indices[number]
        rows = slice(truth.image_splits[index], truth.image_splits[index + 1])
        boxes, category_ids = truth.boxes[rows], truth.category_ids[rows]
        inside = np.minimum(boxes[:, 2:], size) - np.maximum(boxes[:, :2], 0)
        kept = (inside > 0).all(axis=1) & (truth.sizes[rows] >= 1).all(axis=1) & (truth.area[rows] > 0)
        kept &= ~truth.ignore[rows] & np.isin(category_ids, list(self.labels))
        return ImageTruth(
            self.image_id(number),
            boxes[kept],
            np.array([self.labels[int(i)] for i in category_ids[kept]], dtype=np.int64),
            truth.area[rows][kept],
            truth.iscrowd[rows][kept],
        )

    def differing_size(self, number: int, size: tuple[int, int]) -> str:
        """Say how an image differs from the annotated one in size; empty if it does not, or that is unknown.

        Its true boxes would lie elsewhere in it.
        """
        annotated = self.truth.image_sizes[self.indices[number]]
        if np.isnan(annotated).any() or tuple(annotated) == size:
            return ""
        return (
            f"is read as {size[0]} x {size[1]} pixels, but was annotated as {annotated[0]:g} x {annotated[1]:g}: its "
            "true boxes would lie elsewhere in it. Take the images that were annotated, or correct their `width` and "
            "`height` in the annotation file if only these are wrong."
        )


def training_truth(
    images: Sequence[Path | str],
    truth: GroundTruth,
    class_names: Sequence[str],
    class_map: Mapping[str, str | None] | None = None,
) -> TrainingTruth:
    """Find images in a truth, and its categories among a detector's classes.

    Parameters
    ----------
    images : sequence of Path or str
        Files that `truth` lists: their paths end with a file name there. Images without boxes count.
    truth : GroundTruth
    class_names : sequence of str
        Name of each label. Categories are recognised by name.
    class_map : mapping of str to (str or None), optional
        For names of the detector the truth's names, where these differ.

    Returns
    -------
    TrainingTruth

    Raises
    ------
    TruthError
        If an image is not in `truth`, no category is a class, or one is several.

    Examples
    --------
    >>> truth = GroundTruth.from_arrays([([[0, 0, 5, 5]], [4])], [7], {4: "tree"}, file_names=["a.png"])
    >>> training_truth(["photos/a.png"], truth, ["car", "tree"]).of(0, (10, 10)).labels
    array([1])
    """
    labels = _labels(truth, class_names, class_map)
    return TrainingTruth(truth, _indices_in_truth(images, truth), labels)


def _labels(
    truth: GroundTruth, class_names: Sequence[str], class_map: Mapping[str, str | None] | None
) -> dict[int, int]:
    """Return the detector's label of each category that is a class."""
    if class_map is None and not set(class_names) & set(truth.category_names.values()):
        raise TruthError(
            f"the detector's classes ({', '.join(class_names[:3])}, …) and the truth's categories "
            f"({', '.join(list(truth.category_names.values())[:3])}, …) have no name in common: is it the truth of "
            "another data set? A `class_map` (--class-map FILE) pairs names that differ."
        )
    match = match_classes(truth, class_names, common_classes=True, class_map=class_map)
    labels: dict[int, int] = {}
    for label, category in enumerate(match.categories.tolist()):
        if category in labels:
            names = [class_names[labels[category]], class_names[label]]
            raise TruthError(
                f"a loss needs one class for each category of the truth, but `class_map` gives "
                f"{truth.category_names[category]!r} to {' and '.join(map(repr, names))}. Select by weight_norm, or "
                "map one class to it."
            )
        if category in truth.category_names:
            labels[category] = label
    return labels


def _indices_in_truth(images: Sequence[Path | str], truth: GroundTruth) -> tuple[int, ...]:
    """Return the index of each image in the truth, by the longest end of its path that is a file name there."""
    listed: dict[str, int] = {}
    repeated: set[str] = set()
    for index, name in enumerate(truth.file_names):
        file_name = Path(name).as_posix()
        repeated |= {file_name} & listed.keys()
        listed[file_name] = index
    indices = []
    for path in images:
        parts = Path(path).parts
        ends = ("/".join(parts[start:]) for start in range(len(parts)))
        listed_name = next((end for end in (Path(path).as_posix(), *ends) if end in listed), None)
        if listed_name is None or listed_name in repeated:
            how_often = "not among" if listed_name is None else "more than once among"
            raise TruthError(
                f"image {path}: must be one of the truth's file names, but is {how_often} its "
                f"{len(truth.file_names)} ({', '.join(truth.file_names[:2])}, …). Give the truth of these images."
            )
        indices.append(listed[listed_name])
    return tuple(indices)
