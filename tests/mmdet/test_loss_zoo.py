"""Losses of MMDetection's own architectures, randomly weighted and small."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import pytest
import torch

import zoo
from dissect_eval import GroundTruth
from dissect_mmdet import DissectMMDetError, require_mmdet
from dissect_mmdet.detector import TestPipeline
from dissect_mmdet.detector._loss import batches_with_truth, training_loss

pytestmark = pytest.mark.filterwarnings(
    "ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"
)

CLASSES = [f"class {i}" for i in range(80)]
BOXES = [[20, 30, 80, 90], [60, 20, 140, 100], [5, 5, 45, 60]]


def detector_and_batch(name: str, folder: Path, labels: list[int]) -> tuple[Any, Any]:
    """A detector, and a batch of an image with boxes and one without."""
    require_mmdet()
    model, config = zoo.build_detector(zoo.ARCHITECTURES[name])
    scale = zoo.SCALE
    for step in config.test_dataloader.dataset.pipeline:
        if "scale" in step:
            step["scale"] = scale
        if step["type"] == "Pad" and "size" in step:
            step["size"] = (192, 192)
    pipeline = TestPipeline(config)
    images = [folder / "0.png", folder / "1.png"]
    for seed, path in enumerate(images):
        cv2.imwrite(str(path), zoo.random_image(seed=seed))
    truth = GroundTruth.from_arrays(
        [(BOXES[: len(labels)], labels), ([], [])],
        [1, 2],
        dict(enumerate(CLASSES)),
        file_names=["0.png", "1.png"],
    )
    (batch,) = batches_with_truth(pipeline, images, truth, CLASSES, batch_size=2)
    return model, batch


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("Faster R-CNN", "roi_head.bbox_head"),
        ("RetinaNet", "bbox_head"),
        ("YOLOX", "bbox_head"),
        ("Deformable DETR, two-stage", "encoder"),
    ],
)
def test_finite_repeatable_and_differentiable(name: str, part: str, tmp_path: Path) -> None:
    model, batch = detector_and_batch(name, tmp_path, [0, 16, 3])
    before = {key: value.clone() for key, value in model.state_dict().items()}
    torch.manual_seed(1)
    first = training_loss(model, batch)
    torch.manual_seed(2)
    again = training_loss(model, batch)
    assert bool(torch.isfinite(first))
    assert torch.equal(first, again)
    assert not any(module.training for module in model.modules())
    assert model.state_dict().keys() == before.keys()
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key]), key
    # The backbone's first stage is frozen by its config.
    reached = [p for module in (model.backbone, model.get_submodule(part)) for p in module.parameters()]
    gradients = torch.autograd.grad(first, [p for p in reached if p.requires_grad], allow_unused=True)
    shares = [g is not None and bool(g.isfinite().all()) and bool(g.any()) for g in gradients]
    assert sum(shares) > 0.8 * len(shares)


@pytest.mark.slow
def test_ddq_gets_what_its_decoder_and_head_need_in_training(tmp_path: Path) -> None:
    model, batch = detector_and_batch("DDQ", tmp_path, [0, 16])
    before = list(model.state_dict())
    model.requires_grad_(False)
    assert bool(torch.isfinite(training_loss(model, batch)))
    assert list(model.state_dict()) == before


@pytest.mark.parametrize("name", ["Faster R-CNN", "RetinaNet"])
def test_the_loss_depends_on_boxes_and_classes(name: str, tmp_path: Path) -> None:
    values = []
    for labels in ([0, 16, 3], [0, 16, 4], [0, 16]):
        model, batch = detector_and_batch(name, tmp_path, labels)
        values.append(float(training_loss(model, batch).detach()))
    assert len(set(values)) == 3


def test_masks_are_refused(tmp_path: Path) -> None:
    model, batch = detector_and_batch("Mask R-CNN", tmp_path, [0])
    with pytest.raises(DissectMMDetError, match=r"MaskRCNN learns from masks.*`weight_norm`"):
        training_loss(model, batch)
