"""Tables, parts and streams: the same detections, however they come."""

from __future__ import annotations

import pickle
import random

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dissect_eval import (
    Accumulator,
    DetectionError,
    Detections,
    GroundTruth,
    SettingError,
    SplitWarning,
    coco_ap,
    evaluate,
)

FIELDS = ("image_ids", "image_splits", "boxes", "sizes", "scores", "category_ids")


def same(one, other):
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


def problem(seed=0, n_images=12):
    rng = np.random.default_rng(seed)
    per_image, found = [], []
    for _ in range(n_images):
        corner, n = rng.uniform(0, 60, (5, 2)).round(), int(rng.integers(0, 5))
        boxes = np.concatenate([corner, corner + rng.integers(5, 30, (5, 2))], 1)[:n]
        per_image.append((boxes, rng.integers(1, 3, n)))
        found.append((boxes + rng.integers(-2, 3, 4), rng.random(n), per_image[-1][1] - 1))
    ids = list(range(100, 100 + n_images))
    truth = GroundTruth.from_arrays(per_image, ids, {1: "cat", 2: "dog"}, image_sizes=[(100, 100)] * n_images)
    return truth, found, ids, Detections.from_arrays(found, ids, [1, 2])


def table_of(found, shuffle=None):
    """Columns of one row per box, in the order of the images or another."""
    rows = np.arange(found.n_boxes)
    if shuffle is not None:
        order = np.random.default_rng(shuffle).permutation(found.n_images)
        rows = np.concatenate([rows[found.image_splits[i] : found.image_splits[i + 1]] for i in order])
    columns = {
        "image_id": found.image_ids[found.image_index],
        "category_id": found.category_ids,
        "score": found.scores,
    }
    columns |= dict(zip(("x_min", "y_min", "x_max", "y_max"), found.boxes.T, strict=True))
    return {name: column[rows] for name, column in columns.items()}


@pytest.mark.parametrize("shuffle", [None, 1])
@pytest.mark.parametrize("kind", ["arrays", "lists", "pandas", "arrow", "chunked", "parquet", "float32"])
def test_tables(kind, shuffle, tmp_path):
    *_, ids, found = problem()
    columns = table_of(found, shuffle)
    if kind == "lists":
        table = {name: column.tolist() for name, column in columns.items()}
    elif kind == "pandas":
        table = pd.DataFrame(columns).assign(extra="x")
    elif kind == "arrow":
        table = pa.table(columns)
    elif kind == "chunked":
        table = pa.concat_tables([pa.table(columns).slice(0, 7), pa.table(columns).slice(7)])
    elif kind == "parquet":
        table = tmp_path / "found.parquet"
        pq.write_table(pa.table(columns), table)
    elif kind == "float32":
        table = pd.DataFrame(columns).astype(
            {"image_id": float, "category_id": np.uint8, "x_min": np.float32}
        )
    else:
        table = columns
    same(Detections.from_columns(table, ids), found)


def test_other_forms_of_boxes():
    *_, ids, found = problem()
    columns = table_of(found)
    corners = [columns.pop(name) for name in ("x_min", "y_min", "x_max", "y_max")]
    xywh = [corners[0], corners[1], corners[2] - corners[0], corners[3] - corners[1]]
    for names in (
        ("x1", "y1", "x2", "y2"),
        ("left", "top", "right", "bottom"),
        ("xmin", "ymin", "xmax", "ymax"),
    ):
        same(Detections.from_columns(columns | dict(zip(names, corners, strict=True)), ids), found)
    for names in (("x", "y", "width", "height"), ("x", "y", "w", "h"), ("left", "top", "width", "height")):
        same(Detections.from_columns(columns | dict(zip(names, xywh, strict=True)), ids), found)
    bbox = np.stack(xywh, axis=1)
    lists = pa.array(bbox.tolist(), pa.list_(pa.float64()))
    fixed = pa.FixedSizeListArray.from_arrays(pa.array(bbox.ravel()), 4)
    for column in (bbox, lists, fixed, bbox.tolist()):
        same(Detections.from_columns(columns | {"bbox": column}, ids), found)
    for column in (lists, fixed):
        same(Detections.from_columns(pa.table(columns | {"bbox": column}), ids), found)
    same(Detections.from_columns(pd.DataFrame(columns | {"bbox": bbox.tolist()}), ids), found)
    named = {
        "img": columns["image_id"],
        "cls": columns["category_id"],
        "conf": columns["score"],
        "bbox": bbox,
    }
    names = {"image_id": "img", "category_id": "cls", "score": "conf"}
    same(Detections.from_columns(named, ids, names=names), found)


def test_images_without_detections_and_no_rows():
    *_, found = problem()
    assert Detections.from_columns(table_of(found)).n_images == len(np.unique(found.image_index))
    empty = Detections.from_columns({name: [] for name in table_of(found)}, [3, 1])
    assert (empty.image_ids.tolist(), empty.n_boxes) == ([1, 3], 0)


def test_negative_sizes_become_points():
    one = {
        "image_id": [1],
        "category_id": [1],
        "score": [0.5],
        "x": [5],
        "y": [6],
        "width": [-2],
        "height": [3],
    }
    found = Detections.from_columns(one)
    assert (found.boxes.tolist(), found.n_negative) == ([[5, 6, 5, 6]], 1)


ONE = {
    "image_id": [1, 2],
    "category_id": [1, 1],
    "score": [0.5, 0.6],
    "x1": [0, 0],
    "y1": [0, 0],
    "x2": [5, 5],
}
ONE["y2"] = [5, 5]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"score": None}, "`table` must have a column 'score', got 'image_id'.*Name yours by names="),
        ({"x1": None}, "`table` must have boxes: columns x_min"),
        (
            {"score": [0.5]},
            "columns of `table` must be of one length, got image_id 2, category_id 2, score 1",
        ),
        ({"score": [0.5, float("nan")]}, "column 'score' row 1 must be finite, got nan"),
        ({"score": ["a", "b"]}, "column 'score' must be numbers"),
        ({"image_id": [1.5, 2]}, "column 'image_id' must be whole numbers, got 1.5"),
        ({"image_id": [True, False]}, "column 'image_id' must be numbers"),
        ({"x2": [float("inf"), 1]}, "column 'x2' row 0 must be finite"),
        ({"x1": None, "bbox": [[1, 2, 3], [1, 2, 3]]}, "column 'bbox' must have 4 numbers a row"),
        ({"x1": None, "bbox": [[1, 2, 3, 4], [1]]}, "column 'bbox'"),
    ],
)
def test_wrong_tables(change, match):
    columns = {name: column for name, column in (ONE | change).items() if column is not None}
    with pytest.raises(DetectionError, match=match):
        Detections.from_columns(columns)


def test_wrong_arguments(tmp_path):
    with pytest.raises(DetectionError, match=r"`table` must be a pandas or Arrow table, .* got list"):
        Detections.from_columns([{"image_id": 1}])
    with pytest.raises(DetectionError, match="`image_ids` must hold all images of `table`, but it lacks 2"):
        Detections.from_columns(ONE, [1])
    with pytest.raises(DetectionError, match="`image_ids` must be unique"):
        Detections.from_columns(ONE, [1, 2, 2])
    with pytest.raises(DetectionError, match="`names` must name columns of `table`, got 'conf'"):
        Detections.from_columns(ONE, names={"score": "conf"})
    nulls = pa.table({**ONE, "score": pa.array([0.5, None])})
    with pytest.raises(DetectionError, match="column 'score' must have no nulls, got 1"):
        Detections.from_columns(nulls)
    (tmp_path / "a.parquet").write_text("no")
    for path in (tmp_path / "a.parquet", tmp_path / "b.parquet"):
        with pytest.raises(DetectionError, match="`table` must be a Parquet file"):
            Detections.from_columns(path)


@pytest.mark.parametrize("seed", range(4))
def test_parts_put_together_are_the_whole(seed):
    _, _, ids, found = problem(seed)
    random.Random(seed).shuffle(ids)
    parts = [found.subset(ids[i::3]) for i in range(3)]
    same(Detections.concat(parts), found)
    same(Detections.concat(iter(parts)), found)
    assert Detections.concat([]).n_images == 0
    with pytest.raises(DetectionError, match=r"`parts` must have no image in common.*on_repeat='first'"):
        Detections.concat([*parts, parts[0]])
    same(Detections.concat([*parts, parts[0]], "first"), found)
    assert Detections.concat([found, found], "join").n_boxes == 2 * found.n_boxes
    with pytest.raises(SettingError, match="`on_repeat` must be 'error', 'first' or 'join', got 'last'"):
        Detections.concat(parts, "last")
    with pytest.raises(DetectionError, match="`parts` must be Detections, got int at 1"):
        Detections.concat([found, 3])


def test_parts_keep_their_masks():
    mask = np.zeros((9, 9), dtype=bool)
    mask[2:5, 2:5] = True
    row = ([[2, 2, 5, 5]], [0.9], [0])
    parts = [Detections.from_arrays([row], [i], [1], [[mask]]) for i in (5, 3)]
    truth = GroundTruth.from_arrays([([[2, 2, 5, 5]], [1])] * 2, [3, 5], {1: "a"}, masks=[[mask]] * 2)
    assert pytest.approx(1) == coco_ap(truth, Detections.concat(parts), iou_type="segm").AP
    with pytest.raises(DetectionError, match="`parts` must have masks all of them, or none"):
        Detections.concat([parts[0], Detections.from_arrays([row], [3], [1])])


@pytest.mark.parametrize("seed", range(4))
def test_a_stream_of_several_processes(seed):
    """Batches over three processes, the last of which repeat images: the result is that of one process."""
    truth, found, ids, whole = problem(seed)
    order = [*range(len(ids)), 1, 2, 0]  # filled up as a distributed sampler does
    processes = []
    for rank in range(3):
        accumulator = Accumulator(truth, [1, 2])
        mine = order[rank::3]
        for i in range(0, len(mine), 2):
            batch = mine[i : i + 2]
            outputs = [found[j] for j in batch]
            if rank == 1:
                outputs = [dict(zip(("boxes", "scores", "labels"), one, strict=True)) for one in outputs]
            accumulator.update([ids[j] for j in batch], outputs)
        processes.append(pickle.loads(pickle.dumps(accumulator)))
    first, *others = processes
    gathered = Accumulator(truth).merge([one.detections for one in processes])
    same(gathered.detections, whole)
    assert first.merge(*others) is first
    assert (first.n_repeated, gathered.n_repeated) == (3, 3)
    same(first.detections, whole)
    expected = evaluate(truth, whole, chance_repeats=0)
    assert repr(first.compute(chance_repeats=0)) == repr(expected)
    assert repr(gathered.compute(coco_ap)) == repr(expected.ap)
    first.reset()
    assert repr(first) == "Accumulator(0 of 12 images, 0 boxes)"


def test_torch_tensors():
    torch = pytest.importorskip("torch")
    truth, found, ids, whole = problem()
    accumulator = Accumulator(truth, [1, 2])
    for image, (boxes, scores, labels) in zip(torch.tensor(ids), found, strict=True):
        output = {"boxes": torch.tensor(boxes, requires_grad=True), "scores": torch.tensor(scores)}
        accumulator.update([image], [{**output, "labels": torch.tensor(labels)}])
    same(accumulator.detections, whole)


def test_images_that_have_not_come():
    truth, found, ids, whole = problem()
    accumulator = Accumulator(truth, [1, 2])
    accumulator.update(ids[:5], found[:5])
    with pytest.warns(SplitWarning, match="7 of 12 images have not come: they count as without detections"):
        accumulator.compute(coco_ap, check=False)
    part = whole.subset(ids[:5])
    result = accumulator.compute(coco_ap, only_seen=True, check=False)
    assert repr(result) == repr(coco_ap(truth.subset(ids[:5]), part, check=False))


def test_wrong_updates():
    truth, found, ids, whole = problem()
    accumulator = Accumulator(truth, [1, 2])
    with pytest.raises(DetectionError, match="`image_ids` must be images of the truth, got 7"):
        accumulator.update([7], [found[0]])
    with pytest.raises(DetectionError, match="`image_ids` and `outputs` must be of one length, got 2 and 1"):
        accumulator.update(ids[:2], [found[0]])
    with pytest.raises(
        DetectionError, match="`outputs` must be a sequence with one item per image, got None"
    ):
        accumulator.update(ids[:2])
    with pytest.raises(DetectionError, match="`others` must be accumulators or Detections, got int"):
        accumulator.merge(3)
    accumulator.update(whole)
    same(accumulator.detections, whole)
