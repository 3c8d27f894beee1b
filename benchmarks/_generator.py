"""Seeded detection problems of any size that look like COCO: truth, a detector's results, and variants of these."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dissect_eval import Detections, GroundTruth

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

WIDTH, HEIGHT = 640, 480
CATEGORIES = np.setdiff1d(np.arange(1, 91), [12, 26, 29, 30, 45, 66, 68, 69, 71, 83])
TRUTH_PER_IMAGE, DETECTIONS_PER_IMAGE = 7.2, 200
CROWD_SHARE, CONFUSED_SHARE = 0.01, 0.1
HITS_PER_TRUTH = 3.0


class Problem(NamedTuple):
    """A split and what a detector found on it."""

    truth: GroundTruth
    detections: Detections


def problem(n_images: int = 5000, seed: int = 0) -> Problem:
    """Return a split with 7.2 boxes an image over 80 categories, and 200 detections an image."""
    rng = np.random.default_rng(seed)
    truth = _truth(rng, n_images)
    return Problem(truth, _detections(rng, truth))


def variant(detections: Detections, seed: int) -> Detections:
    """Return the detections of a detector that is a little worse: scores and a tenth of the boxes are disturbed."""
    rng = np.random.default_rng([1, seed])
    scores = np.clip(detections.scores * rng.uniform(0.7, 1.1, detections.n_boxes), 0, 1)
    moved = rng.random(detections.n_boxes) < 0.1
    boxes = detections.boxes.copy()
    boxes[moved] = _jitter(rng, boxes[moved], 0.2)
    return replace(detections, scores=scores, boxes=boxes, sizes=boxes[:, 2:] - boxes[:, :2])


def records(found: Problem) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return annotation file and results list, with annotation ids from 1 for the engines that need them."""
    truth = found.truth
    xywh = np.concatenate([truth.boxes[:, :2], truth.sizes], axis=1)
    image_ids = truth.image_ids[truth.image_index]
    columns = (image_ids, truth.category_ids, xywh, truth.area, truth.iscrowd.astype(int))
    annotations = [
        {"id": i, "image_id": image, "category_id": category, "bbox": bbox, "area": area, "iscrowd": crowd}
        for i, (image, category, bbox, area, crowd) in enumerate(
            zip(*(column.tolist() for column in columns), strict=True), start=1
        )
    ]
    content = {
        "info": {},
        "images": [{"id": i, "width": WIDTH, "height": HEIGHT} for i in truth.image_ids.tolist()],
        "categories": [{"id": key, "name": name} for key, name in truth.category_names.items()],
        "annotations": annotations,
    }
    return content, found.detections.to_results()


def _truth(rng: np.random.Generator, n_images: int) -> GroundTruth:
    n = round(TRUTH_PER_IMAGE * n_images)
    liveliness = rng.gamma(1.0, size=n_images)  # some images have nothing, some are crowded
    counts = rng.multinomial(n, liveliness / liveliness.sum())
    boxes = _boxes(rng, n)
    crowd = rng.random(n) < CROWD_SHARE
    boxes[crowd] = _clipped(boxes[crowd] + np.array([-60, -40, 60, 40]))
    sizes = boxes[:, 2:] - boxes[:, :2]
    return GroundTruth(
        image_ids=np.arange(n_images) * 7 + 139,
        image_sizes=np.tile(np.array([WIDTH, HEIGHT], dtype=np.float64), (n_images, 1)),
        file_names=("",) * n_images,
        image_splits=np.concatenate([[0], np.cumsum(counts)]),
        annotation_ids=np.arange(1, n + 1),
        boxes=boxes,
        sizes=sizes,
        category_ids=_categories(rng, n),
        iscrowd=crowd,
        ignore=np.zeros(n, dtype=np.bool_),
        area=sizes.prod(axis=1) * rng.uniform(0.4, 1, n),  # of the object in its box
        category_names={int(key): f"category {key}" for key in CATEGORIES},
    )


def _detections(rng: np.random.Generator, truth: GroundTruth) -> Detections:
    """Draw hits with duplicates, then background up to 200 an image; in crowded images some truth is missed."""
    repeats = rng.poisson(HITS_PER_TRUTH, truth.n_boxes)
    source = np.repeat(np.arange(truth.n_boxes), repeats)
    first = (
        np.concatenate([[True], source[1:] != source[:-1]]) if len(source) else np.zeros(0, dtype=np.bool_)
    )
    hits = _jitter(rng, truth.boxes[source], np.where(first, 0.08, 0.2)[:, None])
    image = truth.image_index[source]
    labels = truth.category_ids[source].copy()
    confused = rng.random(len(source)) < CONFUSED_SHARE
    labels[confused] = _categories(rng, int(confused.sum()))
    scores = np.where(first & ~confused, rng.beta(4, 2, len(source)), rng.beta(1, 5, len(source)))
    order = np.lexsort([-scores, image])
    kept = order[_places(image[order]) < DETECTIONS_PER_IMAGE]

    n_background = DETECTIONS_PER_IMAGE - np.bincount(image[kept], minlength=truth.n_images)
    n = int(n_background.sum())
    image = np.concatenate([image[kept], np.repeat(np.arange(truth.n_images), n_background)])
    boxes = np.concatenate([hits[kept], _boxes(rng, n)])
    labels = np.concatenate([labels[kept], _categories(rng, n)])
    scores = np.concatenate([scores[kept], rng.beta(0.8, 12, n)])
    order = np.lexsort([-scores, image])  # as a detector gives them
    return Detections(
        image_ids=truth.image_ids,
        image_splits=np.arange(truth.n_images + 1) * DETECTIONS_PER_IMAGE,
        boxes=boxes[order],
        sizes=(boxes[:, 2:] - boxes[:, :2])[order],
        scores=scores[order],
        category_ids=labels[order],
    )


def _boxes(rng: np.random.Generator, n: int) -> Floats:
    """Draw boxes: 41 % small, 35 % medium and 24 % large, as in COCO."""
    side = np.exp(rng.normal(3.74, 1.18, n))
    stretch = np.exp(rng.normal(0, 0.35, n))
    size = np.clip(np.stack([side * stretch, side / stretch], axis=1), 2, [WIDTH - 1, HEIGHT - 1])
    corner = rng.random((n, 2)) * (np.array([WIDTH, HEIGHT]) - size)
    return np.concatenate([corner, corner + size], axis=1)


def _jitter(rng: np.random.Generator, boxes: Floats, share: Any) -> Floats:
    """Move each corner by a share of the box's size."""
    size = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    return _clipped(boxes + rng.normal(0, 1, boxes.shape) * share * size)


def _clipped(boxes: Floats) -> Floats:
    inside = np.clip(boxes, 0, [WIDTH, HEIGHT, WIDTH, HEIGHT])
    inside[:, 2:] = np.maximum(inside[:, 2:], inside[:, :2])
    return inside


def _categories(rng: np.random.Generator, n: int) -> Ints:
    """Draw categories: a few are frequent, many are rare."""
    weights = 1 / (np.arange(len(CATEGORIES)) + 1)
    return rng.choice(CATEGORIES, n, p=weights / weights.sum())


def _places(groups: Ints) -> Ints:
    """Return the position of each row in its group, from 0; groups ascend."""
    return np.arange(len(groups)) - np.searchsorted(groups, groups)
