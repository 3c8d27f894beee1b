from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays

from dissect_eval import BoxError, EvalError, pairwise_giou, pairwise_iou, xywh_to_xyxy
from dissect_eval.boxes import (
    aligned_giou,
    aligned_iou,
    cxcywh_to_xyxy,
    pairwise_ioa,
    xyxy_to_cxcywh,
    xyxy_to_xywh,
)

PAIRWISE = [pairwise_iou, pairwise_giou, pairwise_ioa]


def boxes(max_size=6, lo=-1000.0, hi=1000.0):
    """Boxes with float coordinates, often degenerate or sharing an edge."""
    value = st.one_of(st.integers(-4, 4).map(float), st.floats(lo, hi, allow_subnormal=True))
    raw = arrays(np.float64, st.tuples(st.integers(0, max_size), st.just(4)), elements=value)
    return raw.map(
        lambda a: np.concatenate([np.minimum(a[:, :2], a[:, 2:]), np.maximum(a[:, :2], a[:, 2:])], 1)
    )


def slow_giou(a, b):
    """Algorithm 1 of arXiv:1902.09630, one pair at a time, in Python floats."""
    inter_w = min(a[2], b[2]) - max(a[0], b[0])
    inter_h = min(a[3], b[3]) - max(a[1], b[1])
    inter = inter_w * inter_h if inter_w > 0 and inter_h > 0 else 0.0
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inter
    hull = (max(a[2], b[2]) - min(a[0], b[0])) * (max(a[3], b[3]) - min(a[1], b[1]))
    iou = inter / union if union > 0 else 0.0
    return iou - (hull - union) / hull if hull > 0 else 0.0


@pytest.mark.parametrize(
    ("a", "b", "iou", "giou"),
    [
        ([0, 0, 2, 2], [0, 0, 2, 2], 1, 1),
        ([0, 0, 2, 2], [1, 1, 3, 3], 1 / 7, 1 / 7 - 2 / 9),
        ([0, 0, 1, 1], [2, 0, 3, 1], 0, -1 / 3),
        ([0, 0, 4, 4], [1, 1, 3, 3], 1 / 4, 1 / 4),
        ([0, 0, 1, 1], [1, 1, 2, 2], 0, -1 / 2),
        ([3, 3, 3, 3], [3, 3, 3, 3], 0, 0),  # identical points
        ([0, 0, 0, 2], [0, 1, 0, 5], 0, 0),  # a hull without area
        ([0, 0, 0, 0], [1, 1, 1, 1], 0, -1),  # two points: the hull is all gap
        ([0, 0, 2, 2], [1, 1, 1, 1], 0, 0),  # a point inside a box
    ],
)
def test_hand_computed(a, b, iou, giou):
    assert pairwise_iou([a], [b])[0, 0] == pytest.approx(iou, abs=1e-15)
    assert pairwise_giou([a], [b])[0, 0] == pytest.approx(giou, abs=1e-15)
    assert aligned_iou([a], [b])[0] == pairwise_iou([a], [b])[0, 0]
    assert aligned_giou([a], [b])[0] == pairwise_giou([a], [b])[0, 0]


@given(boxes(), boxes())
def test_pairwise_properties(a, b):
    iou, giou, ioa = pairwise_iou(a, b), pairwise_giou(a, b), pairwise_ioa(a, b)
    for values, low in ((iou, 0), (giou, -1), (ioa, 0)):
        assert values.shape == (len(a), len(b))
        assert values.dtype == np.float64
        assert np.isfinite(values).all()
        assert ((values >= low) & (values <= 1)).all()
    assert (giou <= iou).all()
    np.testing.assert_array_equal(giou, pairwise_giou(b, a).T)
    np.testing.assert_array_equal(iou, pairwise_iou(b, a).T)
    expected = [[slow_giou(p, q) for q in b.tolist()] for p in a.tolist()]
    np.testing.assert_allclose(giou, np.reshape(expected, giou.shape), atol=1e-9)


@given(boxes(lo=-50, hi=50))
def test_of_itself(a):
    solid = (a[:, 2:] > a[:, :2] + 1e-6).all(axis=1)
    np.testing.assert_array_equal(aligned_giou(a, a)[solid], 1)
    np.testing.assert_array_equal(aligned_iou(a, a)[solid], 1)


@given(
    arrays(np.int64, (3, 4), elements=st.integers(0, 50)),
    arrays(np.int64, (3, 4), elements=st.integers(0, 50)),
    st.integers(-1000, 1000),
    st.sampled_from([0.25, 0.5, 2.0, 1024.0]),
)
def test_translation_and_scale_do_not_matter(p, q, shift, scale):
    a, b = (np.concatenate([x[:, :2], x[:, :2] + x[:, 2:]], 1).astype(float) for x in (p, q))
    for measure in PAIRWISE:
        np.testing.assert_array_equal(measure(a + shift, b + shift), measure(a, b))
        np.testing.assert_array_equal(measure(a * scale, b * scale), measure(a, b))


def test_ioa_divides_by_the_detection():
    region, inside, half, outside = [0, 0, 100, 100], [5, 5, 6, 6], [90, 0, 110, 10], [200, 0, 210, 10]
    np.testing.assert_array_equal(pairwise_ioa([region], [inside, half, outside]), [[1, 0.5, 0]])
    assert pairwise_ioa([inside], [region])[0, 0] == 1e-4


def test_extreme_sizes_stay_finite():
    huge, tiny = [[-1e150, -1e150, 1e150, 1e150]], [[0, 0, 1e-300, 1e-300]]
    for measure in PAIRWISE:
        assert np.isfinite(measure(huge + tiny, huge + tiny)).all()
        assert measure(huge, huge)[0, 0] == 1


@given(boxes())
def test_conversions_round_trip(a):
    np.testing.assert_allclose(xywh_to_xyxy(xyxy_to_xywh(a)), a, atol=1e-9)
    np.testing.assert_allclose(cxcywh_to_xyxy(xyxy_to_cxcywh(a)), a, atol=1e-9)


def test_conversions_do_not_touch_their_input():
    rows = np.array([[1.0, 2.0, 3.0, 4.0]])
    for convert in (xywh_to_xyxy, xyxy_to_xywh, cxcywh_to_xyxy, xyxy_to_cxcywh):
        out = convert(rows)
        assert not np.shares_memory(out, rows)
    np.testing.assert_array_equal(rows, [[1, 2, 3, 4]])


@pytest.mark.parametrize("measure", PAIRWISE)
def test_empty_sets(measure):
    assert measure([], [[0, 0, 1, 1]]).shape == (0, 1)
    assert measure(np.zeros((0, 4)), np.zeros((0, 4))).shape == (0, 0)


@pytest.mark.parametrize("measure", PAIRWISE)
@pytest.mark.parametrize(
    ("bad", "match"),
    [
        (
            [[0, 0, 1, 1], [5, 5, 2, 2]],
            r"`boxes_b` row 1 must be finite with max >= min, got \[5.0, 5.0, 2.0",
        ),
        ([[0, 0, 1, float("nan")]], r"row 0 must be finite"),
        ([[0, 0, float("inf"), 1]], r"row 0 must be finite"),
        ([[0, 0, 1e200, 1]], r"row 0 must be finite"),
        ([0, 0, 1, 1], r"shape \(n, 4\).*A single box is one row"),
        ([[0, 0, 1]], r"`boxes_b` must have shape \(n, 4\).*got \(1, 3\)"),
        ([[0, 0, 1, "x"]], r"`boxes_b` must be numbers"),
        ([[0, 0, 1, 1], [0, 0]], r"`boxes_b` must be numbers"),
    ],
)
def test_bad_boxes(measure, bad, match):
    with pytest.raises(BoxError, match=match) as caught:
        measure([[0, 0, 1, 1]], bad)
    assert isinstance(caught.value, EvalError)
    assert isinstance(caught.value, ValueError)


def test_corner_rows_point_to_the_conversion():
    with pytest.raises(BoxError, match="call `xywh_to_xyxy` first"):
        xyxy_to_xywh([[10, 10, 5, 5]])


@pytest.mark.parametrize("convert", [xywh_to_xyxy, cxcywh_to_xyxy])
def test_negative_size(convert):
    with pytest.raises(BoxError, match=r"row 1 must be finite with width and height >= 0, got .*Rows are"):
        convert([[0, 0, 1, 1], [0, 0, -1, 1]])


def test_aligned_needs_pairs():
    with pytest.raises(BoxError, match=r"as many rows as each other, got 1 and 2.*pairwise_"):
        aligned_giou([[0, 0, 1, 1]], [[0, 0, 1, 1]] * 2)
