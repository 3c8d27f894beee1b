from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from dissect_eval import GroundTruth, TruthError

BOXES, LABELS = [[1.0, 2.0, 4.0, 6.0], [0.0, 0.0, 8.0, 9.0]], [1, 0]


def test_targets_of_torchvision():
    torch = pytest.importorskip("torch")
    targets = [
        {
            "boxes": torch.tensor(BOXES),
            "labels": torch.tensor([2, 1]),
            "image_id": torch.tensor([7]),
            "area": torch.tensor([5.0, 6.0]),
            "iscrowd": torch.zeros(2, dtype=torch.uint8),
        },
        {"boxes": torch.zeros((0, 4)), "labels": torch.zeros(0), "image_id": 3},
        {"boxes": BOXES[:1], "labels": [1], "image_id": torch.tensor(5), "iscrowd": [1]},
    ]
    truth = GroundTruth.from_torchvision(targets, ["background", "cat", "dog"], image_sizes=[(9, 10)] * 3)
    assert truth.image_ids.tolist() == [3, 5, 7]
    assert truth.image_splits.tolist() == [0, 0, 1, 3]
    assert truth.annotation_ids.tolist() == [3, 1, 2]
    assert truth.category_ids.tolist() == [1, 2, 1]
    assert truth.area.tolist() == [12, 5, 6]
    assert truth.iscrowd.tolist() == [True, False, False]
    assert truth.notes == ("`area` is missing in 1 of 3 annotations: width x height is used.",)
    again = GroundTruth.from_torchvision(iter(targets), {1: "cat", 2: "dog"}, [7, 3, 5])
    np.testing.assert_array_equal(again.boxes, truth.boxes)


def test_annotations_of_supervision():
    first = SimpleNamespace(
        xyxy=np.array(BOXES),
        class_id=np.array(LABELS),
        data={"iscrowd": np.array([0, 1]), "area": np.array([5.0, 6.0])},
    )
    empty = SimpleNamespace(xyxy=np.zeros((0, 4)), class_id=None, data={})
    truth = GroundTruth.from_supervision(
        [first, empty], [7, 3], ["cat", "dog"], image_sizes=[(9, 10), (5, 6)], file_names=["7.jpg", "3.jpg"]
    )
    assert truth.image_splits.tolist() == [0, 0, 2]
    assert truth.category_ids.tolist() == LABELS
    assert truth.iscrowd.tolist() == [False, True]
    assert truth.area.tolist() == [5, 6]
    assert truth.image_sizes.tolist() == [[5, 6], [9, 10]]
    assert truth.file_names == ("3.jpg", "7.jpg")
    assert truth.notes == ()


def test_target_errors():
    class Rows(list):
        format = SimpleNamespace(value="XYWH")

    target = {"boxes": BOXES, "labels": LABELS}
    with pytest.raises(TruthError, match=r"`targets` item 0 must hold an `image_id`, got none"):
        GroundTruth.from_torchvision([target], ["a", "b"])
    with pytest.raises(TruthError, match=r"Image 7: `boxes` must be xyxy, got boxes in XYWH.*Convert"):
        GroundTruth.from_torchvision([{**target, "boxes": Rows(BOXES)}], ["a", "b"], [7])
    with pytest.raises(TruthError, match=r"Image 7: `labels` must be given"):
        GroundTruth.from_torchvision([{"boxes": BOXES}], ["a", "b"], [7])
    with pytest.raises(
        TruthError, match=r"Image 7: category ids must be in `category_names` \(1, 2\), got 0"
    ):
        GroundTruth.from_torchvision([target], {1: "a", 2: "b"}, [7])
    with pytest.raises(TruthError, match=r"Image 7: `class_id` must be given"):
        GroundTruth.from_supervision([SimpleNamespace(xyxy=np.array(BOXES), class_id=None)], [7], ["a", "b"])
