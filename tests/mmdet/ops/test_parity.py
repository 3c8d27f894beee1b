"""The torch operators and whole detectors against a compiled mmcv."""

from __future__ import annotations

from typing import Any

import pytest
import torch

pytestmark = [pytest.mark.parity, pytest.mark.slow]
pytest.importorskip("mmdet")

OPERATORS = ("nms", "nms_match", "softnms", "roi_align", "deform_conv", "modulated_deform_conv")


def largest_difference(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor], where: str) -> float:
    worst = 0.0
    assert ours.keys() == theirs.keys()
    for key, expected in theirs.items():
        actual = ours[key]
        assert actual.shape == expected.shape, (where, key)
        assert actual.dtype == expected.dtype, (where, key)
        if not expected.is_floating_point():
            assert torch.equal(actual, expected), (where, key)
        elif expected.numel():
            scale = expected.abs().max().clamp(min=1.0)
            worst = max(worst, float((actual - expected).abs().max() / scale))
    return worst


@pytest.mark.parametrize("operator", OPERATORS)
def test_operator_equals_the_compiled_one(
    operator: str, reference: dict[str, Any], ours: dict[str, Any], record_property: Any
) -> None:
    names = [name for name in reference["operators"] if name.split("/")[0] == operator]
    assert len(names) >= 8
    worst = {"float32": 0.0, "float64": 0.0}
    for name in names:
        kind = "float64" if "float64" in name else "float32"
        difference = largest_difference(ours["operators"][name], reference["operators"][name], name)
        worst[kind] = max(worst[kind], difference)
    record_property("largest_difference", worst)
    assert worst["float32"] < 1e-5
    assert worst["float64"] < 1e-12


@pytest.mark.parametrize(
    "name",
    [
        "DETR",
        "Deformable DETR",
        "Faster R-CNN",
        "Faster R-CNN, soft-NMS",
        "Faster R-CNN, DCN",
        "Faster R-CNN, DCNv2",
        "ATSS, DyHead",
        "Mask R-CNN",
        "RetinaNet",
        "RTMDet",
    ],
)
def test_detector_gives_the_detections_of_the_compiled_one(
    name: str, reference: dict[str, Any], ours: dict[str, Any]
) -> None:
    actual, expected = ours["detectors"][name], reference["detectors"][name]
    assert len(expected["boxes"]) >= 20
    assert torch.equal(actual["labels"], expected["labels"])
    assert (actual["scores"] - expected["scores"]).abs().max() < 1e-5
    assert (actual["boxes"] - expected["boxes"]).abs().max() < 1e-2
    if "masks" in expected:
        assert (actual["masks"] != expected["masks"]).float().mean() < 1e-3
