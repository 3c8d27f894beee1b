from __future__ import annotations

import math

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays

from dissect_eval import BoxError, pairwise_iou
from dissect_eval.boxes import (
    aligned_ciou,
    aligned_diou,
    aligned_ioa,
    aligned_iou,
    pairwise_ciou,
    pairwise_diou,
    pairwise_ioa,
)

PAIRS = [(pairwise_diou, aligned_diou), (pairwise_ciou, aligned_ciou), (pairwise_ioa, aligned_ioa)]
MEASURES = [pairwise_diou, pairwise_ciou]


def boxes(max_size=6, lo=-1000.0, hi=1000.0):
    """Boxes with float coordinates, often degenerate or sharing an edge."""
    value = st.one_of(st.integers(-4, 4).map(float), st.floats(lo, hi, allow_subnormal=True))
    raw = arrays(np.float64, st.tuples(st.integers(0, max_size), st.just(4)), elements=value)
    return raw.map(
        lambda a: np.concatenate([np.minimum(a[:, :2], a[:, 2:]), np.maximum(a[:, :2], a[:, 2:])], 1)
    )


def slow(a, b):
    """DIoU and CIoU of arXiv:1911.08287 for one pair, in Python floats."""
    (aw, ah), (bw, bh) = ((r[2] - r[0], r[3] - r[1]) for r in (a, b))
    inter_w, inter_h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    inter = inter_w * inter_h if inter_w > 0 and inter_h > 0 else 0.0
    union = aw * ah + bw * bh - inter
    iou = inter / union if union > 0 else 0.0
    centres = math.dist(((a[0] + a[2]) / 2, (a[1] + a[3]) / 2), ((b[0] + b[2]) / 2, (b[1] + b[3]) / 2))
    diagonal = math.hypot(max(a[2], b[2]) - min(a[0], b[0]), max(a[3], b[3]) - min(a[1], b[1]))
    diou = iou - ((centres / diagonal) ** 2 if diagonal > 0 else 0.0)
    if (aw == 0 and ah == 0) or (bw == 0 and bh == 0):
        return diou, diou
    v = 4 / math.pi**2 * (math.atan2(bw, bh) - math.atan2(aw, ah)) ** 2
    alpha = v / (1 - iou + v) if v > 0 else 0.0
    return diou, diou - alpha * v


V_2_TO_1 = 4 / math.pi**2 * (math.atan(2) - math.pi / 4) ** 2


@pytest.mark.parametrize(
    ("a", "b", "diou", "ciou"),
    [
        ([0, 0, 2, 2], [0, 0, 2, 2], 1, 1),
        ([0, 0, 2, 2], [1, 1, 3, 3], 1 / 7 - 2 / 18, 1 / 7 - 2 / 18),
        ([0, 0, 2, 2], [4, 0, 6, 2], -16 / 40, -16 / 40),
        ([0, 0, 4, 4], [1, 1, 3, 3], 1 / 4, 1 / 4),  # one centre
        ([0, 0, 2, 2], [0, 0, 4, 2], 0.5 - 1 / 20, 0.5 - 1 / 20 - V_2_TO_1**2 / (0.5 + V_2_TO_1)),
        ([3, 3, 3, 3], [3, 3, 3, 3], 0, 0),  # identical points: the hull is a point
        ([0, 0, 0, 0], [1, 1, 1, 1], -1, -1),  # two points
        ([0, 0, 2, 2], [1, 1, 1, 1], 0, 0),  # a point in the centre: no aspect ratio
        ([0, 0, 0, 2], [0, 2, 0, 4], -1 / 4, -1 / 4),  # on one line: a hull without area
        ([0, 0, 0, 2], [0, 0, 0, 2], 0, 0),  # identical lines have no union
        ([-1, 0, 1, 0], [0, -1, 0, 1], 0, -1 / 2),  # crossed lines: v is 1
    ],
)
def test_hand_computed(a, b, diou, ciou):
    assert pairwise_diou([a], [b])[0, 0] == pytest.approx(diou, abs=1e-15)
    assert pairwise_ciou([a], [b])[0, 0] == pytest.approx(ciou, abs=1e-15)


@given(boxes(), boxes())
def test_properties(a, b):
    iou, diou, ciou = pairwise_iou(a, b), pairwise_diou(a, b), pairwise_ciou(a, b)
    for values, low in ((diou, -1), (ciou, -1.5)):
        assert values.shape == (len(a), len(b))
        assert values.dtype == np.float64
        assert np.isfinite(values).all()
        assert ((values >= low) & (values <= 1)).all()
    assert (diou <= iou).all()
    assert (ciou <= diou).all()
    np.testing.assert_array_equal(diou, pairwise_diou(b, a).T)
    np.testing.assert_array_equal(ciou, pairwise_ciou(b, a).T)
    expected = np.reshape([slow(p, q) for p in a.tolist() for q in b.tolist()], (len(a), len(b), 2))
    np.testing.assert_allclose(np.stack([diou, ciou], axis=-1), expected, atol=1e-9)


@given(boxes(max_size=5), boxes(max_size=5))
def test_aligned_is_the_diagonal(a, b):
    n = min(len(a), len(b))
    for pairwise, aligned in PAIRS:
        np.testing.assert_array_equal(aligned(a[:n], b[:n]), np.diagonal(pairwise(a[:n], b[:n])))


@given(
    arrays(np.int64, (4, 2), elements=st.integers(-50, 50)),
    arrays(np.int64, (4, 2), elements=st.integers(0, 50)),
    arrays(np.int64, (4, 2), elements=st.integers(0, 50)),
)
def test_same_centre_leaves_iou(centre, half_a, half_b):
    a, b = (np.concatenate([centre - half, centre + half], axis=1) for half in (half_a, half_b))
    np.testing.assert_array_equal(aligned_diou(a, b), aligned_iou(a, b))
    similar = np.concatenate([centre - 2 * half_a, centre + 2 * half_a], axis=1)
    np.testing.assert_array_equal(aligned_ciou(a, similar), aligned_iou(a, similar))


@given(
    arrays(np.int64, (3, 4), elements=st.integers(0, 50)),
    arrays(np.int64, (3, 4), elements=st.integers(0, 50)),
    st.integers(-1000, 1000),
    st.sampled_from([0.25, 0.5, 2.0, 1024.0]),
)
def test_translation_and_scale_do_not_matter(p, q, shift, scale):
    a, b = (np.concatenate([x[:, :2], x[:, :2] + x[:, 2:]], 1).astype(float) for x in (p, q))
    for measure in MEASURES:
        np.testing.assert_array_equal(measure(a + shift, b + shift), measure(a, b))
        np.testing.assert_allclose(measure(a * scale, b * scale), measure(a, b), atol=1e-14)


def test_extreme_sizes():
    huge, tiny = [[-1e150, -1e150, 1e150, 1e150]], [[0, 0, 1e-200, 1e-200]]
    for measure in MEASURES:
        assert np.isfinite(measure(huge + tiny, huge + tiny)).all()
        assert measure(huge, huge)[0, 0] == 1
        # Squares of such lengths are 0 in float64; the ratio is not.
        assert measure(tiny, [[3e-200, 0, 4e-200, 1e-200]])[0, 0] == pytest.approx(-9 / 17)


@pytest.mark.parametrize(("pairwise", "aligned"), PAIRS)
def test_inputs_are_checked(pairwise, aligned):
    assert pairwise([], [[0, 0, 1, 1]]).shape == (0, 1)
    assert aligned([], []).shape == (0,)
    with pytest.raises(BoxError, match="`boxes_b` row 0 must be finite with max >= min"):
        pairwise([[0, 0, 1, 1]], [[5, 5, 2, 2]])
    with pytest.raises(BoxError, match=r"as many rows as each other, got 1 and 2.*pairwise_"):
        aligned([[0, 0, 1, 1]], [[0, 0, 1, 1]] * 2)
