"""RF-DETR's image processor without torchvision gives what Transformers' own gives with it."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import DeformableDetrImageProcessorPil

from dissect_core.detectors import open_detector
from dissect_transformers.models._rf_detr import RfDetrImageProcessorPil
from families import build

SIZES = [{"height": 56, "width": 56}, {"shortest_edge": 40, "longest_edge": 90}]
BOXES = [{"bbox": [5.0, 8.0, 20.0, 30.0], "category_id": 1, "area": 600.0, "iscrowd": 0}]


@pytest.fixture
def images() -> list[Image.Image]:
    rng = np.random.default_rng(3)
    shapes = ((60, 80, 3), (80, 50, 3))
    return [Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)) for shape in shapes]


@pytest.mark.parametrize("size", SIZES)
def test_it_gives_the_same_bits_as_that_of_torchvision(
    size: dict[str, int], images: list[Image.Image]
) -> None:
    pytest.importorskip("torchvision")
    from transformers import RfDetrImageProcessor

    annotations = [{"image_id": number, "annotations": BOXES} for number in range(2)]
    ours = RfDetrImageProcessorPil(size=size)(images=images, annotations=annotations, return_tensors="pt")
    theirs = RfDetrImageProcessor(size=size)(images=images, annotations=annotations, return_tensors="pt")
    assert torch.equal(ours["pixel_values"], theirs["pixel_values"])
    assert torch.equal(ours["pixel_mask"], theirs["pixel_mask"])
    for one, other in zip(ours["labels"], theirs["labels"], strict=True):
        torch.testing.assert_close(one["boxes"], other["boxes"])
        assert torch.equal(one["class_labels"], other["class_labels"])
    model, _ = build("rf_detr")
    with torch.no_grad():
        outputs = model(pixel_values=torch.rand(2, 3, 112, 112, generator=torch.manual_seed(0)))
    sizes = [(60, 80), (80, 50)]
    for one, other in zip(
        RfDetrImageProcessorPil().post_process_object_detection(outputs, 0.0, sizes),
        RfDetrImageProcessor().post_process_object_detection(outputs, 0.0, sizes),
        strict=True,
    ):
        assert all(torch.equal(one[name], other[name]) for name in ("boxes", "scores", "labels"))


def test_values_are_scaled_before_the_image_is_resized_without_smoothing(images: list[Image.Image]) -> None:
    """Computed anew here: pixels / 255, then bilinear without smoothing, then mean and deviation."""
    size = {"height": 28, "width": 28}
    found = RfDetrImageProcessorPil(size=size)(images=images[:1], return_tensors="pt")["pixel_values"]
    pixels = torch.from_numpy(np.array(images[0])).permute(2, 0, 1)[None] / 255
    small = torch.nn.functional.interpolate(pixels, size=(28, 28), mode="bilinear", antialias=False)
    mean, deviation = (
        torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    torch.testing.assert_close(found, (small - mean) / deviation)
    smoothed = DeformableDetrImageProcessorPil(size=size)(images=images[:1], return_tensors="pt")[
        "pixel_values"
    ]
    assert (found - smoothed).abs().max() > 0.5


def test_a_folder_names_it_as_transformers_does(tmp_path: Path) -> None:
    model, processor = build("rf_detr")
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    told = json.loads((tmp_path / "preprocessor_config.json").read_text())
    assert told["image_processor_type"] == "RfDetrImageProcessor"
    opened = open_detector("transformers", tmp_path)
    if find_spec("torchvision") is None:
        assert type(opened.processor) is RfDetrImageProcessorPil  # type: ignore[attr-defined]
    assert opened.processor.size["height"] == 112  # type: ignore[attr-defined]


def test_an_unknown_resampling_is_refused(images: list[Image.Image]) -> None:
    with pytest.raises(ValueError, match=r"`resample` must be bilinear \(2\) or bicubic \(3\), got"):
        RfDetrImageProcessorPil(size=SIZES[0], resample=1)(images=images, return_tensors="pt")
