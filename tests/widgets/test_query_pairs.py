"""Detectors that choose their queries from each image: boxes are compared by their place, never by their number."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray

pytest.importorskip("pyarrow")

from dissect_core.detectors import ImageDetections
from dissect_core.store import Study
from dissect_eval import pairwise_iou
from dissect_eval.study import QueryBoxes, query_changes
from dissect_eval.study.images._query_pairs import SAME_PLACE, pairs_by_place
from dissect_widgets import QueryPanel
from toy_detector import QueryDetector, ToyDetector
from toy_split import Split, write_study

CHANNEL = "channels/channel/each/features:2"


class TwoStage(ToyDetector):
    """Numbers its detections from the best to the worst, as a detector does that chooses its queries."""

    chooses_queries = True

    def detect(self, image: NDArray[np.uint8]) -> ImageDetections:
        found = super().detect(image)
        rank = np.argsort(np.argsort(-found.scores, kind="stable"), kind="stable")
        return found._replace(queries=rank.astype(np.int64))


class Untold(TwoStage):
    """Does not say what its queries are."""

    chooses_queries = None  # type: ignore[assignment]


def boxes_of(rng: np.random.Generator, n_images: int, most: int) -> QueryBoxes:
    images = np.repeat(np.arange(n_images), rng.integers(0, most + 1, n_images))
    n = len(images)
    boxes = np.concatenate([rng.uniform(0.3, 0.7, (n, 2)), rng.uniform(0.2, 0.4, (n, 2))], axis=1).round(2)
    starts = np.searchsorted(images, images)
    return QueryBoxes(images, np.arange(n) - starts, boxes, rng.random(n), boxes[:, 2:])


def greedily(before: QueryBoxes, after: QueryBoxes) -> set[tuple[int, int]]:
    """Pairs by the definition: the largest overlap of each image first, one after the other."""
    pairs = set()
    for image in np.unique(before.images):
        ours, theirs = (np.flatnonzero(one.images == image) for one in (before, after))
        corners = [
            np.hstack([b[:, :2] - b[:, 2:] / 2, b[:, :2] + b[:, 2:] / 2])
            for b in (before.boxes[ours], after.boxes[theirs])
        ]
        overlap = pairwise_iou(*corners)
        while overlap.size and overlap.max() >= SAME_PLACE:
            i, j = np.unravel_index(np.argmax(overlap), overlap.shape)
            pairs.add((int(ours[i]), int(theirs[j])))
            overlap[i], overlap[:, j] = -1, -1
    return pairs


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(1, 12))
def test_pairs_are_those_of_the_definition(seed: int, n_images: int, most: int) -> None:
    rng = np.random.default_rng(seed)
    before, after = boxes_of(rng, n_images, most), boxes_of(rng, n_images, most)
    first, second = pairs_by_place(before, after)
    assert set(zip(first.tolist(), second.tolist(), strict=True)) == greedily(before, after)
    assert (before.images[first] == after.images[second]).all()
    assert len(set(first.tolist())) == len(set(second.tolist())) == len(first)


def test_renumbered_queries_have_not_moved() -> None:
    rng = np.random.default_rng(3)
    before = boxes_of(rng, 40, 6)
    mixed = rng.permutation(len(before.images))
    after = QueryBoxes(*(column[mixed] for column in before))
    order = np.argsort(after.images, kind="stable")
    after = QueryBoxes(*(column[order] for column in after))
    # The numbers follow the new order: query k is another box now.
    after = after._replace(queries=np.arange(len(after.images)) - np.searchsorted(after.images, after.images))
    changes = query_changes(before, after, by_place=True)
    np.testing.assert_allclose(changes.distances, 0, atol=1e-12)
    assert changes.n_alone.sum() == 0
    assert changes.n_images.sum() == len(before.images)
    assert query_changes(before, after).distances.max() > 0.05, "by number they seem to"


def test_what_has_no_partner_is_counted_and_in_no_mean() -> None:
    def of(*centers: float) -> QueryBoxes:
        boxes = np.array([[x, 0.5, 0.1, 0.1] for x in centers])
        images, queries = np.arange(len(centers)), np.zeros(len(centers), dtype=np.int64)
        return QueryBoxes(images, queries, boxes, np.ones(len(centers)), boxes[:, 2:])

    changes = query_changes(of(0.2, 0.4, 0.6), of(0.21, 0.9, 0.61), by_place=True)
    assert (changes.n_images.tolist(), changes.n_alone.tolist()) == ([2], [1])
    np.testing.assert_allclose(changes.distances, [0.01])


@pytest.fixture(params=[TwoStage, Untold, QueryDetector])
def opened(
    request: pytest.FixtureRequest, split: Split, tmp_path: Path
) -> Iterator[tuple[type[ToyDetector], QueryPanel]]:
    panel = QueryPanel(write_study(split, tmp_path / "out", request.param()))
    yield request.param, panel
    panel.close()


def test_the_panel_compares_by_place_unless_queries_are_known_to_stay(
    opened: tuple[type[ToyDetector], QueryPanel],
) -> None:
    kind, panel = opened
    panel.variant.value = CHANNEL
    panel.show.value = "displacement"
    noted = Study.open(panel.model.study.path).chooses_queries
    assert noted is {TwoStage: True, Untold: None, QueryDetector: False}[kind]
    text, heads = panel.snapshot(), [column.title for column in panel.table.columns]
    if kind is QueryDetector:
        assert "Without partner" not in heads
        assert "paired by their place" not in text
        return
    assert "Without partner" in heads
    assert "Boxes are paired by their place" in panel.model.picture().named.caption
    assert "query k is the k-th proposal" in text
    wanted = "This detector chooses" if kind is TwoStage else "The study does not say"
    assert wanted in text
    panel.show.value = "ablated"
    assert "number k is the k-th proposal" in panel.model.picture().named.caption
