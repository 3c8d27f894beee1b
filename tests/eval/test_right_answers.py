"""The right answer in each case of the design's table, by hand, beside what pycocotools says where it is wrong.

In the table's order: ids, sides that are empty or do not fit together, and truth that is not to be found. Boxes
and scores follow in `test_right_answers_boxes`.
"""

from __future__ import annotations

import copy
import itertools
import math

import pytest

from dissect_eval import (
    CategoryError,
    DetectionError,
    Detections,
    GroundTruth,
    SplitWarning,
    TruthError,
    coco_ap,
    detection_metrics,
    evaluate,
    label_to_category,
    matched_metrics,
)
from reference import BOXES, HITS, MISS, THREE, ap, box, counts, hit, load, pycocotools, score, split

TWO_OF_THREE = 67 / 101 * 2 / 3  # a false positive, then two hits: precision 2/3 at recalls up to 2/3


def test_annotation_ids_from_zero():
    from_zero = split(box(i, bbox) for i, bbox in enumerate(BOXES))
    assert repr(ap(from_zero, HITS)) == repr(ap(THREE, HITS))
    assert score(from_zero, HITS) == pytest.approx(1)
    assert pycocotools(from_zero, HITS) == pytest.approx(TWO_OF_THREE)  # a match with id 0 is none


def test_duplicate_ids():
    twice = split(box(number, bbox) for number, bbox in zip((1, 1, 2), BOXES, strict=True))
    with pytest.raises(TruthError, match=r"annotation ids must be unique.* more than once: 1\."):
        GroundTruth.from_coco(twice)
    assert pycocotools(twice, HITS) == pytest.approx(TWO_OF_THREE)  # the second takes the place of the first
    with pytest.raises(TruthError, match=r"image ids must be unique.* more than once: 7\."):
        GroundTruth.from_coco(split([], images=(7, 3, 7)))


def test_no_detections():
    assert score(THREE, []) == 0
    assert counts(THREE, []) == (0, 0, 3)
    assert detection_metrics(*load(THREE, [])).micro.f1 == 0
    with pytest.raises(IndexError):
        pycocotools(THREE, [])


def test_no_truth_of_a_split_class_or_size():
    nothing = ap(split([]), HITS)
    assert math.isnan(nothing.AP)
    assert nothing.undefined["AP"] == "no truth"
    assert pycocotools(split([]), HITS) == -1
    some = ap(split(THREE["annotations"], categories=(1, 2)), [*HITS, hit(MISS, 0.95, category=2)])
    # The mean is over the classes that have truth.
    assert [some.AP, *some.per_class.values()] == pytest.approx([1, 1, math.nan], nan_ok=True)
    assert math.isnan(some.APs)
    assert some.undefined["APs"] == "no small truth"


def test_detections_on_an_image_without_truth():
    content = split(THREE["annotations"], images=(1, 2))
    rows = [hit(MISS, 0.95, image=2), *HITS]
    assert score(content, rows) == pytest.approx(3 / 4)  # precision is 1/2, 2/3, 3/4 at the hits
    assert counts(content, rows) == (3, 1, 0)
    assert detection_metrics(*load(content, rows)).micro.f1 == pytest.approx(6 / 7)


def test_unknown_image_or_category():
    rows = {"image": hit(BOXES[0], 0.95, image=77), "category": hit(BOXES[0], 0.95, category=55)}
    for what, row in rows.items():
        with pytest.raises(DetectionError, match=rf"detection 3 \(image \d+\): the {what} id must be one of"):
            load(THREE, [*HITS, row])
        truth = GroundTruth.from_coco(THREE)
        kept = Detections.from_results([*HITS, row], truth, on_unknown="drop")
        assert (kept.n_boxes, kept.n_dropped) == (3, 1)
        assert repr(coco_ap(truth, kept)) == repr(ap(THREE, HITS))
    assert pycocotools(THREE, [*HITS, rows["category"]]) == pytest.approx(1)  # not a word on the category


def test_detections_of_another_split(golden):
    truth = GroundTruth.from_coco(golden("medical_waste/valid_gt.json"))
    with pytest.warns(SplitWarning, match="25 of 50 images with truth have no detection"):
        found = Detections.from_results(golden("medical_waste/dt.json"), truth)
    with pytest.warns(SplitWarning, match="no better than another image's"):
        result = evaluate(truth, found, chance_repeats=0)
    assert result.ap.AP < 1e-4
    assert len(result.warnings) == 2


def test_category_ids_with_gaps():
    content = split([box(1, BOXES[0], 3), box(2, BOXES[1], 90)], categories=(3, 17, 90))
    result = ap(content, [hit(BOXES[0], 0.9, 3), hit(BOXES[1], 0.9, 90)])
    assert list(result.per_class) == [3, 17, 90]
    assert [result.AP, *result.per_class.values()] == pytest.approx([1, 1, math.nan, 1], nan_ok=True)
    truth = GroundTruth.from_coco(content)
    assert label_to_category(truth, ["class 90", "class 17", "class 3"]).tolist() == [90, 17, 3]
    with pytest.raises(CategoryError, match="class 4"):
        label_to_category(truth, ["class 90", "class 17", "class 4"])


def test_crowd():
    content = split([box(1, BOXES[0]), box(2, [200, 200, 100, 100], iscrowd=1)])
    inside = [hit([200 + 9 * i, 210, 20, 20], 0.9 - i / 100) for i in range(5)]  # IoU with the region: .04
    half, less = hit([290, 200, 20, 100], 0.8), hit([291, 200, 20, 100], 0.8)
    rows = [*inside, half, hit(BOXES[0], 0.5)]
    assert score(content, [*inside, rows[-1]]) == pytest.approx(1)
    assert counts(content, rows) == (1, 0, 0)
    assert counts(content, [*rows, less]) == (1, 1, 0)
    assert detection_metrics(*load(content, rows)).n_excused == 6
    paired = matched_metrics(*load(content, rows))  # as in 1.0, a true box like any other
    assert (paired.n_truth, paired.n_pairs) == (2, 2)


def test_fields_that_are_missing():
    content = copy.deepcopy(THREE)
    for record, key in itertools.product(content["annotations"], ("iscrowd", "area")):
        del record[key]
    for key in ("width", "height"):
        del content["images"][0][key]
    content["info"] = {"year": "2023"}
    assert ap(content, HITS).APm == pytest.approx(1)  # area is width × height
    assert len(GroundTruth.from_coco(content).notes) == 2
    with pytest.raises(KeyError, match="iscrowd"):
        pycocotools(content, HITS)


def test_ignore():
    content = split([box(1, BOXES[0]), box(2, BOXES[1], ignore=1)])
    for rows in (HITS[:1], [hit(BOXES[1], 0.95), HITS[0]]):  # neither to be found nor wrong if found
        assert score(content, rows) == pytest.approx(1)
        assert counts(content, rows) == (1, 0, 0)
    assert pycocotools(content, HITS[:1]) == pytest.approx(51 / 101)  # half of the truth missed
