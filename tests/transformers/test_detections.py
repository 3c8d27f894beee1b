"""Detections are those of the model's own post-processing, to the bit, each with the query that it is from."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from dissect_core.detectors import ImageDetections, open_detector
from families import CLASS_NAMES, FAMILIES, N_QUERIES, build

SOFTMAX = ("detr", "yolos")  # the others use a sigmoid for each class


def opened(name: str) -> Any:
    model, processor = build(name)
    return open_detector("transformers", model, processor=processor)


def by_hand(name: str, pictures: list[Path], batch_size: int) -> tuple[list[dict[str, Any]], list[Any]]:
    """What a user of Transformers gets, as its documentation says; and the raw outputs, one for each image."""
    model, processor = build(name)
    found, raw = [], []
    for start in range(0, len(pictures), batch_size):
        images = [Image.open(path).convert("RGB") for path in pictures[start : start + batch_size]]
        inputs = processor(images=images, return_tensors="pt")
        if name == "yolos":
            inputs.pop("pixel_mask", None)  # which it does not take
        with torch.no_grad():
            outputs = model(**inputs)
        sizes = torch.tensor([image.size[::-1] for image in images])
        found += processor.post_process_object_detection(outputs, threshold=0.0, target_sizes=sizes)
        raw += list(zip(outputs.logits, outputs.pred_boxes, sizes.tolist(), strict=True))
    return found, raw


@pytest.mark.parametrize("batch_size", [1, 2])
@pytest.mark.parametrize("name", FAMILIES)
def test_boxes_scores_and_labels_are_the_models_own(name: str, batch_size: int, pictures: list[Path]) -> None:
    expected, raw = by_hand(name, pictures, batch_size)
    found = opened(name).predict(pictures, batch_size=batch_size)
    assert [len(one.scores) for one in found] == [len(one["scores"]) for one in expected]
    for ours, theirs in zip(found, expected, strict=True):
        assert len(ours.scores)
        for field in ("boxes", "scores", "labels"):
            assert np.array_equal(getattr(ours, field), theirs[field].numpy())
    for ours, (logits, boxes, size) in zip(found, raw, strict=True):
        check_queries(name, ours, logits, boxes, size)


def check_queries(name: str, found: ImageDetections, logits: Any, boxes: Any, size: list[int]) -> None:
    """Each detection has the score and the box of its query, computed anew from the raw outputs."""
    queries = found.queries
    assert queries is not None
    assert len(boxes) == N_QUERIES
    scores = logits.softmax(-1) if name in SOFTMAX else logits.sigmoid()
    np.testing.assert_allclose(scores[queries, found.labels].numpy(), found.scores, rtol=1e-6)
    x, y, width, height = boxes[queries].double().unbind(-1)
    corners = torch.stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2], dim=-1)
    scale = torch.tensor([size[1], size[0], size[1], size[0]])
    np.testing.assert_allclose(found.boxes, (corners * scale).numpy(), atol=1e-4)
    # A detection is from one query alone: no other has this very box.
    assert len({tuple(row) for row in boxes.tolist()}) == N_QUERIES


def test_scores_of_zero_are_left_out_as_transformers_does(pictures: list[Path]) -> None:
    model, processor = build("conditional_detr")
    with torch.no_grad():
        model.class_labels_classifier.bias[1] = -1e4  # whose sigmoid is 0.0
    found = open_detector("transformers", model, processor=processor)
    for one in found.predict(pictures):  # type: ignore[attr-defined]
        assert set(one.labels) == {0, 2}


def test_detections_that_are_not_numbers_are_left_out(pictures: list[Path]) -> None:
    detector = opened("conditional_detr")
    with torch.no_grad():
        detector.model.class_labels_classifier.bias[1] = float("nan")
    for one in detector.predict(pictures):
        assert set(one.labels) == {0, 2}
        assert one.queries is not None


def test_padding_is_told_by_a_mask(pictures: list[Path]) -> None:
    (batch,) = opened("detr").prepare(pictures[:2], batch_size=2)
    assert batch.inputs["pixel_values"].shape == (2, 3, 96, 96)
    mask = batch.inputs["pixel_mask"]
    assert mask.flatten(1).sum(1).tolist() == [72 * 96, 96 * 72]
    assert mask[0, 72:].sum() == 0
    assert mask[1, :, 72:].sum() == 0
    assert batch.sizes == [(60, 80), (80, 60)]
    assert opened("detr").image_sizes(batch) == [(80, 60), (60, 80)]


def test_a_model_is_given_only_what_it_takes(pictures: list[Path]) -> None:
    (batch,) = opened("yolos").prepare(pictures[:1])
    assert set(batch.inputs) == {"pixel_values"}


def test_a_mask_keeps_what_is_in_the_padding_from_counting(pictures: list[Path], tmp_path: Path) -> None:
    """DETR attends to no padding: without the mask the same batch gives something else."""
    Image.new("RGB", (90, 30), (10, 200, 90)).save(tmp_path / "low.png")
    detector = opened("detr")
    (batch,) = detector.prepare([tmp_path / "low.png", pictures[1]], batch_size=2)
    with torch.no_grad():
        masked = detector.model(**batch.inputs).logits
        bare = detector.model(pixel_values=batch.inputs["pixel_values"]).logits
    assert not torch.equal(masked, bare)


def test_images_are_turned_as_their_files_say(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn to the right
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif.tobytes())
    detector = opened("detr")
    (batch,) = detector.prepare([tmp_path / "turned.png"])
    assert detector.image_sizes(batch) == [(60, 80)]
    assert detector.turns_by_exif
    upright = detector.predict(np.rot90(pixels, -1).copy())
    assert np.array_equal(detector.predict(tmp_path / "turned.png").boxes, upright.boxes)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK"])
def test_images_of_other_modes_become_rgb(mode: str, tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    path = tmp_path / ("image.tif" if mode == "CMYK" else "image.png")
    image = Image.fromarray(pixels).convert(mode)
    image.save(path)
    assert len(opened("detr").predict(path).scores) == N_QUERIES


def test_a_very_narrow_image_is_read_as_one(tmp_path: Path) -> None:
    """An image three pixels high is not taken for one of three channels."""
    Image.new("RGB", (40, 3), (200, 30, 60)).save(tmp_path / "narrow.png")
    (batch,) = opened("rt_detr").prepare([tmp_path / "narrow.png"])
    assert batch.sizes == [(3, 40)]
    assert batch.inputs["pixel_values"].shape == (1, 3, 96, 96)


def test_a_detector_can_be_pickled(pictures: list[Path]) -> None:
    detector = opened("rt_detr")
    again = pickle.loads(pickle.dumps(detector))
    assert np.array_equal(again.predict(pictures[0]).boxes, detector.predict(pictures[0]).boxes)
    assert again.facts == detector.facts


def test_what_a_detector_says_of_itself() -> None:
    detector = opened("yolos")
    assert detector.class_names == CLASS_NAMES
    assert repr(detector) == (
        "<transformers detector YolosForObjectDetection: 3 classes (circle, square, triangle), 56,536 parameters, "
        "on cpu>"
    )
    assert detector.title == "YolosForObjectDetection"
    assert set(detector.facts["packages"]) >= {"transformers", "pillow", "python"}
    other = opened("detr")
    assert other.facts["config"]["model"] != detector.facts["config"]["model"]
    assert other.facts["config"]["processor"] != detector.facts["config"]["processor"]


def test_another_threshold_of_the_processor_is_another_study() -> None:
    detector = opened("detr")
    before = detector.facts
    detector.processor.size = {"shortest_edge": 64, "longest_edge": 108}
    assert detector.facts["config"]["processor"] != before["config"]["processor"]
    assert detector.facts["config"]["model"] == before["config"]["model"]


LEARNED = ("detr", "conditional_detr", "dab_detr", "deformable_detr", "yolos")
"""Families whose queries are the same in each image; those of all others are chosen by their encoder's scores."""


@pytest.mark.parametrize("name", FAMILIES)
def test_whether_queries_are_chosen_from_each_image_is_told(name: str) -> None:
    assert opened(name).chooses_queries is (name not in LEARNED)
