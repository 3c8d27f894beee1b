from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

from dissect_eval import GroundTruth, TruthError


def change(content, index, **fields):
    content["annotations"][index].update(fields)
    return content


@pytest.fixture
def content(coco):
    return coco({7: [(1, 0, 0, 10, 20), (2, 5, 5, 1, 1)], 3: [(1, 1, 2, 3, 4)], 5: []})


def test_layout(content):
    truth = GroundTruth.from_coco(content)
    assert truth.image_ids.tolist() == [3, 5, 7]
    assert truth.image_splits.tolist() == [0, 1, 1, 3]
    assert truth.boxes.tolist() == [[1, 2, 4, 6], [0, 0, 10, 20], [5, 5, 6, 6]]
    assert truth.sizes.tolist() == [[3, 4], [10, 20], [1, 1]]
    assert truth.annotation_ids.tolist() == [2, 0, 1]
    assert truth.category_ids.tolist() == [1, 1, 2]
    assert truth.area.tolist() == [12, 200, 1]
    assert truth.image_index.tolist() == [0, 2, 2]
    assert dict(truth.category_names) == {1: "cat", 2: "dog"}
    assert truth.notes == ()


def test_sources_agree(content, tmp_path):
    from pycocotools.coco import COCO

    path = tmp_path / "truth.json"
    path.write_text(json.dumps(content), encoding="utf-8-sig")
    holder = COCO()
    holder.dataset = content
    for source in (path, str(path), holder):
        np.testing.assert_array_equal(
            GroundTruth.from_coco(source).boxes, GroundTruth.from_coco(content).boxes
        )


def fields_of(truth):
    names = ("image_ids", "image_sizes", "image_splits", "annotation_ids", "boxes", "sizes", "category_ids")
    arrays = [getattr(truth, name) for name in (*names, "iscrowd", "ignore", "area")]
    return [a.tolist() for a in arrays], truth.file_names, dict(truth.category_names), truth.notes


def test_written_as_coco_it_reads_back_as_it_was(content):
    content["annotations"][0].pop("area", None)  # told by a note, which is kept too
    content["annotations"][1]["bbox"] = [0.1, 0.3, 1 / 3, 1e-7]
    content["annotations"][-1] |= {"ignore": 1, "iscrowd": 1}
    del content["images"][0]["width"]
    truth = GroundTruth.from_coco(content)
    assert len(truth.notes) == 2
    text = json.dumps(truth.to_coco())
    again = GroundTruth.from_coco(json.loads(text))
    assert again.to_coco() == truth.to_coco()
    assert [list(map(repr, part)) for part in fields_of(again)[0]] == [
        list(map(repr, p)) for p in fields_of(truth)[0]
    ]
    assert fields_of(again)[1:3] == fields_of(truth)[1:3]


def test_truth_without_names_and_sizes_is_written_without_them():
    boxes = np.array([[0.1, 0.2, 0.7, 0.9]])
    truth = GroundTruth.from_arrays([(boxes, [1]), ([], [])], [5, 3], {1: "cat"})
    assert truth.to_coco()["images"] == [{"id": 3}, {"id": 5}]
    again = GroundTruth.from_coco(truth.to_coco())
    np.testing.assert_array_equal(again.sizes, truth.sizes)
    np.testing.assert_allclose(again.boxes, boxes, rtol=1e-15)


def test_immutable_and_picklable(content):
    truth = GroundTruth.from_coco(content)
    with pytest.raises(ValueError, match="read-only"):
        truth.boxes[0] = 0
    with pytest.raises(TypeError):
        truth.category_names[1] = "x"
    with pytest.raises(AttributeError):
        truth.boxes = None
    again = pickle.loads(pickle.dumps(truth))
    np.testing.assert_array_equal(again.boxes, truth.boxes)
    assert again.category_names == truth.category_names
    assert not again.boxes.flags.writeable


def test_what_is_accepted(content):
    for record in content["annotations"]:
        del record["iscrowd"], record["area"]
    for record in content["images"]:
        del record["width"]
    content["info"] = {"year": "2023"}
    change(content, 0, ignore=1, image_id="7", category_id=1.0)
    change(content, 1, iscrowd=True, bbox=[5, 5, 0, 3], id="1")
    content["images"][0]["id"] = "7"
    truth = GroundTruth.from_coco(content)
    assert truth.area.tolist() == [12, 200, 0]
    assert truth.ignore.tolist() == [False, True, False]
    assert truth.iscrowd.tolist() == [False, False, True]
    assert truth.is_region.tolist() == [False, True, True]
    assert np.isnan(truth.image_sizes[:, 0]).all()
    assert truth.notes == (
        "`width` or `height` is missing in 3 of 3 images.",
        "`area` is missing in 3 of 3 annotations: width x height is used.",
    )


def test_stated_area_wins_over_the_box(content):
    assert GroundTruth.from_coco(change(content, 0, area=33.5)).area.tolist() == [12, 33.5, 1]


def test_annotations_without_any_id_are_numbered(content):
    for record in content["annotations"]:
        del record["id"]
    truth = GroundTruth.from_coco(content)
    assert sorted(truth.annotation_ids.tolist()) == [1, 2, 3]
    assert "numbered from 1" in truth.notes[0]


def test_sizes_are_those_of_the_file(coco):
    x, w = 0.1, 0.2
    truth = GroundTruth.from_coco(coco({1: [(1, x, 1.0, w, 2.0)]}))
    assert truth.boxes[0, 2] - truth.boxes[0, 0] != w  # the reason why sizes are kept
    assert truth.sizes[0, 0] == w


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"id": 0}, r"annotation ids must be unique, but these occur more than once: 0\."),
        ({"image_id": 99}, r"annotation 1 of image 99: `image_id` must be the id of a listed image, got 99"),
        (
            {"category_id": 9},
            r"annotation 1 of image 7: `category_id` .* listed category, got 9.*Listed are 1, 2",
        ),
        (
            {"bbox": [0, 0, float("nan"), 1]},
            r"annotation 1 of image 7: `bbox` must be 4 finite numbers, got \[0, 0, nan",
        ),
        ({"bbox": [0, 0, 1]}, r"annotation 1 of image 7: `bbox` must be 4 finite numbers"),
        ({"bbox": None}, r"annotation 1 of image 7: `bbox` must be 4 finite numbers, got None"),
        ({"bbox": [5, 5, -2, 1]}, r"annotation 1 of image 7: .*sizes >= 0.*convert them"),
        ({"area": float("inf")}, r"annotation 1 of image 7: `area` must be a finite number"),
        ({"area": -1}, r"annotation 1 of image 7: `area` must be >= 0, got -1"),
        ({"iscrowd": 2}, r"annotation 1 of image 7: `iscrowd` must be 0 or 1, got 2"),
        ({"ignore": "yes"}, r"annotation 1 of image 7: `ignore` must be 0 or 1"),
        ({"category_id": 1.5}, r"annotation 1 of image 7: `category_id` must be an integer.*got 1.5"),
        ({"category_id": True}, r"`category_id` must be an integer.*got True"),
        ({"image_id": "a.jpg"}, r"`image_id` must be an integer.*got 'a.jpg'"),
        ({"image_id": 2**70}, r"`image_id` must be an integer"),
        ({"id": None}, r"annotation record 1 \(image 7\): `id` must be an integer"),
    ],
)
def test_bad_annotation(content, fields, match):
    with pytest.raises(TruthError, match=match):
        GroundTruth.from_coco(change(content, 1, **fields))


def test_duplicate_image_and_category_ids(content):
    content["images"].append({"id": 5})
    with pytest.raises(TruthError, match=r"image ids must be unique.* 5"):
        GroundTruth.from_coco(content)
    content["images"].pop()
    content["categories"].append({"id": 2, "name": "cow"})
    with pytest.raises(TruthError, match=r"category ids must be unique.* 2"):
        GroundTruth.from_coco(content)


def test_category_without_name(content):
    content["categories"][0] = {"id": 1}
    with pytest.raises(TruthError, match="category 1: its name must be a text"):
        GroundTruth.from_coco(content)


@pytest.mark.parametrize("key", ["images", "annotations", "categories"])
def test_missing_part(content, key):
    del content[key]
    with pytest.raises(TruthError, match=f"lacks '{key}'"):
        GroundTruth.from_coco(content)


def test_files_that_are_no_truth(tmp_path):
    cut = tmp_path / "cut.json"
    cut.write_text('{"images": [', encoding="utf-8")
    with pytest.raises(TruthError, match=r"cut\.json' is not valid JSON.*cut short"):
        GroundTruth.from_coco(cut)
    binary = tmp_path / "binary.json"
    binary.write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(TruthError, match=r"binary\.json' is not valid JSON"):
        GroundTruth.from_coco(binary)
    with pytest.raises(TruthError, match=r"Cannot read the annotation file '.*none\.json'"):
        GroundTruth.from_coco(tmp_path / "none.json")
    results = tmp_path / "results.json"
    results.write_text("[]", encoding="utf-8")
    with pytest.raises(TruthError, match=r"results\.json' holds a list; is it a results file.*from_results"):
        GroundTruth.from_coco(results)
    with pytest.raises(TruthError, match="'images' must be a list"):
        GroundTruth.from_coco({"images": {}, "annotations": [], "categories": []})
    with pytest.raises(TruthError, match="'images' record 0 must be an object"):
        GroundTruth.from_coco({"images": [1], "annotations": [], "categories": []})


def test_no_images_at_all():
    truth = GroundTruth.from_coco({"images": [], "annotations": [], "categories": []})
    assert (truth.n_images, truth.n_boxes, truth.boxes.shape) == (0, 0, (0, 4))
    assert truth.health().n_boxes == 0
    bad = {"images": [], "annotations": [{"id": 1, "image_id": 1, "category_id": 1}], "categories": []}
    with pytest.raises(TruthError, match="lists no image"):
        GroundTruth.from_coco(bad)


def test_subset(content):
    truth = GroundTruth.from_coco(content)
    part = truth.subset(image_ids=[7, 5, 7])
    assert part.image_ids.tolist() == [5, 7]
    assert part.image_splits.tolist() == [0, 0, 2]
    assert part.annotation_ids.tolist() == [0, 1]
    assert part.category_names == truth.category_names
    assert truth.subset([]).n_boxes == 0
    with pytest.raises(TruthError, match="got 8"):
        truth.subset([7, 8])


def test_health(coco):
    box = (1, 10, 10, 5, 5)
    content = coco(
        {
            1: [box, box, (2, 10, 10, 5, 5), (1, 90, 90, 20, 5), (1, 99, 99, 1.5, 1)],
            2: [],
            3: [(1, 5, 5, 0, 3), (1, 0, 0, 50, 50, {"iscrowd": 1}), (1, 1, 1, 2, 2, {"ignore": 1})],
        },
        categories={1: "cat", 2: "dog", 3: "cow"},
    )
    del content["images"][1]["width"]
    health = GroundTruth.from_coco(content).health()
    assert (health.n_images, health.n_images_without_truth, health.n_images_without_size) == (3, 1, 1)
    assert (health.n_boxes, health.n_crowd, health.n_ignored) == (8, 1, 1)
    assert (health.n_degenerate, health.degenerate_annotation_ids) == (1, (5,))
    assert (health.n_duplicate, health.n_out_of_image) == (1, 1)
    assert health.unused_category_ids == (3,)
    assert json.loads(json.dumps(health.to_dict()))["n_duplicate"] == 1


def test_health_of_real_files(golden):
    assert GroundTruth.from_coco(golden("bccd/bccd_coco.json")).health().n_degenerate == 2
    crowd = GroundTruth.from_coco(golden("coco_tiny80/instances_val2017_80.json")).health()
    assert (crowd.n_crowd, crowd.n_boxes, crowd.unused_category_ids) == (11, 815, ())
    waste = GroundTruth.from_coco(golden("medical_waste/test_gt.json"))
    assert waste.annotation_ids.min() == 0
    assert waste.health().unused_category_ids == (0,)


def test_constructor_checks(content):
    from dataclasses import replace

    truth = GroundTruth.from_coco(content)
    with pytest.raises(TruthError, match="`area` must have shape"):
        replace(truth, area=np.zeros(2))
    with pytest.raises(TruthError, match="must ascend"):
        replace(truth, image_ids=[3, 3, 7])
    with pytest.raises(TruthError, match="`image_splits` must rise"):
        replace(truth, image_splits=[0, 2, 1, 3])
    with pytest.raises(TruthError, match="`category_ids` must be in `category_names`, got 2"):
        replace(truth, category_names={1: "cat"})
    with pytest.raises(TruthError, match="`file_names`"):
        replace(truth, file_names=())
