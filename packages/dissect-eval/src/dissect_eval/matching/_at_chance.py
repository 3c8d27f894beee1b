"""Test whether detections are better than chance: if not, an ablation has nothing to destroy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .._numbers import require_whole
from ..boxes import capped_ratio
from ..data import Detections, DetectionsLike, GroundTruth, TruthLike, checked_pair
from ._chance import extents, random_boxes

__all__ = ["ChanceVerdict", "better_than_chance"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DRAWS = 20
"""Draws of each kind: in about nineteen cases of twenty, detections at chance do not exceed the best of them."""
MARGIN = 0.005
"""A pooled AP50 must exceed that of the best draw by more than this."""
BOXES_AT_MOST = 0.1
"""Boxes that reach this pooled AP50 are never called chance: where images are alike, boxes of another image fit too."""
CLASSES_AT_MOST = 0.25
"""Classes that keep this share of the boxes' pooled AP50 are never called chance: most objects may be of one class."""
IMAGES_AT_MOST = 500
BOXES_OF_AN_IMAGE = 100
IOU = 0.5


@dataclass(frozen=True)
class ChanceVerdict:
    """Result of the test whether detections are better than chance.

    Attributes
    ----------
    at_chance : {"nothing", "boxes", "classes"} or None
        What is no better than chance. "nothing": there is no detection; "boxes": the boxes, whatever their classes;
        "classes": the classes of boxes that are better than chance. None if nothing is at chance, or if there is no
        true box to compare with.
    n_images : int
        Number of images used for the test, at most 500.
    boxes, boxes_by_chance : float
        Pooled AP50 of the boxes, class aside, and that of the best draw by chance; NaN where not computed.
    classes, classes_by_chance : float
        Pooled AP50 with classes, and that of the best draw of shuffled classes; NaN where not computed.

    Examples
    --------
    >>> ChanceVerdict("nothing", 3).text
    'The detector finds nothing in 3 images: weights of another model, or a score threshold above all scores?'
    """

    at_chance: Literal["nothing", "boxes", "classes"] | None
    n_images: int
    boxes: float = float("nan")
    boxes_by_chance: float = float("nan")
    classes: float = float("nan")
    classes_by_chance: float = float("nan")

    @property
    def text(self) -> str:
        """The result as a text, with likely reasons; empty if nothing is at chance."""
        where = f"{self.n_images:,} image{'' if self.n_images == 1 else 's'}"
        if self.at_chance == "nothing":
            why = "weights of another model, or a score threshold above all scores?"
            return f"The detector finds nothing in {where}: {why}"
        if self.at_chance == "boxes":
            return (
                f"The detector is no better than chance in {where}: its boxes reach a pooled AP50 of {self.boxes:.3f}, "
                f"class aside, and by chance they reach {self.boxes_by_chance:.3f}. Likely reasons: weights that are "
                "not the model's or were never trained, another normalisation or channel order of the images, or "
                "annotations of other images."
            )
        if self.at_chance == "classes":
            return (
                f"The detector's classes are no better than chance in {where}: its boxes reach a pooled AP50 of "
                f"{self.boxes:.3f}, class aside, but {self.classes:.3f} with classes, and {self.classes_by_chance:.3f} "
                "with shuffled classes. Likely reasons: class names in another order than in training, or a classifier "
                "whose weights are missing."
            )
        return ""


def better_than_chance(truth: TruthLike, detections: DetectionsLike, seed: int = 0) -> ChanceVerdict:
    """Tell whether detections are better than chance, by their boxes and by their classes.

    The chance level is what the same detections reach, with the same numbers and scores, when they know nothing of the
    image: boxes are moved to other images or drawn at random; classes are shuffled among the boxes. Detections are at
    chance unless they exceed the best draw, of 20 of each kind, by more than 0.005.

    Parameters
    ----------
    truth : GroundTruth
        The split. Crowd regions and ignored boxes do not count.
    detections : Detections
    seed : int
        Seed of the draws.

    Returns
    -------
    ChanceVerdict

    Raises
    ------
    DetectionError
        If a detection has an image or category that `truth` does not have.

    Notes
    -----
    The measure is AP at an IoU of 0.5 of the 100 best boxes of each image, with all classes pooled so that rare classes
    do not decide. Boxes that reach 0.1 are never called chance, nor are classes that keep a quarter of what the boxes
    reach: on data of one image, of one class or of frames of one camera, chance itself reaches that much.

    Examples
    --------
    >>> truth = GroundTruth.from_coco(
    ...     {
    ...         "images": [{"id": 1, "width": 50, "height": 50}],
    ...         "categories": [{"id": 1, "name": "cat"}],
    ...         "annotations": [{"id": 0, "image_id": 1, "category_id": 1, "bbox": [0, 0, 20, 20]}],
    ...     }
    ... )
    >>> cat, nothing = ([[0, 0, 20, 20]], [0.9], [0]), ([], [], [])
    >>> [better_than_chance(truth, Detections.from_arrays([one], [1], [1])).at_chance for one in (cat, nothing)]
    [None, 'nothing']
    """
    truth, detections, _, _ = checked_pair(truth, detections, check=False)
    require_whole(seed, "seed", 0)
    if truth.n_images > IMAGES_AT_MOST:
        truth = truth.subset(truth.image_ids[:: -(-truth.n_images // IMAGES_AT_MOST)].tolist())
        detections = detections.subset(np.intersect1d(truth.image_ids, detections.image_ids))
    found = detections.aligned_to(truth)
    objects = _Objects(truth)
    if not objects.n:
        return ChanceVerdict(None, truth.n_images)
    if not found.n_boxes:
        return ChanceVerdict("nothing", truth.n_images)
    kept = _best(found)
    image, found_boxes, category = found.image_index[kept], found.boxes[kept], found.category_ids[kept]
    order = np.argsort(-found.scores[kept], kind="stable")
    rng = np.random.default_rng([seed, 0])
    boxes = objects.pooled_ap(image, found_boxes, order)
    sizes = np.maximum(extents(truth), 1.0)
    draws = []
    for _ in range(DRAWS):
        by_chance = random_boxes(rng, len(image)) * np.tile(sizes, 2)[image]
        draws.append(objects.pooled_ap(image, by_chance, order))
        if truth.n_images > 1:
            # A rotation of the images in random order leaves none of them where it was.
            cycle = rng.permutation(truth.n_images)
            other = np.empty_like(cycle)
            other[cycle] = np.roll(cycle, 1)
            moved = found_boxes * np.tile(sizes[other] / sizes, 2)[image]
            draws.append(objects.pooled_ap(other[image], moved, order))
    bound = max(draws) + MARGIN
    if boxes <= bound and boxes < BOXES_AT_MOST:
        return ChanceVerdict("boxes", truth.n_images, boxes, max(draws))
    if len(np.unique(objects.category)) < 2:
        return ChanceVerdict(None, truth.n_images, boxes, max(draws))
    classes = objects.pooled_ap(image, found_boxes, order, category)
    dealt = max(objects.pooled_ap(image, found_boxes, order, rng.permutation(category)) for _ in range(DRAWS))
    wrong = classes <= dealt + MARGIN and classes < CLASSES_AT_MOST * boxes
    return ChanceVerdict("classes" if wrong else None, truth.n_images, boxes, max(draws), classes, dealt)


def _best(found: Detections) -> Ints:
    """Return the rows of the best-scoring boxes of each image, as many as COCO's AP counts."""
    image = found.image_index
    ranked = np.lexsort((-found.scores, image))
    place = np.arange(len(image)) - found.image_splits[image[ranked]]
    return np.sort(ranked[place < BOXES_OF_AN_IMAGE])


class _Objects:
    """The true boxes that count, image by image.

    Parameters
    ----------
    truth : GroundTruth
    """

    def __init__(self, truth: GroundTruth) -> None:
        kept = ~(truth.iscrowd | truth.ignore)
        self.n = int(kept.sum())
        self.boxes: Floats = truth.boxes[kept]
        self.category: Ints = truth.category_ids[kept]
        self._corners = np.ascontiguousarray(self.boxes.T)
        self._area = (self._corners[2] - self._corners[0]) * (self._corners[3] - self._corners[1])
        image = truth.image_index[kept]
        self._first = np.searchsorted(image, np.arange(truth.n_images))
        self._count = np.bincount(image, minlength=truth.n_images)

    def pooled_ap(self, image: Ints, boxes: Floats, order: Ints, category: Ints | None = None) -> float:
        """Return the AP at an IoU of 0.5, pooled over all classes.

        Each box belongs to the object that it covers best, with `category` to the best of its class; of the boxes of an
        object the first in `order` is right.
        """
        n_pairs = self._count[image]
        box = np.repeat(np.arange(len(boxes)), n_pairs)
        within = np.arange(len(box)) - np.repeat(np.cumsum(n_pairs) - n_pairs, n_pairs)
        truth = np.repeat(self._first[image], n_pairs) + within
        if category is not None:
            same = self.category[truth] == category[box]
            box, truth = box[same], truth[same]
        iou = self._iou(boxes, box, truth)
        near = np.flatnonzero(iou >= IOU)  # few are: the others cover nothing
        box, truth, iou = box[near], truth[near], iou[near]
        best = np.full(len(boxes), IOU)
        np.maximum.at(best, box, iou)
        covers = iou >= best[box]
        owner = np.full(len(boxes), -1)
        owner[box[covers]] = truth[covers]
        ranked = owner[order]
        found = np.flatnonzero(ranked >= 0)
        hits = np.zeros(len(boxes), dtype=np.bool_)
        hits[found[np.unique(ranked[found], return_index=True)[1]]] = True
        right = np.cumsum(hits)
        precision = right / np.arange(1, len(hits) + 1)
        envelope = np.maximum.accumulate(precision[::-1])[::-1]
        return float(envelope[hits].sum() / self.n)

    def _iou(self, boxes: Floats, box: Ints, truth: Ints) -> Floats:
        """Return the IoU of pairs, with the operations of `aligned_iou`, coordinate by coordinate."""
        x0, y0, x1, y1 = np.ascontiguousarray(boxes.T)
        tx0, ty0, tx1, ty1 = self._corners
        width = np.minimum(x1.take(box), tx1.take(truth)) - np.maximum(x0.take(box), tx0.take(truth))
        height = np.minimum(y1.take(box), ty1.take(truth)) - np.maximum(y0.take(box), ty0.take(truth))
        shared = np.maximum(width, 0) * np.maximum(height, 0)
        area = (x1 - x0) * (y1 - y0)
        return capped_ratio(shared, area.take(box) + self._area.take(truth) - shared)
