"""RoIAlign and RoIPool against plain loops, by hand, and their gradients."""

from __future__ import annotations

import itertools
import math
from typing import Literal

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from dissect_mmdet.ops import _roi_align, _roi_align_max, roi_align, roi_pool

REGIONS = torch.tensor(
    [
        [0, 1.0, 2.0, 9.0, 7.5],
        [1, -6.0, -4.0, 30.0, 40.0],
        [0, 3.3, 3.3, 3.4, 3.4],
        [1, 0.0, 0.0, 5.0, 60.0],
        [0, 60.0, 60.0, 80.0, 80.0],
    ],
    dtype=torch.float64,
)


def sample(plane: Tensor, y: float, x: float) -> float:
    height, width = plane.shape
    if y < -1 or y > height or x < -1 or x > width:
        return 0.0
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    top, left = int(y), int(x)
    total = 0.0
    for dy, dx in itertools.product((0, 1), (0, 1)):
        row, column = min(top + dy, height - 1), min(left + dx, width - 1)
        weight = ((y - top) if dy else 1 - (y - top)) * ((x - left) if dx else 1 - (x - left))
        total += weight * float(plane[row, column])
    return total


def loop(
    features: Tensor, rois: Tensor, size: tuple[int, int], scale: float, ratio: int, mode: str, aligned: bool
) -> Tensor:
    out = features.new_zeros(len(rois), features.shape[1], *size)
    for index, (image, *box) in enumerate(rois.tolist()):
        left, top, right, bottom = (value * scale - 0.5 * aligned for value in box)
        extent = (bottom - top, right - left) if aligned else (max(bottom - top, 1), max(right - left, 1))
        bins = (extent[0] / size[0], extent[1] / size[1])
        grid = [ratio or math.ceil(step) for step in bins]
        for channel, i, j in itertools.product(range(features.shape[1]), range(size[0]), range(size[1])):
            values = [
                sample(
                    features[int(image), channel],
                    top + i * bins[0] + (a + 0.5) * bins[0] / grid[0],
                    left + j * bins[1] + (b + 0.5) * bins[1] / grid[1],
                )
                for a, b in itertools.product(range(grid[0]), range(grid[1]))
            ]
            out[index, channel, i, j] = max(values) if mode == "max" else sum(values) / len(values)
    return out


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("mode", ["avg", "max"])
@pytest.mark.parametrize("ratio", [0, 1, 3])
def test_roi_align_is_the_plain_loop(
    ratio: int, mode: Literal["avg", "max"], aligned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    features = torch.randn(2, 2, 9, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = loop(features, REGIONS, (2, 3), 0.5, ratio, mode, aligned)
    torch.testing.assert_close(roi_align(features, REGIONS, (2, 3), 0.5, ratio, mode, aligned), expected)
    # The same in many small pieces.
    monkeypatch.setattr(_roi_align, "_MAX_TAPS", 50)
    monkeypatch.setattr(_roi_align_max, "_MAX_VALUES", 20)
    torch.testing.assert_close(roi_align(features, REGIONS, (2, 3), 0.5, ratio, mode, aligned), expected)


def test_roi_align_of_a_ramp_is_the_bin_centre() -> None:
    ramp = torch.arange(10.0).expand(1, 1, 10, 10)
    pooled = roi_align(ramp, torch.tensor([[0.0, 2, 2, 8, 8]]), (3, 3), aligned=True)
    torch.testing.assert_close(pooled[0, 0, 0], torch.tensor([2.5, 4.5, 6.5]))
    legacy = roi_align(ramp, torch.tensor([[0.0, 2, 2, 8, 8]]), (3, 3), aligned=False)
    torch.testing.assert_close(legacy[0, 0, 0], torch.tensor([3.0, 5.0, 7.0]))


@pytest.mark.parametrize("mode", ["avg", "max"])
@pytest.mark.parametrize("ratio", [0, 2])
def test_roi_align_gradient(ratio: int, mode: Literal["avg", "max"]) -> None:
    features = torch.randn(2, 2, 6, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    def pool(x: Tensor) -> Tensor:
        return roi_align(x, REGIONS[:4], (2, 2), 0.25, ratio, mode, True)

    assert gradcheck(pool, features.requires_grad_())


def test_roi_align_of_regions_without_samples() -> None:
    features = torch.ones(1, 2, 4, 4)
    nan, inf = float("nan"), float("inf")
    rois = torch.tensor(
        [[0, 3, 3, 1, 1.0], [0, nan, 0, 1, 1], [0, 0, 0, inf, 1], [0, 1, 1, 1, 1], [0, 0, 0, 4, 4]]
    )
    pooled = roi_align(features, rois, (2, 2))
    assert pooled[:4].eq(0).all()
    assert pooled[4].eq(1).all()
    assert roi_align(features, rois[:0], (2, 2)).shape == (0, 2, 2, 2)
    assert roi_align(features, rois[:0], (2, 2), mode="max").shape == (0, 2, 2, 2)
    assert roi_align(features, rois[:4], (2, 2), mode="max").eq(-10000).all()


def test_roi_align_in_half_precision_is_the_rounded_result() -> None:
    features = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(2)).half()
    rois = torch.tensor([[0.0, 1, 1, 6, 5]])
    pooled = roi_align(features, rois.half(), (2, 2))
    assert pooled.dtype == torch.float16
    torch.testing.assert_close(pooled, roi_align(features.float(), rois, (2, 2)).half())


def pool_loop(features: Tensor, rois: Tensor, size: tuple[int, int], scale: float) -> tuple[Tensor, Tensor]:
    _, channels, height, width = features.shape
    out = features.new_zeros(len(rois), channels, *size)
    where = torch.full(out.shape, -1, dtype=torch.int32)
    for index, (image, x1, y1, x2, y2) in enumerate(rois.tolist()):
        left, top, right, bottom = x1 * scale, y1 * scale, (x2 + 1) * scale, (y2 + 1) * scale
        if right <= left or bottom <= top:
            continue
        step = ((bottom - top) / size[0], (right - left) / size[1])
        for i, j in itertools.product(range(size[0]), range(size[1])):
            rows = range(
                max(math.floor(i * step[0] + top), 0), min(math.ceil((i + 1) * step[0] + top), height)
            )
            columns = range(
                max(math.floor(j * step[1] + left), 0), min(math.ceil((j + 1) * step[1] + left), width)
            )
            cells = [row * width + column for row in rows for column in columns]
            for channel in range(channels):
                plane = features[int(image), channel].flatten()
                if cells:
                    best = max(cells, key=lambda cell: (float(plane[cell]), -cell))
                    out[index, channel, i, j], where[index, channel, i, j] = plane[best], best
    return out, where


def test_roi_pool_is_the_plain_loop() -> None:
    g = torch.Generator().manual_seed(3)
    features = torch.randint(-5, 5, (2, 3, 9, 12), generator=g).double()  # with many equal cells
    rois = torch.cat([REGIONS, torch.tensor([[0, 5.0, 5.0, 2.0, 2.0]], dtype=torch.float64)])
    for scale in (0.5, 1.0):
        pooled, argmax = roi_pool(features, rois, (2, 3), scale)
        expected, where = pool_loop(features, rois, (2, 3), scale)
        assert torch.equal(pooled, expected)
        assert torch.equal(argmax, where)
    assert roi_pool(features, rois[:0], (2, 3))[0].shape == (0, 3, 2, 3)


def test_roi_pool_gradient() -> None:
    g = torch.Generator().manual_seed(4)
    features = torch.randperm(2 * 2 * 6 * 7, generator=g).view(2, 2, 6, 7).double().requires_grad_()
    assert gradcheck(lambda x: roi_pool(x, REGIONS[:4], (2, 2), 0.25)[0], features)
