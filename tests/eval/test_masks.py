"""AP of masks against pycocotools, the forms in which masks come, and what is refused."""

from __future__ import annotations

import copy
import json
import math
import pickle
import random
import warnings

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from dissect_eval import (
    DetectionError,
    Detections,
    GroundTruth,
    SettingError,
    TruthError,
    bootstrap,
    coco_ap,
    evaluate_variants,
    precision_recall_curve,
)
from dissect_eval.coco import coco_settings
from dissect_eval.coco._ap import NAMES
from dissect_eval.coco._ap_numpy import precision_arrays
from reference import cocoeval, load, split

HEIGHT, WIDTH = 60, 80


def blob(rng):
    """A polygon around a point, of three to seven corners, partly outside the image at times."""
    center, radius = rng.uniform((10, 10), (WIDTH - 10, HEIGHT - 10)), rng.uniform(3, 30)
    angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 8)))
    return (center + radius * np.stack([np.cos(angles), np.sin(angles)], 1)).ravel().tolist()


def moved(rng, polygon):
    return (np.array(polygon) + rng.normal(0, 3, len(polygon))).tolist()


def quiet(function, mask):
    """Call a function of pycocotools that warns about NumPy."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return function(mask)


def rle(polygons, as_text=True):
    """Compressed run lengths, as results files have them."""
    found = coco_mask.merge(coco_mask.frPyObjects(polygons, HEIGHT, WIDTH))
    return {**found, "counts": found["counts"].decode()} if as_text else found


def runs(polygons):
    """Uncompressed run lengths, as crowds of COCO have them."""
    flat = quiet(coco_mask.decode, rle(polygons)).ravel(order="F")
    changes = np.flatnonzero(np.diff(np.concatenate([[0], flat])))
    ends = np.append(changes, len(flat))
    return {"size": [HEIGHT, WIDTH], "counts": np.diff(np.concatenate([[0], ends])).tolist()}


def problem(seed, with_boxes=False):
    rng = np.random.default_rng(seed)
    levels, truth, found = int(rng.choice([3, 1000])), [], []
    for image in range(1, 4):
        for _ in range(rng.integers(6)):
            polygons = [blob(rng) for _ in range(rng.integers(1, 3))]
            category, crowd = int(rng.choice([1, 5])), int(rng.random() < 0.2)
            form = rng.integers(3)
            mask = runs(polygons) if crowd or form == 0 else rle(polygons) if form == 1 else polygons
            record = {"id": len(truth) + 1, "image_id": image, "category_id": category, "iscrowd": crowd}
            box = quiet(coco_mask.toBbox, rle(polygons)).tolist()
            record |= {"segmentation": mask, "bbox": box, "area": float(rng.uniform(1, 4000))}
            truth.append(record)
            for _ in range(rng.integers(4)):
                near = rle([moved(rng, one) for one in polygons])
                row = {
                    "image_id": image,
                    "category_id": category if rng.random() < 0.8 else 5,
                    "segmentation": near,
                }
                found.append({**row, "score": float(rng.integers(levels)) / levels})
    found.append({"image_id": 1, "category_id": 1, "segmentation": rle([blob(rng)]), "score": 0.4})
    content = split(truth, range(1, 4), (1, 5))
    for image in content["images"]:
        image |= {"width": WIDTH, "height": HEIGHT}
    return content, [found[i] for i in rng.permutation(len(found))]


@pytest.mark.parametrize("block", range(10))
def test_equal_to_pycocotools(block):
    """Ten sets a block with crowds, ties and all three forms of masks, half of them with other settings."""
    for i in range(10):
        content, rows = problem([block, i])
        settings, params = {}, {}
        if i % 2:
            settings = {
                "iou_thresholds": [0.3, 0.62],
                "max_detections": [2, 50],
                "area_ranges": {"a": (50, 900)},
            }
            params = {"iouThrs": np.array([0.3, 0.62]), "maxDets": [2, 50]}
            params |= {"areaRng": [[0, 1e10], [50, 900]], "areaRngLbl": ["all", "a"]}
        run = cocoeval(content, rows, "segm", **params)
        truth, found = load(content, rows)
        checked = coco_settings(**settings, iou_type="segm")
        precision, recall = precision_arrays(truth, found, "input", checked)
        np.testing.assert_array_equal(precision, run.eval["precision"], strict=True)
        np.testing.assert_array_equal(recall, run.eval["recall"], strict=True)
        result = coco_ap(truth, found, iou_type="segm", tie_break="input", **settings)
        again = coco_ap(truth, found, iou_type="segm", tie_break="input", backend="pycocotools", **settings)
        for name in checked.numbers:
            values = [getattr(one, name, one.others.get(name)) for one in (result, again)]
            assert values[0] == pytest.approx(values[1], rel=0, abs=1e-12, nan_ok=True)
        if not params:
            theirs = [math.nan if value == -1 else value for value in run.stats]
            assert [getattr(result, name) for name in NAMES] == pytest.approx(
                theirs, rel=0, abs=1e-12, nan_ok=True
            )


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_the_input_plays_no_part(seed):
    content, rows = problem(seed)
    for row in rows:
        row["score"] = 0.5
    rows += [{**row, "bbox": [0, 0, 9, 9]} for row in rows]  # boxes that tie, of masks that do not
    for row in rows:
        row["bbox"] = [0, 0, 9, 9]
    first = coco_ap(*load(content, rows), iou_type="segm", check=False)
    reference = coco_ap(*load(content, rows), iou_type="segm", backend="pycocotools", check=False)
    assert pytest.approx(reference.AP, abs=1e-12) == first.AP
    random.Random(seed).shuffle(rows)
    random.Random(seed).shuffle(content["annotations"])
    assert repr(coco_ap(*load(content, rows), iou_type="segm", check=False)) == repr(first)


def test_classes_taken_as_one():
    content, rows = problem(3)
    run = cocoeval(content, rows, "segm", useCats=0)
    precision, _ = precision_arrays(
        *load(content, rows), "input", coco_settings(iou_type="segm", class_agnostic=True)
    )
    np.testing.assert_array_equal(precision, run.eval["precision"])


def test_all_forms_of_one_mask_are_the_same(tmp_path):
    content, rows = problem(1)
    truth, found = load(content, rows)
    expected = coco_ap(truth, found, iou_type="segm")
    names = {1: "class 1", 5: "class 5"}
    decoded = {
        r["id"]: quiet(coco_mask.decode, _as_rle(r["segmentation"])).astype(bool)
        for r in content["annotations"]
    }
    per_image, masks, crowd, area = [], [], [], []
    for image in (3, 1, 2):  # not in their order
        records = [r for r in content["annotations"] if r["image_id"] == image]
        boxes = np.array([r["bbox"] for r in records]).reshape(-1, 4)
        per_image.append(
            (
                np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], 1),
                [r["category_id"] for r in records],
            )
        )
        masks.append([decoded[r["id"]] for r in records])
        crowd.append([r["iscrowd"] for r in records])
        area.append([r["area"] for r in records])
    sizes = [(WIDTH, HEIGHT)] * 3
    other = GroundTruth.from_arrays(
        per_image, [3, 1, 2], names, iscrowd=crowd, area=area, masks=masks, image_sizes=sizes
    )
    outputs, found_masks = [], []
    for image in (2, 3, 1):
        mine = [r for r in rows if r["image_id"] == image]
        boxes = np.array([quiet(coco_mask.toBbox, r["segmentation"]) for r in mine]).reshape(-1, 4)
        corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], 1)
        outputs.append((corners, [r["score"] for r in mine], [{1: 0, 5: 1}[r["category_id"]] for r in mine]))
        found_masks.append([r["segmentation"] for r in mine])
    arrays = Detections.from_arrays(outputs, [2, 3, 1], [1, 5], found_masks)
    assert repr(coco_ap(other, arrays, iou_type="segm").AP) == repr(expected.AP)

    files = tmp_path / "truth.json", tmp_path / "found.json"
    for path, data in zip(files, (content, rows), strict=True):
        path.write_text(json.dumps(data))
    from_files = GroundTruth.from_coco(files[0])
    of_file = Detections.from_results(files[1], from_files)
    assert repr(coco_ap(from_files, of_file, iou_type="segm")) == repr(expected)
    for pair in ((from_files, of_file), (truth, found)):
        assert repr(coco_ap(*pickle.loads(pickle.dumps(pair)), iou_type="segm")) == repr(expected)
    files[0].write_text(json.dumps(content) + " ")
    with pytest.raises(TruthError, match="has changed since"):
        coco_ap(GroundTruth(**_fields(from_files)), of_file, iou_type="segm", check=False)


def _fields(truth):
    return {name: getattr(truth, name) for name in truth.__dataclass_fields__}


def _as_rle(mask):
    if isinstance(mask, list):
        return rle(mask)
    return coco_mask.frPyObjects(mask, HEIGHT, WIDTH) if isinstance(mask["counts"], list) else mask


def test_parts_keep_their_masks():
    content, rows = problem(2)
    truth, found = load(content, rows)
    part = truth.subset([1, 2], categories=[1])
    some = found.subset([1, 2], categories=[1])
    expected = {**content, "images": content["images"][:2], "categories": content["categories"][:1]}
    expected["annotations"] = [
        r for r in content["annotations"] if r["image_id"] < 3 and r["category_id"] == 1
    ]
    chosen = [r for r in rows if r["image_id"] < 3 and r["category_id"] == 1]
    assert repr(coco_ap(part, some, iou_type="segm")) == repr(
        coco_ap(*load(expected, chosen), iou_type="segm")
    )


def test_intervals_tables_and_curves_of_masks():
    content, rows = problem(4)
    truth, found = load(content, rows)
    expected = coco_ap(truth, found, iou_type="segm")
    ap, ap50 = bootstrap(truth, found, iou_type="segm", n_replicates=20)
    assert (ap.metric, ap50.metric) == ("AP", "AP50")
    assert (ap.baseline, ap50.baseline) == pytest.approx((expected.AP, expected.AP50))
    (row,) = evaluate_variants(truth, {"whole": found}, metrics="AP", iou_type="segm")
    assert row.value == pytest.approx(expected.AP)
    assert precision_recall_curve(truth, found, iou_type="segm").ap == pytest.approx(expected.AP50)
    with pytest.raises(SettingError, match="`metrics` must be of masks where `iou_type` is 'segm', got 'f1'"):
        bootstrap(truth, found, metrics=["AP", "f1"], iou_type="segm")


def test_boxes_do_not_depend_on_masks():
    content, rows = problem(5)
    truth, found = load(content, rows)
    bare = copy.deepcopy(content)
    for record in bare["annotations"]:
        record["segmentation"] = [] if record["id"] % 2 else "nonsense that only who scores masks would read"
    assert repr(coco_ap(truth, found, check=False)) == repr(
        coco_ap(GroundTruth.from_coco(bare), found, check=False)
    )


def one_mask(mask, size=(WIDTH, HEIGHT), bbox=(1, 1, 9, 9)):
    image = {"id": 1} if size is None else {"id": 1, "width": size[0], "height": size[1]}
    record = {"id": 7, "image_id": 1, "category_id": 1, "bbox": list(bbox), "segmentation": mask}
    return {"images": [image], "categories": [{"id": 1, "name": "a"}], "annotations": [record]}


SQUARE = [[1, 1, 10, 1, 10, 10, 1, 10]]


@pytest.mark.parametrize(
    ("mask", "size", "match"),
    [
        (SQUARE, None, "annotation 7 of image 1: its polygons need the size of the image"),
        (SQUARE, (10.5, 10), "its polygons need the size of the image in whole pixels"),
        ([[1, 1, 2, 2]], (WIDTH, HEIGHT), "its polygon must be x, y, … of three points or more"),
        ([[1, 1, 2, 2, 3, 3, 4]], (WIDTH, HEIGHT), "its polygon must be x, y"),
        ([[1, 1, 2, 2, 3, math.nan]], (WIDTH, HEIGHT), "its polygon must be x, y, .* finite"),
        ([["a"] * 6], (WIDTH, HEIGHT), "its polygon must be x, y"),
        ([[1, 1, 1e9, 1, 5, 5]], (WIDTH, HEIGHT), "its polygon must lie in the image of 80 x 60 pixels"),
        ("text", (WIDTH, HEIGHT), "its mask must be an array of booleans"),
        (
            {"size": [WIDTH, HEIGHT], "counts": [4800]},
            (WIDTH, HEIGHT),
            "as large as its image, 60 high and 80 wide",
        ),
        (
            {"size": [60], "counts": [4800]},
            (WIDTH, HEIGHT),
            r"the `size` of its mask must be \[height, width\]",
        ),
        ({"size": [10**6, 10**6], "counts": [1]}, None, "at most 2,147,483,647 pixels"),
        ({"size": [60, 80], "counts": [5, 5]}, (WIDTH, HEIGHT), "must sum to height x width, 4800, got 10"),
        (
            {"size": [60, 80], "counts": [-1, 4801]},
            (WIDTH, HEIGHT),
            "`counts` of its mask must be run lengths",
        ),
        ({"size": [60, 80]}, (WIDTH, HEIGHT), "`counts` of its mask must be run lengths, got None"),
        (
            {"size": [60, 80], "counts": "12"},
            (WIDTH, HEIGHT),
            "must be COCO's run lengths that fill 60 x 80 pixels",
        ),
        (
            {"size": [60, 80], "counts": ""},
            (WIDTH, HEIGHT),
            "`counts` of its mask must be COCO's run lengths",
        ),
        (
            {"size": [60, 80], "counts": "o" * 40},
            (WIDTH, HEIGHT),
            "`counts` of its mask must be COCO's run lengths",
        ),
        (
            {"size": [60, 80], "counts": "é"},
            (WIDTH, HEIGHT),
            "`counts` of its mask must be COCO's run lengths",
        ),
        (
            {"size": [60, 80], "counts": "\n!"},
            (WIDTH, HEIGHT),
            "`counts` of its mask must be COCO's run lengths",
        ),
    ],
)
def test_masks_that_cannot_be_right(mask, size, match):
    content = one_mask(mask, size)
    good = {"size": [HEIGHT, WIDTH], "counts": [0, 4800]}
    found = Detections.from_arrays([([[0, 0, 9, 9]], [0.5], [0])], [1], [1], [[good]])
    with pytest.raises(TruthError, match=match):
        coco_ap(GroundTruth.from_coco(content), found, iou_type="segm", check=False)
    if size is not None:
        truth = GroundTruth.from_coco(one_mask(SQUARE, size))
        found = Detections.from_arrays([([[0, 0, 9, 9]], [0.5], [0])], [1], [1], [[mask]])
        with pytest.raises((DetectionError, TruthError), match=match.replace("annotation 7", "detection 0")):
            coco_ap(truth, found, iou_type="segm", check=False)


def test_what_has_no_masks_is_refused():
    truth = GroundTruth.from_coco(one_mask(SQUARE))
    bare = GroundTruth.from_coco(one_mask([]))
    found = Detections.from_arrays([([[1, 1, 10, 10]], [0.5], [0])], [1], [1])
    masked = Detections.from_arrays([([[1, 1, 10, 10]], [0.5], [0])], [1], [1], [[rle(SQUARE)]])
    assert pytest.approx(1) == coco_ap(truth, masked, iou_type="segm").AP
    with pytest.raises(DetectionError, match="`detections` must have masks where `iou_type` is 'segm'"):
        coco_ap(truth, found, iou_type="segm")
    with pytest.raises(TruthError, match="`truth` must have masks"):
        coco_ap(bare, masked, iou_type="segm")
    with pytest.raises(DetectionError, match="`detections` must have masks"):
        coco_ap(truth, masked.scaled(2), iou_type="segm", check=False)
    two = one_mask(SQUARE)
    two["annotations"].append({**two["annotations"][0], "id": 8, "segmentation": []})
    with pytest.raises(TruthError, match=r"annotation 8 of image 1: its mask .* must be given"):
        coco_ap(GroundTruth.from_coco(two), masked, iou_type="segm", check=False)
    with pytest.raises(DetectionError, match="`masks` entry 0 must have one mask per box, 1, got 0"):
        Detections.from_arrays([([[1, 1, 10, 10]], [0.5], [0])], [1], [1], [[]])
    with pytest.raises(DetectionError, match="`masks` must have one entry per image, 1, got 0"):
        Detections.from_arrays([([[1, 1, 10, 10]], [0.5], [0])], [1], [1], [])


def test_masks_of_two_sizes_in_an_image():
    truth = GroundTruth.from_coco(one_mask({"size": [60, 80], "counts": [0, 4800]}, None))
    small = Detections.from_arrays(
        [([[1, 1, 9, 9]], [0.5], [0])], [1], [1], [[np.ones((30, 40), dtype=bool)]]
    )
    with pytest.raises(DetectionError, match=r"must have one `size`, .* \[30, 40\] and \[60, 80\]"):
        coco_ap(truth, small, iou_type="segm", check=False)


def test_nothing_detected():
    truth = GroundTruth.from_coco(one_mask(SQUARE))
    assert coco_ap(truth, Detections.from_results([], truth), iou_type="segm").AP == 0


def test_keypoints_are_refused():
    truth = GroundTruth.from_coco(one_mask(SQUARE))
    with pytest.raises(SettingError, match=r"`iou_type` must be 'bbox' or 'segm', .* got 'keypoints'"):
        coco_ap(truth, Detections.from_results([], truth), iou_type="keypoints")
    rows = [{"image_id": 1, "category_id": 1, "keypoints": [1, 1, 2], "score": 0.5}]
    with pytest.raises(DetectionError, match="results of keypoints"):
        Detections.from_results(rows, truth)


def test_masks_of_other_frameworks():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    stacks = [np.zeros((n, 30, 40), dtype=bool) for n in (2, 0, 1)]
    boxes = []
    for stack in stacks:
        corners = rng.integers(0, 15, (len(stack), 2))
        boxes.append(np.concatenate([corners, corners + 12], axis=1).astype(float))
        for mask, (x0, y0, x1, y1) in zip(stack, boxes[-1].astype(int), strict=True):
            mask[y0:y1, x0 : x1 - 3] = True
    labels = [np.ones(len(stack), dtype=np.int64) for stack in stacks]
    ids = [5, 3, 9]
    targets = [
        {"boxes": torch.tensor(b), "labels": torch.tensor(k), "masks": torch.tensor(m, dtype=torch.uint8)}
        for b, k, m in zip(boxes, labels, stacks, strict=True)
    ]
    truth = GroundTruth.from_torchvision(targets, {1: "a"}, ids, masks=True)
    outputs = [
        {**t, "scores": torch.full((len(t["labels"]),), 0.5), "masks": t["masks"][:, None] * 0.4 + 0.3}
        for t in targets
    ]

    def score(truth, found):
        return coco_ap(truth, found, iou_type="segm").AP

    assert score(truth, Detections.from_torchvision(outputs, ids, masks=True)) == pytest.approx(1)
    samples = [
        {"pred_instances": {"bboxes": b, "scores": np.full(len(b), 0.5), "labels": k - 1, "masks": m}}
        for b, k, m in zip(boxes, labels, stacks, strict=True)
    ]
    assert score(truth, Detections.from_samples(samples, [1], ids, masks=True)) == pytest.approx(1)
    encoded = [[coco_mask.encode(np.asfortranarray(m, dtype=np.uint8)) for m in stack] for stack in stacks]
    for sample, masks in zip(samples, encoded, strict=True):
        sample["pred_instances"]["masks"] = masks
    assert score(truth, Detections.from_samples(samples, [1], ids, masks=True)) == pytest.approx(1)

    items = [
        {"xyxy": b, "class_id": k - 1, "confidence": np.full(len(b), 0.5), "mask": m}
        for b, k, m in zip(boxes, labels, stacks, strict=True)
    ]
    seen = GroundTruth.from_supervision(items, ids, ["a"], masks=True)
    assert score(seen, Detections.from_supervision(items, ids, [0], masks=True)) == pytest.approx(1)
    for wrong, match in (
        (None, "Image 5: masks must be given where `masks` is True, got none"),
        (outputs[0]["masks"][:1], "Image 5: there must be one mask per box, 2, got 1"),
        (outputs[0]["masks"][0, 0], r"Image 5: masks must have shape \(n, height, width\), got"),
    ):
        with pytest.raises(DetectionError, match=match):
            Detections.from_torchvision([{**outputs[0], "masks": wrong}], [5], masks=True)


def test_more_masks_than_pycocotools_takes_at_once():
    """Its ``area`` stores the number of masks in eight bits."""
    rng, n = np.random.default_rng(0), 300
    corners = rng.integers(0, 40, (n, 2))
    masks = np.zeros((n, HEIGHT, WIDTH), dtype=bool)
    for i, (x, y) in enumerate(corners):
        masks[i, y : y + 20, x : x + 3 + i % 20] = True
    found = [
        {"image_id": 1, "category_id": 1, "score": 1 - i / 400, "segmentation": m}
        for i, m in enumerate(masks)
    ]
    content = one_mask(coco_mask.encode(np.asfortranarray(masks[17], dtype=np.uint8)))
    encoded = [coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8)) for mask in masks]
    for row, mask in zip(found, encoded, strict=True):
        row["segmentation"] = mask
    truth = GroundTruth.from_coco(content)
    detections = Detections.from_results(found, truth)
    assert detections.sizes[:, 0].tolist() == [3 + i % 20 for i in range(n)]
    areas = {"a": (0, 20 * 12), "b": (20 * 12 + 1, 1000)}
    settings = {"area_ranges": areas, "max_detections": 300, "iou_type": "segm", "check": False}
    result = coco_ap(truth, detections, **settings)
    reference = coco_ap(truth, detections, backend="pycocotools", **settings)
    assert repr(result) == repr(reference)
