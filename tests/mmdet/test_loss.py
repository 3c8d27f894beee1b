"""The bundled detectors' own losses on images with truth: boxes by hand, and a number that says what it should."""

from __future__ import annotations

import random
import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from dissect_eval import GroundTruth
from dissect_mmdet import DissectMMDetError, MMDetDetector, open_mmdet
from dissect_mmdet.demo import demo_files
from dissect_mmdet.errors import AnnotationError, ImageError
from helpers import DemoData

NAMES = {1: "circle", 2: "square", 4: "triangle", 7: "star", 8: "ring", 13: "cross", 20: "cat"}


@pytest.fixture(scope="module")
def truth(demo_data: DemoData) -> GroundTruth:
    return GroundTruth.from_coco(demo_data.annotations)


def numpy_state() -> Any:
    """Of the generator that MMDetection's samplers use."""
    state: Any = np.random.get_state()  # noqa: NPY002
    return state[1].copy()


def batches_of(detector: MMDetDetector, data: DemoData, truth: GroundTruth, size: int = 6) -> list[Any]:
    return list(detector.prepare_with_truth(data.paths, truth, batch_size=size))


def changed_truth(truth: GroundTruth, boxes: Any = None, labels: Any = None) -> GroundTruth:
    """The same images with other boxes or categories."""
    boxes, labels = truth.boxes if boxes is None else boxes, truth.category_ids if labels is None else labels
    splits = [slice(*ends) for ends in zip(truth.image_splits, truth.image_splits[1:], strict=False)]
    return GroundTruth.from_arrays(
        [(boxes[rows], labels[rows]) for rows in splits],
        truth.image_ids,
        dict(truth.category_names),
        file_names=truth.file_names,
        iscrowd=[truth.iscrowd[rows] for rows in splits],
        area=[truth.area[rows] for rows in splits],
    )


def test_boxes_are_scaled_with_their_image(detr: MMDetDetector, tmp_path: Path) -> None:
    """192 × 48 pixels go into the demo pipeline's 128 × 96: both sides by two thirds."""
    cv2.imwrite(str(tmp_path / "wide.png"), np.zeros((48, 192, 3), np.uint8))
    boxes: list[list[float]] = [
        [30, 6, 60, 36],  # ring
        [-9, 12, 198, 60],  # circle, over the edges: clipped to the image
        [90, 9, 99, 18],  # crowd
        [0, 0, 9, 9],  # cat, which is no class
        [12, 0, 12.5, 9],  # half a pixel wide
        [30, 30, 60, 45],  # marked `ignore`
        [200, 0, 230, 30],  # outside the image
        [30, 0, 60, 30],  # without area
        [60, 24, 90, 48],  # cross
    ]
    truth = GroundTruth.from_arrays(
        [(boxes, [8, 1, 2, 20, 4, 4, 4, 4, 13])],
        [5],
        NAMES,
        file_names=["folder/wide.png"],
        iscrowd=[[0, 0, 1, 0, 0, 0, 0, 0, 0]],
        ignore=[[0, 0, 0, 0, 0, 1, 0, 0, 0]],
        area=[[9, 9, 9, 9, 9, 9, 9, 0, 9]],
    )
    (tmp_path / "folder").mkdir()
    (tmp_path / "wide.png").rename(tmp_path / "folder" / "wide.png")
    (batch,) = detr.prepare_with_truth([tmp_path / "folder" / "wide.png"], truth)
    (sample,) = batch["data_samples"]
    assert batch["inputs"][0].shape == (3, 32, 128)
    assert sample.img_id == 5
    instances = sample.gt_instances
    np.testing.assert_allclose(
        instances.bboxes.tensor, [[20, 4, 40, 24], [0, 8, 128, 32], [40, 16, 60, 32]], rtol=1e-6
    )
    assert instances.labels.tolist() == [4, 0, 5]
    np.testing.assert_allclose(sample.ignored_instances.bboxes.tensor, [[60, 6, 66, 12]], rtol=1e-6)
    assert sample.ignored_instances.labels.tolist() == [1]


def test_the_loss_is_repeatable_and_disturbs_nothing(
    any_detector: MMDetDetector, demo_data: DemoData, truth: GroundTruth
) -> None:
    model: Any = any_detector.model
    batches = batches_of(any_detector, demo_data, truth, size=4)
    assert [len(batch["inputs"]) for batch in batches] == [4, 2]
    before = any_detector.predict_batches(batches)
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    states = torch.get_rng_state(), numpy_state(), random.getstate()
    with torch.no_grad():
        first = [any_detector.loss(batch) for batch in batches]
    with torch.inference_mode():
        again = [any_detector.loss(batch) for batch in batches]
    for one, other in zip(first, again, strict=True):
        assert one.shape == ()
        assert one.requires_grad
        assert bool(torch.isfinite(one))
        assert torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.array_equal(numpy_state(), states[1])
    assert random.getstate() == states[2]
    assert not any(module.training for module in model.modules())
    for name, value in model.state_dict().items():
        assert torch.equal(value, weights[name]), name
    for old, new in zip(before, any_detector.predict_batches(batches), strict=True):
        np.testing.assert_array_equal(old.boxes, new.boxes)


def test_the_loss_is_the_sum_of_mmdetections_own(
    detr: MMDetDetector, demo_data: DemoData, truth: GroundTruth
) -> None:
    """DETR draws nothing, and does not choose by its mode: its method `loss` gives the parts."""
    (batch,) = batches_of(detr, demo_data, truth)
    copies = {**batch, "data_samples": [sample.clone() for sample in batch["data_samples"]]}
    model: Any = detr.model
    data = model.data_preprocessor(copies, False)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parts = model.loss(data["inputs"], data["data_samples"])
    assert {"loss_cls", "loss_bbox", "loss_iou", "d0.loss_cls"} <= set(parts)
    assert float(detr.loss(batch).detach()) == pytest.approx(sum(map(float, parts.values())), rel=1e-6)


def test_another_state_of_chance_gives_the_same_loss(
    any_detector: MMDetDetector, demo_data: DemoData, truth: GroundTruth
) -> None:
    (batch,) = batches_of(any_detector, demo_data, truth)
    found = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        found.append(float(any_detector.loss(batch).detach()))
    assert found[0] == found[1]


def test_the_right_truth_costs_least(
    any_detector: MMDetDetector, demo_data: DemoData, truth: GroundTruth
) -> None:
    def loss(given: GroundTruth) -> float:
        (batch,) = batches_of(any_detector, demo_data, given)
        return float(any_detector.loss(batch).detach())

    right = loss(truth)
    assert loss(changed_truth(truth)) == right
    known = list(truth.category_names)
    other = {known[i]: known[i - 1] for i in range(len(known))}
    wrong_labels = np.array([other[int(i)] for i in truth.category_ids])
    assert loss(changed_truth(truth, labels=wrong_labels)) > 1.2 * right
    mirrored = truth.boxes[:, [2, 1, 0, 3]] * [-1, 1, -1, 1] + [128, 0, 128, 0]
    assert loss(changed_truth(truth, boxes=mirrored)) > 1.5 * right


def test_gradients_reach_every_layer(
    any_detector: MMDetDetector, demo_data: DemoData, truth: GroundTruth
) -> None:
    (batch,) = batches_of(any_detector, demo_data, truth)
    with torch.no_grad():
        value = any_detector.loss(batch)
    names = [name for name, _ in any_detector.model.named_parameters() if name.endswith("weight")]
    parameters = [any_detector.model.get_parameter(name) for name in names]
    gradients = torch.autograd.grad(value, parameters, allow_unused=True)
    unused = {name for name, g in zip(names, gradients, strict=True) if g is None or not g.any()}
    assert not {n for n in unused if n.startswith(("backbone", "neck", "encoder", "decoder"))}


def test_images_without_truth_count(any_detector: MMDetDetector, demo_data: DemoData) -> None:
    (path,) = demo_data.paths[:1]
    empty = GroundTruth.from_arrays([([], [])], [1], NAMES, file_names=[path.name])
    (batch,) = any_detector.prepare_with_truth([path], empty)
    assert len(batch["data_samples"][0].gt_instances) == 0
    value = any_detector.loss(batch)
    assert bool(torch.isfinite(value))
    assert bool(value > 0)


def test_nothing_but_the_choice_of_losses_is_in_training(demo_data: DemoData, truth: GroundTruth) -> None:
    """Seen while the loss is taken, with dropout and batch norms that would show."""
    files = demo_files("dino")
    detector = open_mmdet(config=files.config, checkpoint=files.checkpoint)
    for module in detector.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.9
    training: set[str] = set()
    model: Any = detector.model

    def note(module: Any, args: Any) -> None:
        training.update(name for name, m in model.named_modules() if m.training)

    (batch,) = batches_of(detector, demo_data, truth)
    model.decoder.layers[0].register_forward_pre_hook(note)
    model.train()
    model.neck.eval()
    modes = [module.training for module in model.modules()]
    detector.loss(batch)
    assert training == {"", "decoder", "bbox_head"}
    assert [module.training for module in model.modules()] == modes

    def broken(module: Any, args: Any) -> None:
        raise RuntimeError("on purpose")

    model.decoder.layers[1].register_forward_pre_hook(broken)
    with pytest.raises(RuntimeError, match="on purpose"):
        detector.loss(batch)
    assert [module.training for module in model.modules()] == modes


def test_what_is_refused(
    detr: MMDetDetector, demo_data: DemoData, truth: GroundTruth, tmp_path: Path
) -> None:
    (plain,) = detr.prepare(demo_data.paths[:1])
    with pytest.raises(DissectMMDetError, match=r"must hold truth for each image.*`prepare_with_truth`"):
        detr.loss(plain)
    with pytest.raises(
        AnnotationError, match=r"stranger\.png: must be one of the truth's file names.* not among"
    ):
        detr.prepare_with_truth([tmp_path / "stranger.png"], truth)
    with pytest.raises(AnnotationError, match=r"\(circle, square, triangle, …\).*no name in common"):
        detr.prepare_with_truth(
            demo_data.paths, GroundTruth.from_arrays([([], [])], [1], {3: "cat"}, file_names=["a.png"])
        )
    twice = GroundTruth.from_arrays([([], [])] * 2, [1, 2], NAMES, file_names=["a.png"] * 2)
    with pytest.raises(AnnotationError, match=r"a\.png: .* more than once among its 2"):
        detr.prepare_with_truth(["a.png"], twice)
    missing = GroundTruth.from_arrays([([], [])], [1], NAMES, file_names=["a.png"])
    with pytest.raises(ImageError, match=r"a\.png: no such file"):
        list(detr.prepare_with_truth([tmp_path / "a.png"], missing))
