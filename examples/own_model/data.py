"""Scenes to detect in, drawn from a seed: discs, squares and triangles that overlap, over noise."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dissect_eval import GroundTruth

CLASS_NAMES = ("disc", "square", "triangle")
IMAGE_SIZE = 64
MOST_OBJECTS = 5
TRAIN, TEST = 1, 2  # seeds of the two splits
PIXELS = np.arange(IMAGE_SIZE) + 0.5  # their centres, across and down


class Scenes(NamedTuple):
    """Images (N, 3, S, S) in [0, 1]; for each one its boxes (n, 4) as corners in pixels, and labels (n,)."""

    images: Tensor
    boxes: list[NDArray[np.float64]]
    labels: list[NDArray[np.int64]]


def make_scenes(n: int, seed: int | tuple[int, ...]) -> Scenes:
    """Draw `n` scenes; the same seed gives the same scenes, however many are drawn."""
    drawn = [_scene(np.random.default_rng([*np.atleast_1d(seed), i])) for i in range(n)]
    images = np.stack([image for image, _, _ in drawn]).astype(np.float32)
    return Scenes(
        torch.from_numpy(images), [boxes for _, boxes, _ in drawn], [labels for *_, labels in drawn]
    )


def truth_of(scenes: Scenes) -> GroundTruth:
    """Return the true boxes as `dissect_eval` takes them; image ids are 0, 1, ..., category ids the labels."""
    n = len(scenes.images)
    return GroundTruth.from_arrays(
        list(zip(scenes.boxes, scenes.labels, strict=True)),
        range(n),
        CLASS_NAMES,
        image_sizes=np.full((n, 2), IMAGE_SIZE),
    )


def _scene(rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    image = np.broadcast_to(rng.uniform(0.2, 0.8, (3, 1, 1)), (3, IMAGE_SIZE, IMAGE_SIZE))
    owner = np.full((IMAGE_SIZE, IMAGE_SIZE), -1)  # which object each pixel shows
    areas: list[int] = []
    labels: list[int] = []
    n_objects = int(rng.integers(1, MOST_OBJECTS + 1))
    for _ in range(50):
        if len(labels) == n_objects:
            break
        label = int(rng.integers(len(CLASS_NAMES)))
        shape = _shape(label, rng)
        ahead = np.where(shape, len(labels), owner)
        shown = np.bincount(ahead[ahead >= 0], minlength=len(labels))
        if (shown[:-1] < 0.6 * np.array(areas)).any():  # it would hide too much of another
            continue
        owner = ahead
        areas.append(int(shape.sum()))
        labels.append(label)
        colour = rng.uniform(0, 1, (3, 1, 1))  # independent of the class, which only the shape tells
        image = np.where(shape, colour, image)
    boxes = []
    for number in range(len(labels)):
        y, x = np.nonzero(owner == number)  # what is seen of it, as in COCO
        boxes.append([x.min(), y.min(), x.max() + 1, y.max() + 1])
    noise = rng.normal(0, 0.05, image.shape)
    return np.clip(image + noise, 0, 1), np.array(boxes, dtype=np.float64), np.array(labels, dtype=np.int64)


def _shape(label: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    radius = rng.uniform(6, 13)
    x0, y0 = rng.uniform(radius, IMAGE_SIZE - radius, 2)
    x, y = (PIXELS - x0) / radius, (PIXELS[:, None] - y0) / radius
    if label == 0:
        return np.asarray(np.hypot(x, y) <= 1)
    if label == 1:
        return np.asarray((abs(x) <= 0.9) & (abs(y) <= 0.9))
    return np.asarray((abs(y) <= 1) & (abs(x) <= (1 + y) / 2))
