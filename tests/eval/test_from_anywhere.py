"""Detections and class names as other tools give them: mappings, repeated names, tensors, generators, file names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dissect_eval import (
    CategoryError,
    CategoryWarning,
    DetectionError,
    Detections,
    GroundTruth,
    TruthError,
    label_to_category,
    match_classes,
)

BOXES = [([[0, 0, 10, 10]], [1]), ([[5, 5, 20, 20]], [18])]


def truth() -> GroundTruth:
    names = {1: "person", 18: "dog"}
    return GroundTruth.from_arrays(BOXES, [7, 9], names, file_names=["val/a.jpg", "b.jpg"])


@pytest.mark.parametrize(
    "names",
    [
        ["person", "dog"],
        ("person", "dog"),
        {0: "person", 1: "dog"},
        {"0": "person", "1": "dog"},
        {1: "dog", 0: "person"},
    ],
)
def test_class_names_in_any_form(names: Any) -> None:
    assert label_to_category(truth(), names).tolist() == [1, 18]
    assert match_classes(truth(), names).categories.tolist() == [1, 18]


def test_names_that_stand_for_no_class_may_be_repeated() -> None:
    coco91 = ["N/A", "person", "N/A", "N/A", "dog"]
    assert label_to_category(truth(), coco91).tolist() == [-1, 1, -1, -1, 18]
    assert label_to_category(truth(), {1: "person", 4: "dog"}).tolist() == [-1, 1, -1, -1, 18]
    match = match_classes(truth(), coco91)
    assert match.categories.tolist() == [-1, 1, -1, -1, 18]
    with pytest.warns(CategoryWarning, match="1 of 4 classes of the detector are no categories"):
        assert label_to_category(truth(), ["N/A", "person", "dog", "zebra"]).tolist() == [-1, 1, 18, -1]


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ("person", "must be a sequence of names, got 'person'"),
        (3, "must be a sequence of names, got 3"),
        ({"a": "person"}, "must be whole numbers from 0"),
        ({-1: "person"}, "must be whole numbers from 0"),
        ({10**9: "person"}, "must be whole numbers from 0"),
        ([1, 18], "must be texts, got 1"),
        (["person", "person", "dog"], "these repeat: 'person'"),
    ],
)
def test_other_names_are_refused(names: Any, told: str) -> None:
    with pytest.raises(CategoryError, match=told):
        label_to_category(truth(), names)


def test_generators_are_read() -> None:
    found = Detections.from_arrays(
        ((boxes, [0.5], [0]) for boxes, _ in BOXES), (i for i in (9, 7)), np.array([1, 18])
    )
    assert found.image_ids.tolist() == [7, 9]
    assert found.boxes[0].tolist() == [5, 5, 20, 20]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_tensors_of_any_type_and_with_gradients(dtype: str) -> None:
    torch = pytest.importorskip("torch")
    kind = getattr(torch, dtype)
    boxes = torch.tensor([[1.0, 2, 3, 4]], dtype=kind, requires_grad=True)
    scores = torch.tensor([0.5], dtype=kind, requires_grad=True)
    labels = torch.tensor([1])
    for found in (
        Detections.from_arrays([(boxes, scores, labels)], [7], [1, 18]),
        Detections.from_transformers([{"boxes": boxes, "scores": scores, "labels": labels}], [7], [1, 18]),
        Detections.from_torchvision([{"boxes": boxes, "scores": scores, "labels": labels + 17}], [7]),
    ):
        assert (found.boxes.tolist(), found.scores.tolist(), found.category_ids.tolist()) == (
            [[1, 2, 3, 4]],
            [0.5],
            [18],
        )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ([([[0, 0, 1, 1]], [0.5], [0])], [7], ["person", "dog"]),
            "must be category ids, got names of classes",
        ),
        (([([[0, 0, 1, 1]], [0.5], [0])], [7], {0: "person"}), "must be category ids, got names of classes"),
        (([([[0, 0, 1, 1]], [0.5], [0])], [7], None), "must be category ids, one for each label"),
        (([([[0, 0, 1, 1]], [0.5], [0])], 7, [1]), "`image_ids` must be a sequence"),
        ((3, [7], [1]), "`per_image` must be a sequence"),
        (([([[0, 0, 1, 1]], [0.5], [0])], [7, 9], [1]), "of one length"),
        (([([["a", 0, 1, 1]], [0.5], [0])], [7], [1]), "must be numbers"),
    ],
)
def test_wrong_arguments_end_in_a_sentence(arguments: tuple[Any, ...], told: str) -> None:
    with pytest.raises(DetectionError, match=told):
        Detections.from_arrays(*arguments)


def test_ids_by_the_names_of_files() -> None:
    known = truth()
    assert known.ids_of_files(["/data/val/b.jpg", "val/a.jpg", "C:\\pictures\\a.jpg"]) == [9, 7, 7]
    with pytest.raises(TruthError, match="no image of this ground truth"):
        known.ids_of_files(["c.jpg"])
    twice = GroundTruth.from_arrays(BOXES, [7, 9], {1: "a", 18: "b"}, file_names=["x/a.jpg", "y/a.jpg"])
    assert twice.ids_of_files(["y/a.jpg"]) == [9]
    with pytest.raises(TruthError, match="the name of images 7, 9"):
        twice.ids_of_files(["z/a.jpg"])
    with pytest.raises(TruthError, match=r"must be a sequence of names, got 'a\.jpg'"):
        known.ids_of_files("a.jpg")
    unnamed = GroundTruth.from_arrays(BOXES, [7, 9], {1: "a", 18: "b"})
    with pytest.raises(TruthError, match=r"no image of this ground truth|the name of images"):
        unnamed.ids_of_files([""])
