"""Suppression against the plain greedy loop over pairs, and on input at the edge of sense."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor

from dissect_mmdet.ops import _suppression, batched_nms, nms, nms_match, soft_nms


def iou(a: np.ndarray, b: np.ndarray, offset: int) -> np.float32:
    wide = np.maximum(np.minimum(a[2], b[2]) - np.maximum(a[0], b[0]) + np.float32(offset), np.float32(0))
    high = np.maximum(np.minimum(a[3], b[3]) - np.maximum(a[1], b[1]) + np.float32(offset), np.float32(0))
    one = np.float32(offset)
    areas = [(c[2] - c[0] + one) * (c[3] - c[1] + one) for c in (a, b)]
    with np.errstate(all="ignore"):
        return wide * high / (areas[0] + areas[1] - wide * high)


def greedy(boxes: Tensor, scores: Tensor, threshold: float, offset: int = 0) -> list[int]:
    """The definition: a double loop over pairs."""
    rows = boxes.numpy()
    order = scores.sort(0, descending=True)[1].tolist()
    kept: list[int] = []
    for index in order:
        if not any(iou(rows[better], rows[index], offset) > np.float32(threshold) for better in kept):
            kept.append(index)
    return kept


@st.composite
def scenes(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    """Boxes with many ties, duplicates, empty and inverted ones."""
    count = draw(st.integers(0, 40))
    coordinate = st.sampled_from([0.0, 1.0, 2.0, 2.5, 3.0, 5.0, 8.0, 13.0, 100.0])
    boxes = draw(st.lists(st.tuples(*[coordinate] * 4), min_size=count, max_size=count))
    scores = draw(st.lists(st.sampled_from([0.1, 0.2, 0.5, 0.5000001, 0.9]), min_size=count, max_size=count))
    return torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4), torch.tensor(scores)


# Small sizes make a few dozen boxes cross blocks and tiles; the second is the path of an accelerator.
@pytest.mark.parametrize("sizes", [(256, 500), (4, 3), (5, 1 << 40)])
@given(scene=scenes(), threshold=st.sampled_from([0.0, 0.1, 1 / 3, 0.5, 1.0]), offset=st.sampled_from([0, 1]))
@settings(max_examples=60, deadline=None)
def test_nms_is_the_greedy_loop(
    sizes: tuple[int, int], scene: tuple[Tensor, Tensor], threshold: float, offset: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_suppression, "_CPU", _suppression._Sizes(*sizes))
        assert nms(*scene, threshold, offset).tolist() == greedy(*scene, threshold, offset)


def test_nms_is_the_greedy_loop_across_blocks_and_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_suppression, "_CPU", _suppression._Sizes(block=60, tile=50))
    g = torch.Generator().manual_seed(0)
    corner = torch.rand(500, 2, generator=g) * 200
    boxes = torch.cat([corner, corner + 5 + 40 * torch.rand(500, 2, generator=g)], 1)
    boxes[::97, 1] = float("nan")
    boxes[1::97, 2] = float("inf")
    scores = torch.rand(500, generator=g)
    kept = nms(boxes, scores, 0.4)
    assert kept.tolist() == greedy(boxes, scores, 0.4)
    assert 50 < len(kept) < 450


def test_nms_keeps_a_box_at_exactly_the_threshold() -> None:
    boxes = torch.tensor([[0.0, 0, 2, 2], [0, 0, 2, 1]])  # IoU is 0.5
    scores = torch.tensor([0.9, 0.8])
    assert nms(boxes, scores, 0.5).tolist() == [0, 1]
    assert nms(boxes, scores, 0.49).tolist() == [0]
    assert nms_match(torch.cat([boxes, scores[:, None]], 1), 0.5) == [[0, 1]]


def test_nms_with_offset_counts_pixels() -> None:
    boxes = torch.tensor([[0.0, 0, 0, 0], [0, 0, 0, 0]])  # one pixel each with the offset, nothing without
    assert nms(boxes, torch.tensor([0.5, 0.4]), 0.5, offset=1).tolist() == [0]
    assert nms(boxes, torch.tensor([0.5, 0.4]), 0.5, offset=0).tolist() == [0, 1]


@pytest.mark.parametrize("threshold", [-0.5, 0.0, 0.5])
def test_nms_of_nothing_and_of_one(threshold: float) -> None:
    assert nms(torch.zeros(0, 4), torch.zeros(0), threshold).tolist() == []
    assert nms(torch.tensor([[0.0, 0, 1, 1]]), torch.tensor([0.5]), threshold).tolist() == [0]
    assert nms_match(torch.zeros(0, 5), threshold) == []


def test_nms_below_zero_keeps_one_box() -> None:
    boxes = torch.arange(2000.0)[:, None] * 10 + torch.tensor([0.0, 0, 5, 5])
    assert nms(boxes, torch.linspace(1, 0, 2000), -0.1).tolist() == [0]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_nms_takes_other_precisions(dtype: torch.dtype) -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [20, 0, 30, 10]], dtype=dtype)
    assert nms(boxes, torch.tensor([0.9, 0.8, 0.95], dtype=dtype), 0.5).tolist() == [2, 0]


def test_batched_nms_is_nms_of_each_class() -> None:
    g = torch.Generator().manual_seed(1)
    corner = torch.rand(900, 2, generator=g) * 100
    boxes = torch.cat([corner, corner + 30 * torch.rand(900, 2, generator=g)], 1)
    scores, labels = torch.rand(900, generator=g), torch.randint(7, (900,), generator=g)
    kept = batched_nms(boxes, scores, labels, 0.3)
    expected = []
    for label in range(7):
        members = (labels == label).nonzero().flatten()
        expected += members[nms(boxes[members], scores[members], 0.3)].tolist()
    assert sorted(kept.tolist()) == sorted(expected)
    assert (scores[kept].diff() <= 0).all()
    assert len(kept) > len(nms(boxes, scores, 0.3))


def test_nms_match_groups_are_a_partition_led_by_kept_boxes() -> None:
    g = torch.Generator().manual_seed(2)
    corner = torch.rand(700, 2, generator=g) * 100
    boxes = torch.cat([corner, corner + 30 * torch.rand(700, 2, generator=g)], 1)
    scores = torch.rand(700, generator=g)
    groups = nms_match(torch.cat([boxes, scores[:, None]], 1), 0.3)
    assert sorted(index for group in groups for index in group) == list(range(700))
    assert [group[0] for group in groups] == nms(boxes, scores, 0.3).tolist()
    for group in groups:
        assert (scores[group].diff() <= 0).all()
        assert all(iou(boxes[group[0]].numpy(), boxes[i].numpy(), 0) >= 0.3 for i in group[1:])


def test_soft_nms_by_hand() -> None:
    boxes = torch.tensor([[0.0, 0, 2, 2], [0, 0, 2, 1], [9, 9, 10, 10]])  # IoU of the first two is 0.5
    scores = torch.tensor([0.9, 0.8, 0.5])
    linear, order = soft_nms(boxes, scores, 0.3, method=1)
    assert order.tolist() == [0, 2, 1]
    torch.testing.assert_close(linear[:, 4], torch.tensor([0.9, 0.5, 0.4]))
    gaussian, _ = soft_nms(boxes, scores, 0.3, sigma=0.5, method=2)
    torch.testing.assert_close(gaussian[:, 4].min(), torch.tensor(0.8) * torch.exp(torch.tensor(-0.5)))
    assert soft_nms(boxes, scores, 0.3, method=0)[1].tolist() == [0, 2]
    assert soft_nms(boxes, scores, 0.3, method=1, min_score=0.45)[1].tolist() == [0, 2]
    assert soft_nms(boxes[:0], scores[:0])[0].shape == (0, 5)
