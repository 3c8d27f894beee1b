"""Populations of images with the detections of two detectors, and samples of them: for trials of intervals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dissect_eval import Detections, GroundTruth
from dissect_eval.statistics._compared import Compared, compared
from dissect_eval.statistics._metrics import Key, MetricSettings
from dissect_eval.statistics._resampled import Resampling, resampled


class Population(NamedTuple):
    """Images with their truth, and what two detectors find in them."""

    truth: GroundTruth
    first: Detections
    second: Detections


def drawn_in_full(
    truth: GroundTruth, found: Detections, weights: NDArray[np.float64]
) -> tuple[GroundTruth, Detections]:
    """The data set in which image i really occurs ``weights[i]`` times, built box by box."""
    copies = np.repeat(np.arange(truth.n_images), weights.astype(int))

    def rows(splits: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        parts = [np.arange(splits[i], splits[i + 1]) for i in copies]
        counts = [len(part) for part in parts]
        return np.concatenate(parts), np.concatenate([[0], np.cumsum(counts)])

    ids = np.arange(len(copies))
    t, t_splits = rows(truth.image_splits)
    d, d_splits = rows(found.image_splits)
    per_box = ("boxes", "sizes", "category_ids", "iscrowd", "ignore", "area")
    new_truth = replace(
        truth,
        image_ids=ids,
        image_sizes=truth.image_sizes[copies],
        file_names=("",) * len(ids),
        image_splits=t_splits,
        masks=None,
        annotation_ids=np.arange(len(t)),
        **{name: getattr(truth, name)[t] for name in per_box},
    )
    fields = {name: getattr(found, name)[d] for name in ("boxes", "sizes", "scores", "category_ids")}
    return new_truth, replace(found, image_ids=ids, image_splits=d_splits, **fields)


def synthetic(seed: int, n_images: int, n_classes: int, tail: float) -> Population:
    """Make a population whose class k is (k + 1) to the power of -tail as frequent as the first.

    Objects differ in how hard they are, by themselves, by image and by class, and both detectors find the same ones
    hard: the first finds more of them, and more exactly. Both take classes for others, and find boxes where nothing is.
    """
    rng = np.random.default_rng(seed)
    shares = (1.0 + np.arange(n_classes)) ** -tail
    shares /= shares.sum()
    counts = rng.poisson(3.0, n_images)
    image = np.repeat(np.arange(n_images), counts)
    label, corner = rng.choice(n_classes, len(image), p=shares), rng.uniform(0, 500, (len(image), 2))
    size = np.exp(rng.normal(4, 0.7, (len(image), 2))).clip(8, 400)
    of_image, of_class = 0.5 * rng.normal(size=n_images), 0.4 * rng.normal(size=n_classes)
    ease = rng.normal(size=len(image)) + of_image[image] + of_class[label]
    first, second = (
        _found(rng, skill, ease, image, label, corner, size, shares, n_images) for skill in (0.6, 0.1)
    )
    annotations = [
        {"id": k, "image_id": i, "category_id": c, "bbox": [*xy, *wh]}
        for k, (i, c, xy, wh) in enumerate(
            zip(image.tolist(), label.tolist(), corner.tolist(), size.tolist(), strict=True)
        )
    ]
    content = {
        "images": [{"id": i, "width": 1000, "height": 1000} for i in range(n_images)],
        "categories": [{"id": k, "name": f"class {k}"} for k in range(n_classes)],
        "annotations": annotations,
    }
    return Population(GroundTruth.from_coco(content), first, second)


def _found(
    rng: np.random.Generator,
    skill: float,
    ease: NDArray[np.float64],
    image: NDArray[np.int64],
    label: NDArray[np.int64],
    corner: NDArray[np.float64],
    size: NDArray[np.float64],
    shares: NDArray[np.float64],
    n_images: int,
) -> Detections:
    """Detect objects that are easy enough, with errors that shrink with their ease, and five false boxes an image."""
    n_classes = len(shares)
    sure = ease + skill + 0.6 * rng.normal(size=len(ease))
    error = 0.12 * np.exp(-0.5 * sure)[:, None]
    low = corner + size * error * rng.normal(size=size.shape)
    boxes = np.concatenate([low, low + size * np.exp(error * rng.normal(size=size.shape))], axis=1)
    labels = np.where(rng.random(len(label)) < 0.15, rng.choice(n_classes, len(label), p=shares), label)
    seen = np.flatnonzero(sure > -1)
    n_false = 5 * n_images
    at, of = rng.uniform(0, 500, (n_false, 2)), np.exp(rng.normal(4, 0.7, (n_false, 2)))
    all_boxes = np.concatenate([boxes[seen], np.concatenate([at, at + of], axis=1)])
    trust = np.concatenate([(sure + 0.4 * rng.normal(size=len(sure)))[seen], rng.normal(-1.5, 1, n_false)])
    all_labels = np.concatenate([labels[seen], rng.choice(n_classes, n_false, p=shares)])
    images = np.concatenate([image[seen], rng.integers(0, n_images, n_false)])
    per_image = [
        (all_boxes[rows], 1 / (1 + np.exp(-trust[rows])), all_labels[rows])
        for rows in (np.flatnonzero(images == i) for i in range(n_images))
    ]
    return Detections.from_arrays(per_image, range(n_images), range(n_classes))


class Coverage(NamedTuple):
    """How often intervals of a metric held its true value, their mean width, and the mean bias: true, and as told."""

    of: str
    method: str
    metric: str
    held: float
    width: float
    bias: float
    bias_told: float


def coverage(
    population: Population,
    metrics: tuple[str, ...],
    n_images: int,
    n_samples: int,
    n_replicates: int,
    seed: int = 0,
) -> list[Coverage]:
    """Draw samples of images with replacement, and count how often intervals of 95 % hold the value of all images."""
    settings = MetricSettings(metrics)
    keys: list[Key] = [(metric, None) for metric in metrics]
    truth, *found = population

    def intervals(
        t: GroundTruth, both: Sequence[Detections], how: Resampling
    ) -> Iterator[tuple[str, str, Compared]]:
        one, two = (resampled(t, detections, settings, how) for detections in both)
        for method in ("percentile", "t") if how.n_replicates else ("t",):
            chosen = replace(how, method=method)
            yield "first", method, compared(keys, one, None, chosen)
            yield "second", method, compared(keys, two, None, chosen)
            yield "difference", method, compared(keys, one, two, chosen)

    true = {of: result.estimate for of, _, result in intervals(truth, found, Resampling(0))}
    rng = np.random.default_rng(seed)
    rows: dict[tuple[str, str], list[NDArray[np.float64]]] = {}
    for sample in range(n_samples):
        weights = np.bincount(rng.integers(0, truth.n_images, n_images), minlength=truth.n_images)
        pairs = [drawn_in_full(truth, detections, weights) for detections in found]
        drawn = intervals(
            pairs[0][0],
            [detections for _, detections in pairs],
            Resampling(n_replicates, method="t", seed=sample),
        )
        for of, method, result in drawn:
            value = true[of]
            held = (result.low <= value) & (value <= result.high)
            row = np.stack([held, result.high - result.low, result.estimate - value, result.bias])
            rows.setdefault((of, method), []).append(row)
    return [
        Coverage(of, method, metric, *np.mean(values, axis=0)[:, k].tolist())
        for (of, method), values in rows.items()
        for k, metric in enumerate(metrics)
    ]
