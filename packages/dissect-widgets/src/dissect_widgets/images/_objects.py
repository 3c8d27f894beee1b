"""What becomes of each object of an image when a part of the detector is removed. No widgets in here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dissect_core.text import visible
from dissect_eval import pairwise_giou, pairwise_iou
from dissect_eval.study import ImageBoxes

from ..figure import number_text
from ..front import Mark

__all__ = ["FoundBox", "ObjectChange", "alarms_of", "changes_of", "marks_of"]

IOU = 0.5
"""Least IoU at which a detection lies on an object."""
Fate: TypeAlias = Literal["lost", "gained", "kept", "missed"]
FATES: dict[str, str] = {
    "lost": "lost",
    "gained": "found anew",
    "kept": "kept",
    "missed": "missed before, too",
}


class FoundBox(NamedTuple):
    """A detection that lies on an object of its class.

    Attributes
    ----------
    place : int
        Its place among the image's detections.
    score, giou : float
    box : tuple of float
        Corners in pixels.
    """

    place: int
    score: float
    giou: float
    box: tuple[float, float, float, float]


class ObjectChange(NamedTuple):
    """A true object, and the detection that lies on it before and after.

    Attributes
    ----------
    place : int
        Its place among the image's objects.
    category : str
    box : tuple of float
        Corners in pixels.
    before, after : FoundBox or None
        The detection of its class with the highest score on it; None if it is not found.
    """

    place: int
    category: str
    box: tuple[float, float, float, float]
    before: FoundBox | None
    after: FoundBox | None

    @property
    def fate(self) -> Fate:
        """Return what becomes of it."""
        if self.before is None:
            return "missed" if self.after is None else "gained"
        return "lost" if self.after is None else "kept"


def changes_of(
    truth: ImageBoxes,
    before: ImageBoxes,
    after: ImageBoxes,
    threshold: float,
    name_of: Callable[[int], str],
    label: int | None = None,
) -> list[ObjectChange]:
    """Return what becomes of the objects of an image, lost ones first; all of a class must agree, as in the counts.

    Parameters
    ----------
    truth, before, after : ImageBoxes
    threshold : float
        Least score of a detection.
    name_of : callable
        Gives the class of a label.
    label : int, optional
        The only class that counts.

    Examples
    --------
    >>> object, score = np.array([[0.0, 0, 9, 9]]), np.array([0.8])
    >>> truth, found = ImageBoxes(object, np.array([1]), np.ones(1)), ImageBoxes(object, np.array([1]), score)
    >>> nothing = ImageBoxes(np.zeros((0, 4)), np.zeros(0, dtype=int), np.zeros(0))
    >>> [one.fate for one in changes_of(truth, found, nothing, 0.5, str)]
    ['lost']
    """
    sides = [_on_objects(truth, one, threshold) for one in (before, after)]
    found = [
        ObjectChange(i, name_of(int(truth.labels[i])), _corners(truth.boxes[i]), sides[0][i], sides[1][i])
        for i in range(len(truth.boxes))
        if label is None or truth.labels[i] == label
    ]
    order = {fate: i for i, fate in enumerate(FATES)}
    return sorted(found, key=lambda one: order[one.fate])


def _on_objects(truth: ImageBoxes, found: ImageBoxes, threshold: float) -> list[FoundBox | None]:
    if not len(truth.boxes) or not len(found.boxes):
        return [None] * len(truth.boxes)
    fits = pairwise_iou(truth.boxes, found.boxes) >= IOU
    fits &= (truth.labels[:, None] == found.labels) & (found.scores >= threshold)
    giou = pairwise_giou(truth.boxes, found.boxes)
    best = np.where(fits, found.scores, -np.inf)
    places = best.argmax(axis=1)
    return [
        FoundBox(int(j), float(found.scores[j]), float(giou[i, j]), _corners(found.boxes[j]))
        if fits[i, j]
        else None
        for i, j in enumerate(places)
    ]


def alarms_of(
    truth: ImageBoxes, before: ImageBoxes, after: ImageBoxes, threshold: float, label: int | None = None
) -> list[int]:
    """Return the places of new false alarms: detections on no object of their class that the whole model has not."""
    sides = []
    for found in (before, after):
        on = np.zeros(len(found.boxes), dtype=np.bool_)
        if len(truth.boxes) and len(found.boxes):
            same = truth.labels[:, None] == found.labels
            on = ((pairwise_iou(truth.boxes, found.boxes) >= IOU) & same).any(axis=0)
        kept = ~on & (found.scores >= threshold)
        sides.append(np.flatnonzero(kept if label is None else kept & (found.labels == label)))
    old, new = sides
    if not len(old) or not len(new):
        return [int(i) for i in new]
    overlap = pairwise_iou(before.boxes[old], after.boxes[new]) >= IOU
    known = (overlap & (before.labels[old][:, None] == after.labels[new])).any(axis=0)
    return [int(i) for i in new[~known]]


def marks_of(
    changes: Sequence[ObjectChange],
    alarms: Sequence[int],
    after: ImageBoxes,
    size: tuple[int, int],
    name_of: Callable[[int], str],
) -> Iterator[Mark]:
    """Yield the marks of an image: objects by what becomes of them, and new false alarms.

    Parameters
    ----------
    changes, alarms
        From `changes_of` and `alarms_of`.
    after : ImageBoxes
        Detections of the ablated model.
    size : tuple of int
        Height and width of the image.
    name_of : callable
    """
    for one in changes:
        shown = one.after.box if one.after is not None else one.box
        look = "truth" if one.fate == "missed" else one.fate
        tag = f"{FATES[one.fate]}: {visible(one.category)}" if one.fate in ("lost", "gained") else ""
        yield Mark(f"object {one.place}", object_text(one), _share(shown, size), look, tag=tag)
    for place in alarms:
        label = f"new false alarm: {visible(name_of(int(after.labels[place])))} {after.scores[place]:.2f}"
        yield Mark(f"alarm {place}", label, _share(_corners(after.boxes[place]), size), "alarm")


def object_text(one: ObjectChange) -> str:
    """Return what becomes of an object, in a line.

    Examples
    --------
    >>> found = FoundBox(0, 0.71, 0.88, (0, 0, 9, 9))
    >>> object_text(ObjectChange(0, "cross", (0, 0, 9, 9), found, None))
    'cross, lost: score 0.71 → –, GIoU 0.880 → –'
    """
    if one.fate == "missed":
        return f"{visible(one.category)}, {FATES[one.fate]}"
    scores = [f"{side.score:.2f}" if side else "–" for side in (one.before, one.after)]
    overlaps = [number_text(side.giou) if side else "–" for side in (one.before, one.after)]
    arrow = " \N{RIGHTWARDS ARROW} "
    return (
        f"{visible(one.category)}, {FATES[one.fate]}: score {arrow.join(scores)}, GIoU {arrow.join(overlaps)}"
    )


def _corners(box: NDArray[np.float64]) -> tuple[float, float, float, float]:
    left, top, right, bottom = box.tolist()
    return left, top, right, bottom


def _share(
    box: tuple[float, float, float, float], size: tuple[int, int]
) -> tuple[float, float, float, float]:
    """Return a box as shares of the image, cut at its edges; one that is inside out becomes a point."""
    height, width = size
    left, right = (min(max(x / width, 0.0), 1.0) for x in (box[0], box[2]))
    top, bottom = (min(max(y / height, 0.0), 1.0) for y in (box[1], box[3]))
    return left, top, max(0.0, right - left), max(0.0, bottom - top)
