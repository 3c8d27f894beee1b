from __future__ import annotations

import json

import numpy as np
import pytest

from dissect_eval import CategoryError, GroundTruth, TruthError, category_to_label, label_to_category

BOXES = [[0, 0, 10, 20], [5, 5, 6, 6]]


def make(boxes=BOXES, labels=(0, 1), image_ids=(7,), names=("cat", "dog"), **more):
    return GroundTruth.from_arrays([(boxes, labels)], image_ids, names, **more)


def test_equals_the_same_from_coco(golden):
    truth = GroundTruth.from_coco(golden("coco_tiny80/instances_val2017_80.json"))
    s = truth.image_splits
    parts = [slice(s[i], s[i + 1]) for i in range(truth.n_images)]
    again = GroundTruth.from_arrays(
        ((truth.boxes[p], truth.category_ids[p]) for p in parts),
        truth.image_ids,
        truth.category_names,
        image_sizes=truth.image_sizes,
        file_names=truth.file_names,
        iscrowd=[truth.iscrowd[p] for p in parts],
        area=[truth.area[p] for p in parts],
    )
    for name in ("image_ids", "image_sizes", "image_splits", "boxes", "category_ids", "iscrowd", "area"):
        np.testing.assert_array_equal(getattr(again, name), getattr(truth, name))
    np.testing.assert_allclose(again.sizes, truth.sizes)
    assert again.category_names == truth.category_names
    assert again.file_names == truth.file_names
    assert again.notes == ()


def test_order_defaults_and_notes():
    truth = GroundTruth.from_arrays(
        [(BOXES, [5, 3]), ([], []), ([[1, 1, 2, 2]], [3])],
        [9, 4, 2],
        {5: "dog", 3: "cat"},
        ignore=[[0, 1], None, [1]],
    )
    assert truth.image_ids.tolist() == [2, 4, 9]
    assert truth.annotation_ids.tolist() == [3, 1, 2]
    assert truth.ignore.tolist() == [True, False, True]
    assert not truth.iscrowd.any()
    assert truth.area.tolist() == [1, 200, 1]
    assert dict(truth.category_names) == {3: "cat", 5: "dog"}
    assert truth.notes == (
        "`width` or `height` is missing in 3 of 3 images.",
        "`area` is missing in 3 of 3 annotations: width x height is used.",
    )
    empty = GroundTruth.from_arrays([], [], [], image_sizes=[])
    assert (empty.n_images, empty.boxes.shape, empty.notes) == (0, (0, 4), ())


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"image_ids": [7, 8]}, r"`per_image` and `image_ids` must be of one length, got 1 and 2"),
        ({"image_ids": ["x"]}, r"image 0: `image_ids` must be an integer"),
        ({"iscrowd": []}, r"`iscrowd` and `image_ids` must be of one length, got 0 and 1"),
        ({"file_names": ["a", "b"]}, r"`file_names` and `image_ids` must be of one length"),
        ({"names": "cat"}, r"`category_names` must be a mapping .* got 'cat'"),
        ({"names": {0: "cat", 1: 5}}, r"category 1: its name must be a text, got 5"),
        ({"names": {"x": "cat"}}, r"category 'x': `category_names` must be an integer"),
        ({"labels": [0, 2]}, r"Image 7: category ids must be in `category_names` \(0, 1\), got 2"),
        ({"labels": [0]}, r"Image 7: boxes and category ids must have shapes .* \(2, 4\) and \(1,\)"),
        ({"labels": [0.5, 1]}, r"Image 7: boxes and category ids must be numbers"),
        (
            {"boxes": [[5, 5, 1, 1]] * 2},
            r"Image 7: `boxes` row 0 must be finite with max >= min.*xywh_to_xyxy",
        ),
        ({"boxes": [[0, 0, 1, np.nan]] * 2}, r"Image 7: `boxes` row 0 must be finite"),
        ({"iscrowd": [[0, 2]]}, r"image 7, box 1: `iscrowd` must be 0 or 1, got 2"),
        ({"ignore": [[0]]}, r"Image 7: `ignore` must have one value per box, 2, got 1"),
        ({"area": [[3, np.nan]]}, r"image 7, box 1: `area` must be a finite number"),
        ({"area": [[3, -2]]}, r"Image 7: `area` must be >= 0, got -2"),
        ({"image_sizes": [[640]]}, r"`image_sizes` must be positive widths and heights, shape \(1, 2\)"),
        ({"image_sizes": [[640, 0]]}, r"`image_sizes` must be positive .*For an unknown size give NaN"),
        ({"image_sizes": [["a", "b"]]}, r"`image_sizes` must be numbers"),
    ],
)
def test_errors(arguments, match):
    with pytest.raises(TruthError, match=match):
        make(**arguments)


def test_repeated_images():
    with pytest.raises(TruthError, match="unique, but these occur more than once: 7"):
        GroundTruth.from_arrays([([], [])] * 2, [7, 7], ["cat"])


def test_health_counts_categories_and_speaks(coco):
    box = (1, 10, 10, 5, 5)
    content = coco(
        {
            1: [box, box, (2, 10, 10, 5, 5), (1, 99, 99, 1.5, 1), (1, 90, 90, 20, 5)],
            2: [],
            3: [(1, 5, 5, 0, 3), (1, 0, 0, 50, 50, {"iscrowd": 1}), (1, 1, 1, 2, 2, {"ignore": 1})],
        },
        categories={1: "cat", 2: "dog", 3: "cow"},
    )
    del content["images"][1]["width"]
    health = GroundTruth.from_coco(content).health()
    assert health.n_boxes_per_category == {1: 7, 2: 1, 3: 0}
    assert str(health) == health.describe()
    assert health.describe().splitlines() == [
        "3 images: 1 without truth, 1 of unknown size",
        "8 boxes: 1 crowd, 1 ignored, 1 without area (annotations 5), 1 repeated, 1 out of their image",
        "3 categories: cat 7, dog 1",
        "without a box: cow",
        "note: `width` or `height` is missing in 1 of 3 images.",
    ]
    assert json.loads(json.dumps(health.to_dict()))["n_boxes_per_category"] == {"1": 7, "2": 1, "3": 0}


@pytest.mark.parametrize(
    ("file", "lines"),
    [
        (
            "bccd/bccd_coco.json",
            [
                "364 images: 0 without truth, 0 of unknown size",
                "4888 boxes: 0 crowd, 0 ignored, 2 without area (annotations 3951, 4005), 0 repeated, "
                "0 out of their image",
                "3 categories: RBC 4155, WBC 372, Platelets 361",
            ],
        ),
        (
            "medical_waste/test_gt.json",
            [
                "25 images: 0 without truth, 0 of unknown size",
                "140 boxes: 0 crowd, 0 ignored, 0 without area, 0 repeated, 0 out of their image",
                "5 categories: syringe 60, ampoule 43, Mask 20, Blood bag 17",
                "without a box: medical-waste",
            ],
        ),
    ],
)
def test_health_of_real_files(golden, file, lines):
    truth = GroundTruth.from_coco(golden(file))
    health = truth.health()
    assert health.describe().splitlines() == lines
    counted = {key: int((truth.category_ids == key).sum()) for key in truth.category_names}
    assert health.n_boxes_per_category == counted


def test_health_of_many_categories(golden):
    health = GroundTruth.from_coco(golden("coco_tiny80/instances_val2017_80.json")).health()
    assert sum(health.n_boxes_per_category.values()) == health.n_boxes == 815
    line = health.describe().splitlines()[2]
    assert line.startswith("80 categories: person 216, cup 62, ")
    assert line.endswith(" and 72 more")
    empty = GroundTruth.from_arrays([], [], []).health()
    assert empty.describe().splitlines()[2] == "0 categories"


def test_categories_to_labels_and_back(golden):
    truth = GroundTruth.from_coco(golden("coco_tiny80/instances_val2017_80.json"))
    names = sorted(truth.category_names.values())
    to_category, to_label = label_to_category(truth, names), category_to_label(truth, names)
    assert list(to_label) == sorted(truth.category_names)
    assert [to_label[key] for key in to_category.tolist()] == list(range(80))
    assert names[to_label[90]] == "toothbrush"
    with pytest.raises(CategoryError, match=r"Not in the detector: 'toothbrush'"):
        category_to_label(truth, [name for name in names if name != "toothbrush"])
    with pytest.raises(CategoryError, match=r"'Dog' may be 'dog'"):
        category_to_label(truth, ["Dog" if name == "dog" else name for name in names])


def test_unused_categories_have_no_label():
    truth = GroundTruth.from_arrays([([[0, 0, 1, 1]], [4])], [1], {2: "unused", 4: "cat", 6: "cow"})
    assert category_to_label(truth, ["cow", "cat"]) == {4: 1, 6: 0}
