"""The loss is the model's own on labels that its image processor made of the truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from dissect_core.detectors import LossDetector, open_detector
from dissect_eval import GroundTruth
from dissect_transformers import AnnotationError, DissectTransformersError, PictureError
from families import CLASS_NAMES, FAMILIES, build

BOXES = ([[10, 10, 40, 50], [5, 5, 20, 20]], [[10, 20, 40, 70]], [])
CATEGORIES = ([7, 2], [5], [])
NAMES = {7: "circle", 5: "square", 2: "triangle"}
SIZES = [(80, 60), (60, 80), (70, 70)]


def truth_of(**more: Any) -> GroundTruth:
    objects = list(zip(BOXES, CATEGORIES, strict=True))
    given = {"image_sizes": SIZES, "file_names": ["0.png", "1.png", "2.png"], **more}
    return GroundTruth.from_arrays(objects, [3, 4, 5], NAMES, **given)


def opened(name: str) -> Any:
    model, processor = build(name)
    return open_detector("transformers", model, processor=processor)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_loss_is_the_models_own(name: str, pictures: list[Path]) -> None:
    detector = opened(name)
    assert isinstance(detector, LossDetector)
    (batch,) = detector.prepare_with_truth(pictures, truth_of(), batch_size=3)
    loss = detector.loss(batch)
    again = detector.loss(batch)
    assert loss.item() == again.item() > 0
    # By hand: COCO's format through the image processor, then the model with these labels.
    model, processor = build(name)
    annotations = [
        {
            "image_id": number,
            "annotations": [
                {
                    "bbox": [x, y, right - x, bottom - y],
                    "category_id": CLASS_NAMES.index(NAMES[category]),
                    "area": (right - x) * (bottom - y),
                    "iscrowd": 0,
                }
                for (x, y, right, bottom), category in zip(boxes, categories, strict=True)
            ],
        }
        for number, (boxes, categories) in enumerate(zip(BOXES, CATEGORIES, strict=True))
    ]
    images = [Image.open(path).convert("RGB") for path in pictures]
    inputs = processor(images=images, annotations=annotations, return_tensors="pt")
    if name == "yolos":
        inputs.pop("pixel_mask")
    assert loss.item() == pytest.approx(model(**inputs).loss.item(), rel=1e-6)
    # Predictions on the same images are left as they were.
    with torch.no_grad():
        detector.model.zero_grad()
        loss = detector.loss(batch)
    loss.backward()
    gradients = [values.grad for values in detector.model.parameters() if values.grad is not None]
    assert sum(bool(gradient.abs().sum() > 0) for gradient in gradients) > 20
    assert not detector.model.training


def test_labels_are_shares_of_the_padded_input(pictures: list[Path]) -> None:
    """Of 96 x 96: the first image is 96 wide and 72 high in it, as 80 x 60 is made 1.2 times larger."""
    (batch,) = opened("detr").prepare_with_truth(pictures[:2], truth_of(), batch_size=2)
    assert batch.inputs["pixel_values"].shape[-2:] == (96, 96)
    first, second = batch.labels
    assert first["class_labels"].tolist() == [0, 2]
    assert second["class_labels"].tolist() == [1]
    centre = np.array([25, 30, 30, 40]) * 1.2 / 96
    np.testing.assert_allclose(first["boxes"][0].numpy(), centre, rtol=1e-5)
    np.testing.assert_allclose(second["boxes"][0].numpy(), np.array([25, 45, 30, 50]) * 1.2 / 96, rtol=1e-5)


def test_boxes_that_do_not_count(pictures: list[Path]) -> None:
    boxes = [[[10, 10, 40, 50], [1, 1, 9, 9], [-30, -30, -5, -5], [3, 3, 3.5, 20], [20, 20, 30, 30]]]
    truth = GroundTruth.from_arrays(
        [(boxes[0], [7, 5, 2, 2, 9])],
        [3],
        {**NAMES, 9: "unknown to the detector"},
        image_sizes=SIZES[:1],
        file_names=["0.png"],
        iscrowd=[[0, 1, 0, 0, 0]],
    )
    (batch,) = opened("detr").prepare_with_truth(pictures[:1], truth)
    assert batch.labels[0]["class_labels"].tolist() == [0]


def test_names_that_differ_are_mapped(pictures: list[Path]) -> None:
    detector = opened("detr")
    truth = GroundTruth.from_arrays(
        [(BOXES[0], [1, 2])], [3], {1: "disc", 2: "box"}, image_sizes=SIZES[:1], file_names=["0.png"]
    )
    with pytest.raises(
        AnnotationError, match=r"the truth's categories \(disc, box, …\) have no name in common"
    ):
        detector.prepare_with_truth(pictures[:1], truth)
    (batch,) = detector.prepare_with_truth(
        pictures[:1], truth, class_map={"circle": "disc", "square": "box", "triangle": None}
    )
    assert batch.labels[0]["class_labels"].tolist() == [0, 1]
    with pytest.raises(AnnotationError, match=r"`class_map` gives 'disc' to 'circle' and 'square'"):
        detector.prepare_with_truth(pictures[:1], truth, class_map={"circle": "disc", "square": "disc"})


def test_wrong_truths(pictures: list[Path], tmp_path: Path) -> None:
    detector = opened("detr")
    Image.new("RGB", (8, 8)).save(tmp_path / "other.png")
    with pytest.raises(
        AnnotationError, match=r"other.png: must be one of the truth's file names, but is not among"
    ):
        detector.prepare_with_truth([tmp_path / "other.png"], truth_of())
    twice = truth_of(file_names=["0.png", "0.png", "2.png"])
    with pytest.raises(AnnotationError, match=r"0.png: must be .*, but is more than once among its 3"):
        detector.prepare_with_truth(pictures[:1], twice)
    larger = truth_of(image_sizes=[(81, 60), (60, 80), (70, 70)])
    with pytest.raises(PictureError, match="is read as 80 x 60 pixels, but was annotated as 81 x 60"):
        list(detector.prepare_with_truth(pictures, larger))


def test_a_batch_without_truth_has_no_loss(pictures: list[Path]) -> None:
    detector = opened("detr")
    (batch,) = detector.prepare(pictures[:1])
    with pytest.raises(
        DissectTransformersError, match="`batch` must hold truth for each image to have a loss"
    ):
        detector.loss(batch)


def test_a_loss_that_fails_says_so(pictures: list[Path]) -> None:
    """YOLOS with an auxiliary loss fails in Transformers 5.24."""
    detector = opened("yolos")
    detector.model.config.auxiliary_loss = True
    (batch,) = detector.prepare_with_truth(pictures[:1], truth_of())
    with pytest.raises(
        DissectTransformersError, match=r"YolosForObjectDetection has no loss on this batch: TypeError"
    ):
        detector.loss(batch)
