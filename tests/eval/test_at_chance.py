"""Detections that are no better than chance are told from weak ones, and by boxes from by classes."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from dissect_eval import Detections, GroundTruth, better_than_chance, evaluate
from dissect_eval.matching import ChanceVerdict

NAMES = {i: f"class {i}" for i in range(1, 6)}
SIZE = 200.0


def split(n: int, seed: int = 0, per_image: int = 4) -> tuple[GroundTruth, list[Any]]:
    """Images with some boxes each, anywhere, of any class; and the boxes with labels from 0."""
    rng = np.random.default_rng(seed)
    images = []
    for _ in range(n):
        low = rng.uniform(0, SIZE - 90, (per_image, 2))
        images.append(
            (
                np.concatenate([low, low + rng.uniform(20, 90, (per_image, 2))], 1),
                rng.integers(0, 5, per_image),
            )
        )
    truth = GroundTruth.from_arrays(
        [(boxes, labels + 1) for boxes, labels in images],
        list(range(n)),
        NAMES,
        image_sizes=[(int(SIZE), int(SIZE))] * n,
    )
    return truth, images


def detections(images: list[Any], seed: int = 1, jitter: float = 3.0, extra: int = 10) -> list[Any]:
    """Truth a little out of place, with likely scores, and boxes that are nothing, with unlikely ones."""
    rng = np.random.default_rng(seed)
    found = []
    for boxes, labels in images:
        low = rng.uniform(0, SIZE - 60, (extra, 2))
        noise = np.concatenate([low, low + rng.uniform(10, 60, (extra, 2))], 1)
        moved = boxes + rng.normal(0, jitter, boxes.shape)
        moved = np.concatenate(
            [np.minimum(moved[:, :2], moved[:, 2:]), np.maximum(moved[:, :2], moved[:, 2:])], 1
        )
        scores = np.concatenate([rng.uniform(0.4, 1, len(boxes)), rng.uniform(0, 0.6, extra)])
        found.append(
            (np.concatenate([moved, noise]), scores, np.concatenate([labels, rng.integers(0, 5, extra)]))
        )
    return found


def verdict(truth: GroundTruth, found: list[Any], categories: list[int] | None = None) -> ChanceVerdict:
    ids = truth.image_ids.tolist()
    return better_than_chance(truth, Detections.from_arrays(found, ids, categories or list(NAMES)))


@pytest.mark.parametrize("n", [1, 2, 3, 5, 30, 700])
def test_a_detector_is_better(n: int) -> None:
    truth, images = split(n)
    told = verdict(truth, detections(images))
    assert (told.at_chance, told.text) == (None, "")
    assert told.n_images == min(n, 350)  # every second one of 700


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_a_weak_detector_is_better_too(seed: int) -> None:
    truth, images = split(40, seed)
    told = verdict(truth, detections(images, seed, jitter=14, extra=40))
    assert told.at_chance is None
    assert told.boxes < 0.4


def test_a_detector_of_one_class_is_better() -> None:
    """What it says of classes is right as far as it goes: the others are misses."""
    truth, images = split(30)
    found = [tuple(column[labels == 0] for column in (b, s, labels)) for b, s, labels in detections(images)]
    assert verdict(truth, found).at_chance is None


def test_frames_of_one_camera_do_not_misfire() -> None:
    """Boxes of any image fit all the others: moving them says nothing."""
    _, images = split(1)
    truth = GroundTruth.from_arrays(
        [(boxes, labels + 1) for boxes, labels in images * 20],
        list(range(20)),
        NAMES,
        image_sizes=[(200, 200)] * 20,
    )
    told = verdict(truth, detections(images * 20))
    assert told.boxes_by_chance > 0.5
    assert told.at_chance is None


@pytest.mark.parametrize("n", [1, 2, 8, 60])
def test_nothing_found_is_told(n: int) -> None:
    truth, _ = split(n)
    nothing = [(np.zeros((0, 4)), np.zeros(0), np.zeros(0, dtype=np.int64))] * n
    told = verdict(truth, nothing)
    assert told.at_chance == "nothing"
    assert told.text.startswith(f"The detector finds nothing in {n} image")


@pytest.mark.parametrize("n", [2, 8, 60])
@pytest.mark.parametrize("kind", ["anywhere", "the same in every image", "of other images"])
def test_chance_is_told(n: int, kind: str) -> None:
    truth, _ = split(n, per_image=3)
    if kind == "of other images":  # annotations that belong to other files
        found = detections(split(n, seed=99)[1], extra=60)
    else:
        found = detections(split(n, seed=7)[1], extra=97)
        found = [found[0]] * n if kind == "the same in every image" else found
    told = verdict(truth, found)
    assert told.at_chance == "boxes"
    assert told.boxes <= told.boxes_by_chance + 0.005
    assert "no better than chance" in told.text
    assert "weights" in told.text
    assert "normalisation or channel order" in told.text


@pytest.mark.parametrize("n", [1, 3, 30])
@pytest.mark.parametrize("shift", [1, 2, 4])
def test_class_names_in_another_order_are_told(n: int, shift: int) -> None:
    truth, images = split(n)
    told = verdict(truth, detections(images), np.roll(list(NAMES), shift).tolist())
    assert told.at_chance == "classes"
    assert told.boxes > 0.5 > told.classes
    assert "class names in another order" in told.text


def test_two_names_that_changed_places_are_no_chance() -> None:
    truth, images = split(30)
    assert verdict(truth, detections(images), [2, 1, 3, 4, 5]).at_chance is None


def test_without_a_true_box_nothing_is_said() -> None:
    _, images = split(3)
    empty = GroundTruth.from_arrays(
        [(np.zeros((0, 4)), np.zeros(0, dtype=np.int64))] * 3, [0, 1, 2], NAMES, image_sizes=[(200, 200)] * 3
    )
    assert verdict(empty, detections(images)).at_chance is None


def test_it_is_pooled_ap_as_counted_box_by_box() -> None:
    """Against a loop: boxes by falling score, each right if it is the first on the object that it covers best."""
    truth, images = split(12)
    found = detections(images, jitter=12)
    every = sorted(
        ((s, i, b) for i, (boxes, scores, _) in enumerate(found) for b, s in zip(boxes, scores, strict=True)),
        key=lambda one: -one[0],
    )
    taken: set[tuple[int, int]] = set()
    right: list[bool] = []
    for _, image, box in every:
        best, at = 0.5, None
        for k, other in enumerate(images[image][0]):
            wide, high = np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2])
            both = max(wide, 0.0) * max(high, 0.0)
            iou = both / (np.prod(box[2:] - box[:2]) + np.prod(other[2:] - other[:2]) - both)
            if iou >= best:
                best, at = iou, k
        right.append(at is not None and (image, at) not in taken)
        if at is not None:
            taken.add((image, at))
    precision = np.cumsum(right) / np.arange(1, len(right) + 1)
    area = sum(precision[i:].max() for i in range(len(right)) if right[i]) / truth.n_boxes
    assert verdict(truth, found).boxes == pytest.approx(area, abs=1e-12)


def test_evaluate_tells_it_and_is_the_same_twice() -> None:
    truth, _ = split(8)
    ids = truth.image_ids.tolist()
    found = Detections.from_arrays(detections(split(8, seed=5)[1], extra=60), ids, list(NAMES))
    result = evaluate(truth, found, check=False)
    assert result.better_than_chance is not None
    assert result.better_than_chance.at_chance == "boxes"
    assert (
        result.to_dict()["better_than_chance"]
        == evaluate(truth, found, check=False).to_dict()["better_than_chance"]
    )
    assert evaluate(truth, found, check=False, chance_repeats=0).better_than_chance is None


def test_the_hundred_best_boxes_of_an_image_count() -> None:
    truth, images = split(6)
    many = detections(images, extra=300)
    best = [
        tuple(column[np.sort(np.argsort(-s)[:100])] for column in (b, s, labels)) for b, s, labels in many
    ]
    assert verdict(truth, many) == verdict(truth, best)
