"""Deformable attention and convolution against ordinary ones, plain loops and numerical gradients."""

from __future__ import annotations

import itertools
import math
import sys

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck
from torch.nn import functional

from dissect_mmdet.ops import _deform_attn, _deform_conv, _signatures_conv, deform_conv2d, ms_deform_attn

SHAPES = torch.tensor([[5, 7], [3, 2]])
STARTS = torch.tensor([0, 35])


def attention_inputs(seed: int = 0, queries: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    g = torch.Generator().manual_seed(seed)
    value = torch.randn(2, 41, 2, 3, dtype=torch.float64, generator=g)
    locations = torch.rand(2, queries, 2, 2, 3, 2, dtype=torch.float64, generator=g) * 1.6 - 0.3
    weights = torch.rand(2, queries, 2, 2, 3, dtype=torch.float64, generator=g)
    return value, locations, weights


def attention_loop(value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
    images, queries, heads, levels, points, _ = locations.shape
    out = value.new_zeros(images, queries, heads, value.shape[3])
    every = itertools.product(
        range(images), range(queries), range(heads), range(levels), range(points), (0, 1), (0, 1)
    )
    for n, q, m, level, p, dy, dx in every:
        height, width = SHAPES[level].tolist()
        x = float(locations[n, q, m, level, p, 0]) * width - 0.5
        y = float(locations[n, q, m, level, p, 1]) * height - 0.5
        row, column = math.floor(y) + dy, math.floor(x) + dx
        if 0 <= row < height and 0 <= column < width:
            weight = (1 - abs(y - row)) * (1 - abs(x - column)) * float(weights[n, q, m, level, p])
            out[n, q, m] += weight * value[n, int(STARTS[level]) + row * width + column, m]
    return out.flatten(2)


def test_attention_is_the_plain_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    value, locations, weights = attention_inputs()
    expected = attention_loop(value, locations, weights)
    torch.testing.assert_close(ms_deform_attn(value, SHAPES, STARTS, locations, weights), expected)
    monkeypatch.setattr(_deform_attn, "_CHUNK", {"cpu": 1})
    torch.testing.assert_close(ms_deform_attn(value, SHAPES, STARTS, locations, weights), expected)


def test_attention_gradient() -> None:
    value, locations, weights = (tensor.requires_grad_() for tensor in attention_inputs(1, 2))
    assert gradcheck(lambda v, p, w: ms_deform_attn(v, SHAPES, STARTS, p, w), (value, locations, weights))


def test_attention_of_no_query_and_of_places_that_are_not_numbers() -> None:
    value, locations, weights = attention_inputs()
    assert ms_deform_attn(value, SHAPES, STARTS, locations[:, :0], weights[:, :0]).shape == (2, 0, 6)
    locations[:, 0] = float("nan")
    locations[:, 1] = float("inf")
    out = ms_deform_attn(value, SHAPES, STARTS, locations, weights)
    assert out[:, :2].eq(0).all()
    half = ms_deform_attn(value.half(), SHAPES, STARTS, locations.half(), weights.half())
    assert half.dtype == torch.float16
    torch.testing.assert_close(half.double(), out, atol=0.05, rtol=0.05)


def test_attention_equals_mmcv_s_own_torch_version() -> None:
    pytest.importorskip("mmcv")
    from dissect_mmdet.ops import enable_mmcv_ops

    enable_mmcv_ops()
    from mmcv.ops.multi_scale_deform_attn import (
        MultiScaleDeformableAttnFunction,
        multi_scale_deformable_attn_pytorch as theirs,
    )

    theirs = getattr(theirs, "__wrapped__", theirs)
    inputs = [tensor.requires_grad_() for tensor in attention_inputs(2)]
    expected = theirs(inputs[0], SHAPES, *inputs[1:])
    upstream = torch.linspace(-1, 1, expected.numel(), dtype=torch.float64).view_as(expected)
    if type(sys.modules["mmcv._ext"]).__name__ != "TorchOperators":
        pytest.skip("a compiled mmcv without CUDA has no such operator")
    actual = MultiScaleDeformableAttnFunction.apply(inputs[0], SHAPES, STARTS, *inputs[1:], 64)
    torch.testing.assert_close(actual, expected)
    for a, b in zip(
        torch.autograd.grad(actual, inputs, upstream),
        torch.autograd.grad(expected, inputs, upstream),
        strict=True,
    ):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("stride", [(1, 1), (2, 1)])
@pytest.mark.parametrize(("groups", "deform_groups"), [(1, 1), (2, 1), (1, 2), (2, 4)])
def test_convolution_without_offsets_is_the_ordinary_one(
    stride: tuple[int, int], groups: int, deform_groups: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    g = torch.Generator().manual_seed(0)
    x, weight = torch.randn(2, 8, 9, 11, generator=g), torch.randn(6, 8 // groups, 3, 2, generator=g)
    bias = torch.randn(6, generator=g)
    geometry = {"stride": stride, "padding": (1, 2), "dilation": (1, 2), "groups": groups}
    expected = functional.conv2d(x, weight, bias, **geometry)
    offset = torch.zeros(2, deform_groups * 2 * 6, *expected.shape[2:])
    out = deform_conv2d(x, offset, weight, bias, deform_groups=deform_groups, **geometry)
    torch.testing.assert_close(out, expected, atol=1e-4, rtol=1e-4)
    mask = torch.full((2, deform_groups * 6, *expected.shape[2:]), 0.5)
    monkeypatch.setattr(_deform_conv, "_MAX_COLUMNS", 1000)
    out = deform_conv2d(x, offset, weight, None, mask, deform_groups=deform_groups, **geometry)
    expected = functional.conv2d(x, weight, **geometry) / 2
    torch.testing.assert_close(out, expected, atol=1e-4, rtol=1e-4)


def test_convolution_with_whole_offsets_shifts() -> None:
    x = torch.arange(20.0).view(1, 1, 4, 5)
    offset = torch.zeros(1, 2, 4, 5)
    offset[:, 0], offset[:, 1] = 1, -2
    out = deform_conv2d(x, offset, torch.ones(1, 1, 1, 1))
    expected = torch.zeros_like(x)
    expected[..., :3, 2:] = x[..., 1:, :3]
    assert torch.equal(out, expected)


def test_convolution_gradient() -> None:
    g = torch.Generator().manual_seed(5)
    x = torch.randn(1, 4, 4, 5, dtype=torch.float64, generator=g, requires_grad=True)
    offset = torch.rand(1, 2 * 2 * 4, 3, 4, dtype=torch.float64, generator=g, requires_grad=True)
    weight = torch.randn(2, 2, 2, 2, dtype=torch.float64, generator=g, requires_grad=True)
    mask = torch.rand(1, 2 * 4, 3, 4, dtype=torch.float64, generator=g, requires_grad=True)
    bias = torch.randn(2, dtype=torch.float64, generator=g, requires_grad=True)

    def convolve(x: Tensor, offset: Tensor, weight: Tensor, mask: Tensor, bias: Tensor) -> Tensor:
        return deform_conv2d(x, offset, weight, bias, mask, groups=2, deform_groups=2)

    assert gradcheck(convolve, (x, offset, weight, mask, bias))


def test_modulated_convolution_reads_offsets_of_a_finer_level_from_the_first_on() -> None:
    g = torch.Generator().manual_seed(4)
    x, weight = torch.randn(2, 4, 3, 4, generator=g), torch.randn(5, 4, 3, 3, generator=g)
    offset, mask = torch.randn(2, 18, 6, 8, generator=g), torch.rand(2, 9, 6, 8, generator=g)
    laid_out = [
        torch.stack([one.flatten()[: one.shape[0] * 12].view(-1, 3, 4) for one in each])
        for each in (offset, mask)
    ]
    expected = deform_conv2d(x, laid_out[0], weight, None, laid_out[1], padding=(1, 1))
    geometry = {"kernel_h": 3, "kernel_w": 3, "stride_h": 1, "stride_w": 1, "pad_h": 1, "pad_w": 1}
    geometry |= {"dilation_h": 1, "dilation_w": 1, "group": 1, "deformable_group": 1, "with_bias": False}
    out, empty = torch.empty_like(expected), x.new_empty(0)

    def forward(moved: Tensor, factor: Tensor) -> None:
        _signatures_conv.modulated_deform_conv_forward(
            x, weight, empty, empty, moved, factor, out, empty, **geometry
        )

    forward(offset, mask)
    torch.testing.assert_close(out, expected)
    gradients = [torch.zeros_like(each) for each in (x, weight, empty, offset, mask)]
    _signatures_conv.modulated_deform_conv_backward(
        x, weight, empty, empty, offset, mask, empty, *gradients, torch.ones_like(out), **geometry
    )
    needed = [each.clone().requires_grad_() for each in laid_out]
    deform_conv2d(x, needed[0], weight, None, needed[1], padding=(1, 1)).sum().backward()
    for got, wanted in zip(gradients[3:], needed, strict=True):
        flat = got.flatten(1)
        torch.testing.assert_close(flat[:, : wanted[0].numel()], wanted.grad.flatten(1))
        assert not flat[:, wanted[0].numel() :].any()
    with pytest.raises(RuntimeError, match="must be given for each of 3 x 4 output cells, got 2 x 2"):
        forward(offset[..., :2, :2], mask)


def test_plain_convolution_refuses_offsets_of_another_size() -> None:
    x, weight, offset = torch.randn(1, 2, 4, 4), torch.randn(3, 2, 1, 1), torch.zeros(1, 2, 5, 5)
    with pytest.raises(RuntimeError, match="for each of 4 x 4 output cells, got 5 x 5"):
        _signatures_conv.deform_conv_forward(
            x, weight, offset, torch.empty(1, 3, 4, 4), x, x, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1
        )
