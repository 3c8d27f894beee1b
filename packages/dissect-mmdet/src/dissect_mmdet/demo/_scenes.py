"""Synthetic scenes in COCO format: what the demo detectors are trained on and measured with.

Each scene is drawn from a random stream of its own (seed, split, number), so that any subset of a split is
made alone, in any order, and is always the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._shapes import SHAPES, coverage

WIDTH, HEIGHT = 128, 96
CLASS_NAMES: tuple[str, ...] = tuple(name for name, _, _, _ in SHAPES)
CATEGORY_IDS: tuple[int, ...] = tuple(category for _, category, _, _ in SHAPES)
SPLITS = {"train": 0, "val": 1, "test": 3}

MAX_SIZE_PX = 72.0
# Training scenes are harder than those of the other splits: smaller shapes, and more of a shape may be hidden.
MIN_SIZE_PX = {"train": 16.0, "val": 20.0, "test": 20.0}
MIN_VISIBLE_SHARE = {"train": 0.6, "val": 0.8, "test": 0.8}
MIN_CONTRAST = 70.0
CROWD_SHARE = 0.04
FIRST_IMAGE_ID = {"train": 1_000_000, "val": 0, "test": 300_000}


@dataclass(frozen=True)
class Scene:
    """One image and what is on it.

    Attributes
    ----------
    image : ndarray of uint8, shape (HEIGHT, WIDTH, 3)
        RGB pixels.
    boxes_xywh : ndarray of float64, shape (n, 4)
        Boxes of the visible pixels, in pixels.
    labels : ndarray of int64, shape (n,)
        Index into `CLASS_NAMES`.
    areas : ndarray of float64, shape (n,)
        Visible pixels of each object.
    crowd : ndarray of bool, shape (n,)
        True for a box around a group of shapes too small to tell apart.
    """

    image: NDArray[np.uint8]
    boxes_xywh: NDArray[np.float64]
    labels: NDArray[np.int64]
    areas: NDArray[np.float64]
    crowd: NDArray[np.bool_]


def _upsample(grid: NDArray[np.float64], height: int, width: int) -> NDArray[np.float64]:
    """Enlarge a small (rows, columns, 3) grid to (height, width, 3)."""
    y = np.linspace(0, grid.shape[0] - 1, height)
    x = np.linspace(0, grid.shape[1] - 1, width)
    y0 = np.minimum(y.astype(int), grid.shape[0] - 2)
    x0 = np.minimum(x.astype(int), grid.shape[1] - 2)
    fy, fx = (y - y0)[:, None, None], (x - x0)[None, :, None]
    top = grid[y0][:, x0] * (1 - fx) + grid[y0][:, x0 + 1] * fx
    bottom = grid[y0 + 1][:, x0] * (1 - fx) + grid[y0 + 1][:, x0 + 1] * fx
    return np.asarray(top * (1 - fy) + bottom * fy)


def _background(rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw value noise at three scales, in colour, around a random mean colour."""
    canvas: NDArray[np.float64] = np.full((HEIGHT, WIDTH, 3), rng.uniform(50, 205, 3))
    for rows, columns, amplitude in ((3, 4, 45.0), (7, 9, 25.0), (25, 33, 14.0)):
        canvas += _upsample(rng.uniform(-amplitude, amplitude, (rows, columns, 3)), HEIGHT, WIDTH)
    return canvas


def _colour(rng: np.random.Generator, behind: NDArray[np.float64]) -> NDArray[np.float64]:
    """Draw a colour that differs clearly from the background (mean colour, shape (3,))."""
    while True:
        colour = rng.uniform(0, 255, 3)
        if np.abs(colour - behind).max() >= MIN_CONTRAST:
            return colour


def _paint(
    canvas: NDArray[np.float64],
    rng: np.random.Generator,
    label: int,
    centre: tuple[float, float],
    half_size: tuple[float, float],
) -> NDArray[np.bool_]:
    """Draw one shape on `canvas` and return the pixels that it covers, shape (HEIGHT, WIDTH)."""
    _, _, max_angle, inside = SHAPES[label]
    angle = np.deg2rad(rng.uniform(-max_angle, max_angle))
    alpha, x, y = coverage(inside, centre, half_size, angle, WIDTH, HEIGHT)
    window = canvas[y : y + alpha.shape[0], x : x + alpha.shape[1]]
    colour = _colour(rng, window.mean(axis=(0, 1)))
    shade = colour + rng.uniform(-18, 18, 3) * np.linspace(-1, 1, window.shape[0])[:, None, None]
    window += alpha[:, :, None] * (shade - window)
    covered = np.zeros((HEIGHT, WIDTH), dtype=bool)
    covered[y : y + alpha.shape[0], x : x + alpha.shape[1]] = alpha > 0.5
    return covered


def _place(rng: np.random.Generator, size: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """Draw the centre and half extents of a shape of about `size` pixels that stays inside the image."""
    aspect = np.exp(rng.uniform(-0.25, 0.25))
    half = (size * aspect / 2, size / aspect / 2)
    margin = min(max(half), HEIGHT / 2 - 1)
    return (rng.uniform(margin, WIDTH - margin), rng.uniform(margin, HEIGHT - margin)), half


def _box(pixels: NDArray[np.bool_]) -> tuple[float, float, float, float]:
    """Return the tight x, y, width, height of the True pixels."""
    columns, rows = np.flatnonzero(pixels.any(axis=0)), np.flatnonzero(pixels.any(axis=1))
    x, y = float(columns[0]), float(rows[0])
    return x, y, float(columns[-1]) + 1 - x, float(rows[-1]) + 1 - y


def _draw_objects(
    canvas: NDArray[np.float64], rng: np.random.Generator, split: str
) -> list[tuple[int, NDArray[np.bool_]]]:
    """Paint 1 to 6 shapes, the largest first; a shape that would hide too much of another is left out."""
    low, high = np.log(MIN_SIZE_PX[split]), np.log(MAX_SIZE_PX)
    sizes = np.sort(np.exp(rng.uniform(low, high, rng.integers(1, 7))))[::-1]
    visible: list[tuple[int, NDArray[np.bool_]]] = []
    full_areas: list[int] = []
    for size in sizes:
        label = int(rng.integers(len(SHAPES)))
        centre, half = _place(rng, float(size))
        trial = canvas.copy()
        covered = _paint(trial, rng, label, centre, half)
        left = [pixels & ~covered for _, pixels in visible]
        least = MIN_VISIBLE_SHARE[split]
        hides = any(mask.sum() < least * full for mask, full in zip(left, full_areas, strict=True))
        if hides or not covered.any():
            continue
        canvas[:] = trial
        visible = [(old, mask) for (old, _), mask in zip(visible, left, strict=True)] + [(label, covered)]
        full_areas.append(int(covered.sum()))
    return visible


def _draw_crowd(canvas: NDArray[np.float64], rng: np.random.Generator) -> tuple[int, NDArray[np.bool_]]:
    """Paint a group of 6 to 10 tiny shapes of one class; return the class and the pixels of the group."""
    label = int(rng.integers(len(SHAPES)))
    (x, y), _ = _place(rng, 40.0)
    pixels = np.zeros((HEIGHT, WIDTH), dtype=bool)
    for _ in range(int(rng.integers(6, 11))):
        half = float(rng.uniform(2.5, 4.0))
        spot = (x + float(rng.uniform(-18, 18)), y + float(rng.uniform(-12, 12)))
        pixels |= _paint(canvas, rng, label, spot, (half, half))
    return label, pixels


def draw_scene(split: str, number: int, seed: int = 0) -> Scene:
    """Draw one scene of a split.

    Parameters
    ----------
    split : {"train", "val", "test"}
        Splits share no random stream.
    number : int
        Which scene of the split, from 0.
    seed : int
        Another seed gives another data set.

    Returns
    -------
    Scene
        1 to 6 shapes, now and then a crowd, over textured noise.

    Examples
    --------
    >>> scene = draw_scene("test", 0)
    >>> scene.image.shape, 1 <= len(scene.labels) <= 7
    ((96, 128, 3), True)
    >>> bool((scene.image == draw_scene("test", 0).image).all())
    True
    """
    rng = np.random.Generator(np.random.PCG64([seed, SPLITS[split], number]))
    canvas = _background(rng)
    crowds = [_draw_crowd(canvas, rng)] if rng.random() < CROWD_SHARE else []
    objects = _draw_objects(canvas, rng, split)
    covered_later = np.zeros((HEIGHT, WIDTH), dtype=bool)
    for _, mask in objects:
        covered_later |= mask
    crowds = [(label, mask & ~covered_later) for label, mask in crowds]
    crowds = [(label, mask) for label, mask in crowds if mask.sum() >= 30]
    found = objects + crowds
    canvas += rng.normal(0.0, 7.0, canvas.shape)
    return Scene(
        image=np.clip(np.rint(canvas), 0, 255).astype(np.uint8),
        boxes_xywh=np.array([_box(mask) for _, mask in found], dtype=np.float64).reshape(-1, 4),
        labels=np.array([label for label, _ in found], dtype=np.int64),
        areas=np.array([float(mask.sum()) for _, mask in found]),
        crowd=np.array([False] * len(objects) + [True] * len(crowds), dtype=bool),
    )


def image_ids(split: str, count: int, seed: int = 0) -> NDArray[np.int64]:
    """Draw COCO-like image numbers: rising, with random gaps, disjoint between the splits."""
    rng = np.random.Generator(np.random.PCG64([seed, SPLITS[split], 2**32 - 1]))
    return FIRST_IMAGE_ID[split] + np.cumsum(rng.integers(1, 300, count))


def coco_annotations(scenes: list[Scene], ids: NDArray[np.int64], split: str) -> dict[str, Any]:
    """Make the annotation file of a split, as a COCO ``instances`` dictionary."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for scene, image_id in zip(scenes, ids.tolist(), strict=True):
        images.append({"id": image_id, "file_name": file_name(image_id), "width": WIDTH, "height": HEIGHT})
        for box, label, area, crowd in zip(
            scene.boxes_xywh.tolist(), scene.labels.tolist(), scene.areas.tolist(), scene.crowd, strict=True
        ):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": CATEGORY_IDS[label],
                    "bbox": box,
                    "area": area,
                    "iscrowd": int(crowd),
                }
            )
    categories = [
        {"id": category, "name": name, "supercategory": "shape"}
        for name, category in zip(CLASS_NAMES, CATEGORY_IDS, strict=True)
    ]
    info = {"description": f"Deep Dissect demo scenes, {split} split", "version": "1", "year": 2026}
    return {"info": info, "images": images, "annotations": annotations, "categories": categories}


def file_name(image_id: int) -> str:
    """Return the COCO-like name of an image file: its number in twelve digits."""
    return f"{image_id:012d}.png"
