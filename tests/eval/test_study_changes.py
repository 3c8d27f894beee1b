"""What a variant changes image by image, beside a plain loop over images."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

pytest.importorskip("pyarrow")

from dissect_eval import pairwise_iou
from dissect_eval.study import ImageBoxes, image_hits, lost_objects


def by_loops(truth: dict[int, ImageBoxes], found: dict[int, ImageBoxes], iou_threshold: float):
    best, hits = [], []
    for image, objects in truth.items():
        boxes = found[image]
        on = pairwise_iou(objects.boxes, boxes.boxes) >= iou_threshold
        on &= objects.labels[:, None] == boxes.labels
        best += [max(boxes.scores[row], default=-np.inf) for row in on]
        hits += [bool(column.any()) for column in on.T]
    return best, hits


def some(rng: np.random.Generator, n: int, least_label: int) -> ImageBoxes:
    low = rng.integers(0, 6, (n, 2)).astype(float)
    boxes = np.hstack([low, low + rng.integers(1, 6, (n, 2))])
    return ImageBoxes(boxes, rng.integers(least_label, 3, n), rng.integers(1, 5, n) / 4)


@given(
    st.integers(0, 2**32),
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6)), max_size=5),
    st.sampled_from([0.1, 0.5, 1]),
)
def test_hits_are_those_of_a_loop(seed: int, sizes: list[tuple[int, int]], iou_threshold: float) -> None:
    rng = np.random.default_rng(seed)
    images = [7 * i for i in range(len(sizes))]
    truth = {image: some(rng, n, -1) for image, (n, _) in zip(images, sizes, strict=True)}
    found = {image: some(rng, n, 0) for image, (_, n) in zip(reversed(images), reversed(sizes), strict=True)}
    hits = image_hits(truth, found, iou_threshold)
    best, expected = by_loops(truth, found, iou_threshold)
    np.testing.assert_array_equal(hits.object_score, best)
    np.testing.assert_array_equal(hits.box_hits, expected)
    assert hits.n_images == len(sizes)
    for threshold in (0.0, 0.5):
        counts = [
            sum(score >= threshold for score, at in zip(best, hits.object_image, strict=True) if at == place)
            for place in range(len(sizes))
        ]
        assert hits.found(threshold).tolist() == counts


@given(st.integers(0, 2**32), st.sampled_from([None, 0, 1]))
def test_objects_found_anew_do_not_make_up_for_lost_ones(seed: int, label: int | None) -> None:
    rng = np.random.default_rng(seed)
    truth = {image: some(rng, 5, -1) for image in range(3)}
    found = [{image: some(rng, 6, 0) for image in truth} for _ in range(2)]
    before, after = (image_hits(truth, one, 0.3) for one in found)
    scores = [by_loops(truth, one, 0.3)[0] for one in found]
    expected = [0, 0, 0]
    for i, (first, second) in enumerate(zip(*scores, strict=True)):
        counts = label is None or truth[i // 5].labels[i % 5] == label
        expected[i // 5] += counts and first >= 0.5 > second
    lost, anew = lost_objects(before, after, 0.5, label), lost_objects(after, before, 0.5, label)
    assert lost.tolist() == expected
    np.testing.assert_array_equal(lost - anew, before.found(0.5, label) - after.found(0.5, label))
