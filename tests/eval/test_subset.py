from __future__ import annotations

import numpy as np
import pytest

from dissect_eval import (
    CategoryError,
    DetectionError,
    Detections,
    GroundTruth,
    SettingError,
    TruthError,
    coco_ap,
    detection_metrics,
)


@pytest.fixture
def truth(truth_of):
    """Areas 1024, 9216 and 100 in image 1, 20000 (stated) in image 2, nothing in image 3."""
    return truth_of(
        {
            1: [(1, 0, 0, 32, 32), (2, 0, 0, 96, 96), (4, 0, 0, 10, 10, {"ignore": 1})],
            2: [(2, 0, 0, 5, 5, {"area": 20000})],
            3: [],
        },
        categories={1: "cat", 2: "dog", 4: "cow", 9: "emu"},
    )


@pytest.fixture
def found():
    rows = [[0, 0, 32, 32], [0, 0, 96, 96]], [0.5, 0.6], [0, 1]
    return Detections.from_arrays([rows, ([[0, 0, 5, 5]], [0.7], [1]), ([], [], [])], [1, 2, 3], [1, 2])


def test_nothing_asked_for_is_the_whole(truth, found):
    assert truth.subset() is truth
    assert found.subset() is found


@pytest.mark.parametrize("categories", [[2, 9], ["dog", "emu"], ["dog", 9.0, "emu", 2], {9: "", 2: ""}])
def test_categories(truth, categories):
    part = truth.subset(categories=categories)
    assert dict(part.category_names) == {2: "dog", 9: "emu"}
    assert part.category_ids.tolist() == [2, 2]
    assert part.annotation_ids.tolist() == [1, 3]
    assert part.image_ids.tolist() == [1, 2, 3]
    assert part.image_splits.tolist() == [0, 1, 2, 2]
    assert part.file_names == truth.file_names


def test_images_and_categories(truth):
    part = truth.subset([3, 2], categories=["dog"])
    assert part.image_ids.tolist() == [2, 3]
    assert part.annotation_ids.tolist() == [3]
    assert truth.subset(categories=[]).n_boxes == 0
    with pytest.raises(TruthError, match=r"`image_ids` must be ids of this ground truth, got 8\. Take them"):
        truth.subset([8])


@pytest.mark.parametrize(
    ("area", "ignore"),
    [
        ("small", [False, True, True, True]),  # 1024 is both small and medium
        ("medium", [False, False, True, True]),
        ("large", [True, False, True, False]),  # by the stated area
        ((100, 1024), [False, True, True, True]),  # what the file ignores stays ignored
        ((1025, float("inf")), [True, False, True, False]),
    ],
)
def test_area_is_ignored_and_not_removed(truth, area, ignore):
    part = truth.subset(area=area)
    assert part.ignore.tolist() == ignore
    np.testing.assert_array_equal(part.boxes, truth.boxes)
    assert part.n_images == 3


def test_sizes_keep_cocos_recall(golden):
    folder = "cocoapi_fakebbox100/instances_val2014_"
    truth = GroundTruth.from_coco(golden(folder + "100.json"))
    found = Detections.from_results(golden(folder + "fakebbox100_results.json"), truth)
    whole = coco_ap(truth, found)
    for size, recall in (("small", whole.ARs), ("medium", whole.ARm), ("large", whole.ARl)):
        assert recall == coco_ap(truth.subset(area=size), found).AR100
        by_size = detection_metrics(truth, found).by_size[size]
        assert detection_metrics(truth.subset(area=size), found).n_truth == by_size.n_truth


def test_categories_keep_their_ap(golden):
    truth = GroundTruth.from_coco(golden("medical_waste/test_gt.json"))
    found = Detections.from_results(golden("medical_waste/dt.json"), truth)
    part = truth.subset(categories=["syringe", "Mask"])
    result = coco_ap(part, found.subset(categories=part.category_names))
    whole = coco_ap(truth, found).per_class
    assert result.per_class == {key: whole[key] for key in part.category_names}
    with pytest.raises(DetectionError, match="the category id must be one of the ground truth's"):
        coco_ap(part, found)


def test_detections(found):
    assert found.subset([2]).scores.tolist() == [0.7]
    dogs = found.subset(categories=[2, 77])
    assert dogs.scores.tolist() == [0.6, 0.7]
    assert dogs.image_splits.tolist() == [0, 1, 2, 2]
    assert found.subset(area="medium").scores.tolist() == [0.5, 0.6]
    assert found.subset(area=(0, 25)).image_splits.tolist() == [0, 0, 1, 1]
    assert found.subset([1, 3], categories=[1], area="small").image_splits.tolist() == [0, 1, 1]
    assert found.subset(categories=[]).n_boxes == 0


@pytest.mark.parametrize(
    ("categories", "match"),
    [
        (["Dog"], r"`categories` must be names .*got 'Dog' \('Dog' may be 'dog'\)\. Known are 'cat', 'dog'"),
        ([3], r"`categories` must be ids or names of categories, got 3\. Known ids are 1, 2, 4, 9\."),
        ([1.5], r"`categories` must be ids or names of categories, got 1.5"),
        ("dog", r"`categories` must be a list of ids or names, got 'dog'"),
        (2, r"`categories` must be a list of ids or names, got 2"),
    ],
)
def test_bad_categories(truth, categories, match):
    with pytest.raises(CategoryError, match=match):
        truth.subset(categories=categories)


def test_names_that_say_too_little(truth_of, found):
    twice = truth_of({1: []}, categories={1: "a", 2: "a"})
    with pytest.raises(CategoryError, match=r"'a' is the name of 1, 2\. Choose by id"):
        twice.subset(categories=["a"])
    with pytest.raises(CategoryError, match=r"detections must be ids, got 'dog': .*category_names"):
        found.subset(categories=["dog"])


@pytest.mark.parametrize("area", ["tiny", (3, 2), (float("nan"), 1), 5, (1,), ("a", "b")])
def test_bad_area(truth, found, area):
    for part in (truth, found):
        with pytest.raises(SettingError, match=r"`area` must be 'small', 'medium', 'large' or \(low, high\)"):
            part.subset(area=area)
