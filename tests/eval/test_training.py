"""The truth of given images in a detector's labels: which objects a training loss learns from."""

from __future__ import annotations

import numpy as np
import pytest

from dissect_eval import GroundTruth
from dissect_eval.data import training_truth
from dissect_eval.errors import TruthError

NAMES = {7: "circle", 5: "square", 9: "cat"}
BOXES = [
    [10, 10, 40, 50],  # a circle
    [1, 1, 9, 9],  # a crowd of squares
    [-30, -30, -5, -5],  # outside
    [3, 3, 3.5, 20],  # narrower than a pixel
    [20, 20, 30, 30],  # a cat, which is no class
    [50, 5, 90, 20],  # over the edge
    [5, 5, 25, 25],  # to be ignored
]


def truth() -> GroundTruth:
    return GroundTruth.from_arrays(
        [(BOXES, [7, 5, 7, 7, 9, 5, 7]), ([], [])],
        [3, 8],
        NAMES,
        image_sizes=[(80, 60), (np.nan, np.nan)],
        file_names=["val/a.png", "b.png"],
        iscrowd=[[0, 1, 0, 0, 0, 0, 0], []],
        ignore=[[0, 0, 0, 0, 0, 0, 1], []],
    )


def test_objects_that_count() -> None:
    told = training_truth(["/data/val/a.png"], truth(), ("square", "circle"))
    found = told.of(0, (80, 60))
    assert found.image_id == told.image_id(0) == 3
    assert found.boxes.tolist() == [BOXES[0], BOXES[1], BOXES[5]]
    assert found.labels.tolist() == [1, 0, 0]
    assert found.iscrowd.tolist() == [False, True, False]
    assert found.area.tolist() == [1200, 64, 600]
    assert found.labels.dtype == np.int64


def test_an_image_without_objects() -> None:
    found = training_truth(["b.png"], truth(), ["circle"]).of(0, (10, 10))
    assert found.boxes.shape == (0, 4)
    assert found.labels.dtype == np.int64
    assert len(found.labels) == len(found.area) == len(found.iscrowd) == 0


def test_sizes_that_differ() -> None:
    told = training_truth(["b.png", "val/a.png"], truth(), ["circle"])
    assert told.differing_size(0, (1, 1)) == "", "unknown"
    assert told.differing_size(1, (80, 60)) == ""
    assert told.differing_size(1, (60, 80)).startswith(
        "is read as 60 x 80 pixels, but was annotated as 80 x 60"
    )


@pytest.mark.parametrize(
    ("image", "names", "class_map", "text"),
    [
        ("a.png", ["circle"], None, r"a\.png: must be one of .*, but is not among its 2"),
        ("b.png", ["dog"], None, "have no name in common"),
        ("b.png", ["x", "y"], {"x": "cat", "y": "cat"}, "gives 'cat' to 'x' and 'y'"),
    ],
)
def test_what_is_refused(
    image: str, names: list[str], class_map: dict[str, str | None] | None, text: str
) -> None:
    with pytest.raises(TruthError, match=text):
        training_truth([image], truth(), names, class_map)


def test_a_file_name_that_is_listed_twice() -> None:
    twice = GroundTruth.from_arrays([([], [])] * 2, [1, 2], NAMES, file_names=["a.png"] * 2)
    with pytest.raises(TruthError, match=r"a\.png: .* more than once among its 2"):
        training_truth(["a.png"], twice, ["cat"])
