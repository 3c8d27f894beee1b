"""COCO files that hold what none should: each is read as it is, or refused by one line that says what and where."""

from __future__ import annotations

import json
import os
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dissect_eval import Detections, GroundTruth, coco_ap, detection_metrics, match_classes, read_class_map
from dissect_eval.errors import CategoryError, DetectionError, EvalError, TruthError

HUGE = 10**400
NAN, INFINITY = float("nan"), float("inf")
GOOD = {
    "images": [{"id": 1, "width": 640, "height": 480, "file_name": "a.jpg"}],
    "categories": [{"id": 1, "name": "cat"}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "area": 12, "iscrowd": 0}
    ],
}
NO_NUMBERS: list[Any] = [None, "xxx", "1", HUGE, NAN, INFINITY, True, [], [[]], {}]
REFUSED = {
    ("images", "width"): [-1, 0, "xxx", HUGE, NAN, INFINITY, True, [], 10**12],
    ("images", "height"): [-1, 0, -0.5, "1e9", {}, "9" * 5000],
    ("images", "file_name"): [1, [], True, "\ud800"],
    ("images", "id"): [None, "x", 1.5, HUGE, NAN, True, [], -(2**63) - 1],
    ("categories", "id"): [None, "x", 1.5, HUGE, True, []],
    ("categories", "name"): [None, 1, [], "", "\ud800", True],
    ("annotations", "id"): ["x", 1.5, HUGE, True, {}],
    ("annotations", "image_id"): [None, 2, HUGE, True, [1]],
    ("annotations", "category_id"): [None, 2, HUGE, "cat"],
    ("annotations", "bbox"): [
        *NO_NUMBERS,
        [1, 2, 3],
        [1, 2, 3, 4, 5],
        [[1, 2, 3, 4]],
        [1, 2, -3, 4],
        [1e308] * 4,
    ]
    + [[1, value, 3, 4] for value in NO_NUMBERS],
    ("annotations", "area"): [-1, *NO_NUMBERS[1:]],
    ("annotations", "iscrowd"): [2, -1, "x", HUGE, NAN, [], 0.5],
}


def changed(part: str, key: str, value: Any) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(json.dumps(GOOD))
    content[part][0][key] = value
    return content


def refusal(path: Path, content: bytes | str, error: type[EvalError] = TruthError) -> str:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(error) as refused:
        GroundTruth.from_coco(path)
    text = str(refused.value)
    assert str(path) in text
    assert len(text) < 2000
    assert text.isprintable()
    return text


@pytest.mark.parametrize(
    ("part", "key", "value"), [(*where, v) for where, values in REFUSED.items() for v in values]
)
def test_a_wrong_field_is_named(part: str, key: str, value: Any, tmp_path: Path) -> None:
    text = refusal(tmp_path / "truth.json", json.dumps(changed(part, key, value)))
    assert key in text or "boxes" in text


@pytest.mark.parametrize("part", GOOD)
@pytest.mark.parametrize("value", [None, 1, "text", {}, [1], [[]], [None], True, "twice"])
def test_a_wrong_part_is_named(part: str, value: Any, tmp_path: Path) -> None:
    content: dict[str, Any] = json.loads(json.dumps(GOOD))
    content[part] = content[part] * 2 if value == "twice" else value
    assert part.rstrip("s").rstrip("e")[:6] in refusal(tmp_path / "truth.json", json.dumps(content))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b"\0" * 64,
        b'{"images": [{"id": ' + b"1" * 5000 + b"}]}",
        b'{"images": [], "images": [], "categories": [], "annotations": []}',
        json.dumps(GOOD).replace('"width": 640', '"width": 640, "width" : 1').encode(),
        json.dumps(GOOD).encode("utf-16"),
        json.dumps(GOOD, ensure_ascii=False).replace("cat", "ü").encode("latin-1"),
        json.dumps(GOOD).encode()[:-5],
    ],
)
def test_a_file_that_is_none(content: bytes, tmp_path: Path) -> None:
    refusal(tmp_path / "truth.json", content)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "truth.json")
    os.mkfifo(tmp_path / "map.csv")
    for path in (tmp_path / "truth.json", tmp_path, Path(os.devnull)):
        with pytest.raises(TruthError, match="Cannot read"):
            GroundTruth.from_coco(path)
    with pytest.raises(CategoryError, match="cannot be read"):
        read_class_map(tmp_path / "map.csv")


def test_what_is_odd_and_right_is_read(tmp_path: Path) -> None:
    content = changed("images", "width", 640.5)
    content["annotations"][0] |= {"segmentation": "odd", "id": 10**18}
    content["categories"].append({"id": 10**18, "name": "=$\x1b[31m" + "a" * 990, "supercategory": [1]})
    path = tmp_path / "truth.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(content).encode())
    truth = GroundTruth.from_coco(path)
    assert truth.image_sizes.tolist() == [[640.5, 480]]
    assert GroundTruth.from_coco(truth.to_coco()).to_coco() == truth.to_coco()
    found = Detections.from_results(
        [{"image_id": 1, "category_id": 10**18, "bbox": [1, 2, 3, 4], "score": 1}], truth
    )
    assert coco_ap(truth, found).AP == 0


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("score", "1"),
        ("score", True),
        ("score", NAN),
        ("score", HUGE),
        ("bbox", ["1", 2, 3, 4]),
        ("bbox", [1e308] * 4),
        ("bbox", [1, 2, 3, True]),
        ("bbox", None),
        ("image_id", HUGE),
        ("category_id", []),
    ],
)
def test_wrong_detections_are_named(key: str, value: Any, tmp_path: Path) -> None:
    path = tmp_path / "found.json"
    path.write_text(
        json.dumps([{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 1, key: value}])
    )
    with pytest.raises(DetectionError) as refused:
        Detections.from_results(path, GroundTruth.from_coco(GOOD))
    assert str(path) in str(refused.value)


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        (".yaml", "a: !!bool x"),
        (".yaml", "a: !!int ''"),
        (".yaml", "a: !!timestamp x"),
        (".yaml", "[" * 10_000),
        (".csv", "a,b\0c,d\n" + "x" * 200_000),
        (".json", '{"a": ' + "1" * 5000 + "}"),
        (".json", '{"' + "a" * 10**6 + '": 3}'),
    ],
)
def test_wrong_class_maps_are_named(suffix: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / f"map{suffix}"
    path.write_text(text)
    with pytest.raises(CategoryError) as refused:
        read_class_map(path)
    assert len(str(refused.value)) < 2000


def test_categories_without_objects_cost_next_to_nothing() -> None:
    n = 50_000
    names = [f"class {i}" for i in range(n)]
    truth = GroundTruth.from_arrays([([[0, 0, 9, 9]], [7]), ([[5, 5, 20, 30]], [n - 1])], [1, 2], names)
    tracemalloc.start()
    begun = time.process_time()
    match = match_classes(truth, names)
    found = match.detections([([[0, 0, 9, 9]], [0.9], [7]), ([[5, 5, 20, 31]], [0.8], [n - 1])], [1, 2])
    ap, metrics = coco_ap(truth, found), detection_metrics(truth, found)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert time.process_time() - begun < 20  # minutes, were it quadratic
    assert most < 200e6
    few = GroundTruth.from_arrays([([[0, 0, 9, 9]], [7]), ([[5, 5, 20, 30]], [9])], [1, 2], names[:10])
    same = Detections.from_arrays(
        [([[0, 0, 9, 9]], [0.9], [0]), ([[5, 5, 20, 31]], [0.8], [1])], [1, 2], [7, 9]
    )
    assert ap.AP == coco_ap(few, same).AP
    assert ap.per_class[n - 1] == coco_ap(few, same).per_class[9]
    assert metrics.micro == detection_metrics(few, same).micro
    assert np.isnan(ap.per_class[0])


def test_other_names_are_not_all_told() -> None:
    truth = GroundTruth.from_arrays([([[0, 0, 9, 9]], [0])], [1], [f"class {i}" for i in range(50_000)])
    with pytest.raises(CategoryError) as refused:
        match_classes(truth, ["x" * 10**6, *(f"klass {i}" for i in range(50_000))])
    assert len(str(refused.value)) < 20_000


@pytest.mark.parametrize("length", [1001, 10_000_000])
def test_an_endless_name_is_no_name(length: int) -> None:
    for make in (
        lambda: GroundTruth.from_arrays([([[0, 0, 9, 9]], [0])], [1], ["x" * length]),
        lambda: GroundTruth.from_coco(
            {"images": [], "annotations": [], "categories": [{"id": 0, "name": "x" * length}]}
        ),
    ):
        with pytest.raises(TruthError, match=r"category 0: its name must have at most 1,000 char") as told:
            make()
        assert len(str(told.value)) < 400


def test_half_a_character_is_told_as_such() -> None:
    with pytest.raises(
        TruthError, match=r"a text that a file can hold, got 'cat\\ud800': half of a character"
    ):
        GroundTruth.from_coco(
            {"images": [], "annotations": [], "categories": [{"id": 0, "name": "cat\ud800"}]}
        )
