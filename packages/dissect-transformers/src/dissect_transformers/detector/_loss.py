"""A detector's own training loss on images with truth: what gradient scores and fitted constants go by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dissect_eval import GroundTruth, match_classes

from ..errors import AnnotationError, DissectTransformersError, PictureError, said

SEED = 0
"""Seed of random numbers in a loss: always the same, so that two losses differ by the model alone."""


@dataclass(frozen=True)
class Truths:
    """The truth of some images, as image processors take it.

    Attributes
    ----------
    truth : GroundTruth
    places : list of int
        Index of each image in the truth.
    labels : dict of int to int
        The detector's label of each category that is a class.
    """

    truth: GroundTruth
    places: list[int]
    labels: dict[int, int]

    def annotations(self, number: int, path: str, size: tuple[int, int]) -> dict[str, Any]:
        """Return the truth of one image in COCO's format, without boxes that do not count; see `truths_of`.

        Parameters
        ----------
        number : int
            Of the image.
        path : str
        size : (width, height)
            As the image was read.

        Raises
        ------
        PictureError
            If it is of another size than annotated.
        """
        truth, place = self.truth, self.places[number]
        _require_size(path, size, truth.image_sizes[place])
        rows = slice(truth.image_splits[place], truth.image_splits[place + 1])
        boxes, category_ids = truth.boxes[rows], truth.category_ids[rows]
        inside = np.minimum(boxes[:, 2:], size) - np.maximum(boxes[:, :2], 0)
        kept = (inside > 0).all(axis=1) & (truth.sizes[rows] >= 1).all(axis=1) & (truth.area[rows] > 0)
        kept &= ~truth.ignore[rows] & ~truth.iscrowd[rows] & np.isin(category_ids, list(self.labels))
        return {
            "image_id": int(truth.image_ids[place]),
            "annotations": [
                {
                    "bbox": [x_min, y_min, x_max - x_min, y_max - y_min],
                    "category_id": self.labels[int(category)],
                    "area": float(area),
                    "iscrowd": 0,
                }
                for (x_min, y_min, x_max, y_max), category, area in zip(
                    boxes[kept].tolist(), category_ids[kept], truth.area[rows][kept], strict=True
                )
            ],
        }


def truths_of(
    images: Sequence[Path | str],
    truth: GroundTruth,
    class_names: Sequence[str],
    class_map: Mapping[str, str | None] | None = None,
) -> Truths:
    """Find images in a truth, and its categories among a detector's classes.

    Left out are boxes that are crowds, marked ``ignore``, of a side below one pixel, without area, outside the image,
    or of a category that is no class. An image without boxes counts.

    Parameters
    ----------
    images : sequence of Path or str
        Files that `truth` lists: their paths end with a file name there.
    truth : GroundTruth
    class_names : sequence of str
        Name of each label. Categories are recognised by name.
    class_map : mapping of str to (str or None), optional
        For names of the detector the truth's names, where these differ.

    Raises
    ------
    AnnotationError
        If an image is not in `truth`, or no category is a class.
    """
    return Truths(truth, _places_in_truth(images, truth), _labels(truth, class_names, class_map))


def _labels(
    truth: GroundTruth, class_names: Sequence[str], class_map: Mapping[str, str | None] | None
) -> dict[int, int]:
    """Return the detector's label of each category that is a class."""
    if class_map is None and not set(class_names) & set(truth.category_names.values()):
        raise AnnotationError(
            f"the detector's classes ({', '.join(class_names[:3])}, …) and the truth's categories "
            f"({', '.join(list(truth.category_names.values())[:3])}, …) have no name in common: is it the truth of "
            "another data set? A `class_map` (--class-map FILE) pairs names that differ."
        )
    match = match_classes(truth, class_names, common_classes=True, class_map=class_map)
    labels: dict[int, int] = {}
    for label, category in enumerate(match.categories.tolist()):
        if category in labels:
            names = [class_names[labels[category]], class_names[label]]
            raise AnnotationError(
                f"a loss needs one class for each category of the truth, but `class_map` gives "
                f"{truth.category_names[category]!r} to {' and '.join(map(repr, names))}. Select by weight_norm, or "
                "map one class to it."
            )
        if category in truth.category_names:
            labels[category] = label
    return labels


def _places_in_truth(images: Sequence[Path | str], truth: GroundTruth) -> list[int]:
    """Return the index of each image in the truth, by the longest end of its path that is a file name there."""
    listed: dict[str, int] = {}
    repeated: set[str] = set()
    for place, name in enumerate(truth.file_names):
        file_name = Path(name).as_posix()
        repeated |= {file_name} & listed.keys()
        listed[file_name] = place
    places = []
    for path in images:
        parts = Path(path).parts
        ends = ("/".join(parts[start:]) for start in range(len(parts)))
        found = next((end for end in (Path(path).as_posix(), *ends) if end in listed), None)
        if found is None or found in repeated:
            how_often = "not among" if found is None else "more than once among"
            raise AnnotationError(
                f"image {path}: must be one of the truth's file names, but is {how_often} its "
                f"{len(truth.file_names)} ({', '.join(truth.file_names[:2])}, …). Give the truth of these images."
            )
        places.append(listed[found])
    return places


def _require_size(path: str, read: tuple[int, int], annotated: NDArray[np.float64]) -> None:
    """Refuse an image of another size than the annotated one: its true boxes would lie elsewhere in it."""
    if not np.isnan(annotated).any() and tuple(annotated) != read:
        raise PictureError(
            f"image {path} is read as {read[0]} x {read[1]} pixels, but was annotated as {annotated[0]:g} x "
            f"{annotated[1]:g}: its true boxes would lie elsewhere in it. Take the images that were annotated, or "
            "correct their `width` and `height` in the annotation file if only these are wrong."
        )


def training_loss(
    model: Any,
    inputs: Mapping[str, torch.Tensor],
    labels: Sequence[Mapping[str, torch.Tensor]] | None,
    seed: int = SEED,
) -> torch.Tensor:
    """Return a detector's own training loss on a batch, with nothing left to chance.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        On any device, in evaluation mode: no dropout, no denoising queries. States of random generators are left as
        found.
    inputs : mapping of str to Tensor
        What the model takes beside labels.
    labels : sequence of mapping, or None
        One for each image, with ``class_labels`` and ``boxes``.
    seed : int
        Seed of random numbers in a loss.

    Returns
    -------
    torch.Tensor
        A scalar, with a graph even where the caller has gradients off.

    Raises
    ------
    DissectTransformersError
        If the batch holds no truth, or the model has no loss for it.
    """
    if labels is None:
        raise DissectTransformersError(
            "`batch` must hold truth for each image to have a loss, got one without. Make it with "
            "`prepare_with_truth`."
        )
    device = next(model.parameters()).device
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.random.fork_rng(devices=[device] if device.type == "cuda" else []),
    ):
        torch.manual_seed(seed)
        try:
            # The loss may write into labels: it gets copies, so that a batch serves many variants.
            fresh = [{name: values.clone() for name, values in one.items()} for one in labels]
            loss = model(**inputs, labels=fresh).loss
        except (MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # whatever a loss says of what it cannot do
            raise DissectTransformersError(
                f"{type(model).__name__} has no loss on this batch: {said(error)}. Select by a score that needs no "
                "loss (`weight_norm`)."
            ) from error
    if not isinstance(loss, torch.Tensor):
        raise DissectTransformersError(
            f"{type(model).__name__} gives no loss for labels. Select by a score that needs no loss (`weight_norm`)."
        )
    return loss
