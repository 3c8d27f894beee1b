from __future__ import annotations

from itertools import permutations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays
from sklearn.metrics import f1_score

from dissect_eval import (
    BoxError,
    Detections,
    SettingError,
    match_image,
    match_pairs,
    paired_labels_f1,
    pairwise_giou,
)
from dissect_eval.matching import f1_of_counts


def small_boxes(n):
    raw = arrays(np.int64, st.tuples(st.integers(0, n), st.just(4)), elements=st.integers(0, 12))
    return raw.map(lambda a: np.concatenate([a[:, :2], a[:, :2] + a[:, 2:]], 1).astype(float))


@given(small_boxes(5), small_boxes(5))
def test_matching_is_optimal(truth, found):
    rows, columns, giou = match_image(truth, found)
    assert len(rows) == min(len(truth), len(found))
    assert len(set(rows.tolist())) == len(set(columns.tolist())) == len(rows)
    table = pairwise_giou(truth, found)
    np.testing.assert_array_equal(giou, table[rows, columns])
    if len(truth) > len(found):
        table = table.T
    best = max(
        sum(table[i, j] for i, j in enumerate(order))
        for order in permutations(range(table.shape[1]), len(table))
    )
    assert giou.sum() == pytest.approx(best, abs=1e-12)


def test_matching_rejects_nan_before_the_solver():
    with pytest.raises(BoxError, match="`detection_boxes` row 0 must be finite"):
        match_image([[0, 0, 1, 1]], [[0, 0, np.nan, 1]])


def test_pairs_over_images(truth_of):
    truth = truth_of({1: [(1, 0, 0, 2, 2)], 2: [], 3: [(1, 0, 0, 2, 2), (2, 4, 4, 2, 2)]})
    arrays_ = [
        ([[0, 0, 2, 1]], [0.1], [0]),
        ([[0, 0, 9, 9]], [0.9], [0]),
        ([[4, 4, 6, 6], [9, 9, 9, 9], [0, 0, 2, 2]], [0.1, 0.2, 0.3], [1, 1, 0]),
    ]
    pairs = match_pairs(truth, Detections.from_arrays(arrays_, [1, 2, 3], [1, 2]))
    assert pairs.image_index.tolist() == [0, 2, 2]
    assert pairs.truth_index.tolist() == [0, 1, 2]
    assert pairs.detection_index.tolist() == [0, 4, 2]
    assert pairs.giou.tolist() == [0.5, 1, 1]
    assert len(match_pairs(truth, Detections.from_arrays([], [], []))) == 0


labels = st.lists(st.tuples(st.integers(-3, 90), st.integers(-3, 90)), min_size=1, max_size=40)
close_labels = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40)


@settings(max_examples=50)
@given(labels | close_labels)
def test_f1_equals_scikit_learn(pairs):
    true, predicted = map(list, zip(*pairs, strict=True))
    ours = paired_labels_f1(true, predicted)
    assert ours.labels.tolist() == sorted(set(true) | set(predicted))
    assert ours.weighted == pytest.approx(f1_score(true, predicted, average="weighted"), abs=1e-12)
    np.testing.assert_allclose(ours.f1, f1_score(true, predicted, average=None), atol=1e-12)


@settings(max_examples=30)
@given(close_labels)
def test_f1_over_chosen_labels_equals_scikit_learn(pairs):
    true, predicted = map(list, zip(*pairs, strict=True))
    chosen = [3, 0, 7]
    ours = paired_labels_f1(true, predicted, labels=chosen, undefined=0)
    expected = f1_score(true, predicted, labels=chosen, average=None, zero_division=0)
    np.testing.assert_allclose(ours.f1, expected, atol=1e-12)
    assert ours.labels.tolist() == chosen
    assert ours.support.tolist() == [true.count(c) for c in chosen]


def test_f1_without_pairs():
    nothing = paired_labels_f1([], [])
    assert len(nothing.f1) == 0
    assert np.isnan(nothing.weighted)
    assert paired_labels_f1([], [], labels=[1], undefined=0).f1.tolist() == [0]
    assert paired_labels_f1([], [], undefined=0).weighted == 0


def test_f1_bad_input():
    with pytest.raises(SettingError, match="must pair up, got 2 and 1"):
        paired_labels_f1([1, 2], [1])
    with pytest.raises(SettingError, match="`labels` must be unique"):
        paired_labels_f1([1], [1], labels=[1, 1])


def test_f1_of_counts():
    np.testing.assert_array_equal(f1_of_counts([2, 0], [2, 0], [0, 0]), [2 / 3, np.nan])
