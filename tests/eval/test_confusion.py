from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from dissect_eval import Detections, GroundTruth, SettingError, confusion_matrix

A, B, FAR = (0, 0, 10, 10), (40, 0, 10, 10), (80, 80, 10, 10)


def found_of(rows):
    """Detections of image 1, or `{image: rows}`, from `(category, x, y, w, h, score)` rows."""
    rows = rows if isinstance(rows, dict) else {1: rows}
    arrays = [
        (
            [[x, y, x + w, y + h] for _, x, y, w, h, _ in items],
            [item[5] for item in items],
            np.array([item[0] for item in items], dtype=int),
        )
        for items in rows.values()
    ]
    return Detections.from_arrays(arrays, list(rows), range(10))


def test_hand_computed(truth_of):
    truth = truth_of({1: [(1, *A), (2, *B), (2, *FAR)], 2: []}, categories={1: "cat", 5: "cow", 2: "dog"})
    rows = [(1, *A, 0.9), (1, *B, 0.8), (2, *B, 0.7), (5, 60, 60, 5, 5, 0.3), (2, *FAR, 0.29)]
    result = confusion_matrix(truth, found_of({1: rows, 2: [(1, *A, 0.5)]}))
    assert result.names == ("cat", "dog", "cow")
    assert result.category_ids == (1, 2, 5)
    # The dog at B is taken for a cat, so that the right detection of a lower score finds nothing.
    assert result.counts.tolist() == [[1, 0, 0, 0], [1, 0, 0, 1], [0, 0, 0, 0], [1, 1, 1, 0]]
    assert result.counts.dtype == np.int64
    assert (result.n_below_score, result.n_excused, result.n_dropped) == (1, 0, 0)
    assert json.loads(json.dumps(result.to_dict()))["counts"][1] == [1, 0, 0, 1]


def test_normalized(truth_of):
    rows = [(1, *A, 0.9), (1, *B, 0.8)]
    result = confusion_matrix(truth_of({1: [(1, *A), (2, *B)]}), found_of(rows))
    nan = float("nan")
    np.testing.assert_array_equal(result.normalized("truth"), [[1, 0, 0], [1, 0, 0], [nan] * 3])
    np.testing.assert_array_equal(
        result.normalized("predicted"), [[0.5, nan, nan], [0.5, nan, nan], [0, nan, nan]]
    )
    np.testing.assert_array_equal(result.normalized(None), result.counts)
    with pytest.raises(SettingError, match="`by` must be 'truth', 'predicted' or None, got 'rows'"):
        result.normalized("rows")
    with pytest.raises(ValueError, match="read-only"):
        result.counts[0, 0] = 1


def test_best_overlap_goes_before_category_and_category_before_order(truth_of):
    truth = truth_of({1: [(1, 0, 0, 10, 6), (2, *A)]})
    assert confusion_matrix(truth, found_of([(1, *A, 0.9)])).counts[1, 0] == 1
    same_box = truth_of({1: [(1, *A), (2, *A)]})
    counts = confusion_matrix(same_box, found_of([(2, *A, 0.9)])).counts
    assert counts[1, 1] == 1
    assert counts[0, 2] == 1


def test_a_detection_falls_back_on_the_next_free_box(truth_of):
    truth = truth_of({1: [(1, *A), (2, 0, 0, 10, 8)]})
    counts = confusion_matrix(truth, found_of([(1, *A, 0.9), (1, *A, 0.8)])).counts
    assert counts.tolist() == [[1, 0, 0], [1, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize("flag", ["iscrowd", "ignore"])
def test_regions_excuse_every_category(truth_of, flag):
    truth = truth_of({1: [(1, *A), (1, 20, 20, 60, 60, {flag: 1})]})
    inside, outside, on_truth = (2, 30, 30, 5, 5, 0.9), (2, 0, 80, 10, 10, 0.9), (2, *A, 0.9)
    result = confusion_matrix(truth, found_of([inside, (1, *inside[1:]), outside, on_truth]))
    assert result.counts.tolist() == [[0, 1, 0], [0, 0, 0], [0, 1, 0]]
    assert result.n_excused == 2


def test_nothing_at_all(truth_of):
    result = confusion_matrix(truth_of({1: []}), Detections.from_arrays([], [], []))
    assert not result.counts.any()
    assert np.isnan(result.normalized("truth")).all()


@pytest.mark.parametrize(
    ("settings_", "match"),
    [
        ({"iou_threshold": 0}, r"`iou_threshold` must be in \(0, 1\], got 0. The usual"),
        ({"score_threshold": float("nan")}, "`score_threshold` must be finite, got nan. To keep all use 0."),
    ],
)
def test_bad_settings(truth_of, settings_, match):
    with pytest.raises(SettingError, match=match):
        confusion_matrix(truth_of({1: []}), found_of([]), **settings_)


def overlap(a, b, region):
    w = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    h = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    shared = max(w, 0) * max(h, 0)
    return Fraction(shared, b[2] * b[3] if region else a[2] * a[3] + b[2] * b[3] - shared)


def reference(truths, detections, n):
    def corners(box):
        return box[0], box[1], box[0] + box[2], box[1] + box[3]

    truths = [[*row, True] for row in sorted(truths, key=lambda t: (t[0], corners(t[1])))]
    detections = sorted(detections, key=lambda d: (-d[2], d[0], corners(d[1])))
    matrix = [[0] * (n + 1) for _ in range(n + 1)]
    for category, box, score in detections:
        if score < 0.3:
            continue
        best, where = (Fraction(1, 2), -1), None
        for row in truths:
            true, true_box, region, free = row
            rank = (overlap(true_box, box, False), int(true == category))
            if free and not region and rank > best:
                best, where = rank, row
        if where is not None:
            where[3] = False
            matrix[where[0] - 1][category - 1] += 1
        elif not any(region and overlap(b, box, True) >= Fraction(1, 2) for _, b, region, _ in truths):
            matrix[n][category - 1] += 1
    for category, _, region, free in truths:
        matrix[category - 1][n] += free and not region
    return matrix


side = st.sampled_from([2, 5, 8, 10, 16])
box = st.tuples(st.sampled_from([0, 1, 4, 10]), st.sampled_from([0, 2, 8]), side, side)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 3), box, st.sampled_from([False] * 5 + [True])), max_size=7),
    st.lists(st.tuples(st.integers(1, 3), box, st.sampled_from([0.2, 0.5, 0.9])), max_size=10),
    st.randoms(use_true_random=False),
)
def test_equals_a_plain_loop(coco, truths, detections, random):
    def run():
        rows = {1: [(c, *b, {"iscrowd": int(region)}) for c, b, region in truths]}
        truth = GroundTruth.from_coco(coco(rows, categories={1: "cat", 2: "dog", 3: "cow"}))
        return confusion_matrix(truth, found_of([(c, *b, s) for c, b, s in detections]))

    result = run()
    assert result.counts.tolist() == reference(truths, detections, 3)
    n_regions = sum(region for *_, region in truths)
    assert result.counts[:3].sum() == len(truths) - n_regions
    assert result.counts[:, :3].sum() + result.n_excused + result.n_below_score == len(detections)
    random.shuffle(truths)
    random.shuffle(detections)
    assert (run().counts == result.counts).all()
