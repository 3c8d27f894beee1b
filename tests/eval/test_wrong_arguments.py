"""Every wrong type or order of arguments ends in one sentence, and boxes of other sizes of images are told of."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dissect_eval as de
from dissect_eval import Detections, EvalError, GroundTruth, SplitWarning, coco_ap

N = 60
RNG = np.random.default_rng(0)
SIZES = np.stack([RNG.integers(300, 900, N), RNG.integers(300, 900, N)], 1).astype(float)
NAMES = {1: "a", 2: "b", 3: "c"}
FILES = [f"{i:03}x.jpg" for i in range(N)]


def scenes() -> tuple[list[Any], list[Any]]:
    rng = np.random.default_rng(1)
    true, found = [], []
    for size in SIZES:
        n = int(rng.integers(1, 6))
        low = rng.uniform(0, 0.6, (n, 2)) * size
        boxes, labels = np.hstack([low, low + rng.uniform(0.1, 0.4, (n, 2)) * size]), rng.integers(0, 3, n)
        true.append((boxes, labels + 1))
        found.append((boxes + rng.normal(0, 4, boxes.shape), rng.uniform(0.3, 1, n), labels))
    return true, found


TRUE, FOUND = scenes()
TRUTH = GroundTruth.from_arrays(TRUE, range(N), NAMES, image_sizes=SIZES, file_names=FILES)


def detections(change: Callable[[np.ndarray, np.ndarray], np.ndarray] = lambda b, _: b) -> Detections:
    changed = [(change(b, size), s, k) for (b, s, k), size in zip(FOUND, SIZES, strict=True)]
    return Detections.from_arrays(changed, range(N), [1, 2, 3])


def letterbox(boxes: np.ndarray, size: np.ndarray) -> np.ndarray:
    scale = 640 / size.max()
    return boxes * scale + np.tile((640 - size * scale) / 2, 2)


def mirrored(boxes: np.ndarray, size: np.ndarray, axis: int) -> np.ndarray:
    out = boxes.copy()
    out[:, [axis, axis + 2]] = size[axis] - boxes[:, [axis + 2, axis]]
    return out


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda b, size: b / np.tile(size, 2) * 640, r"resized to 640 x 640.*image_sizes / \(640, 640\)"),
        (lambda b, size: b / np.tile(size, 2) * [512, 300, 512, 300], r"resized to 512 x (300|304)"),
        (lambda b, size: b * 800 / size.min(), r"a shortest side of 800: .*min\(axis=1\) / 800"),
        (lambda b, size: b * 1333 / size.max(), r"a longest side of 133\d"),
        (letterbox, "the middle of a square of 640"),
        (lambda b, _: b * [0.5, 0.8, 0.5, 0.8], r"0\.\d+ times as wide and 0\.\d+ times as high"),
        (lambda b, _: b / 3, r"0\.33\d times as large: .*`found\.scaled\((2\.9\d+|3(\.0\d*)?)\)`"),
        (lambda b, size: (b / np.tile(size, 2))[:, [1, 0, 3, 2]], "normalised y, x, y, x"),
        (lambda b, _: b[:, [0, 2, 1, 3]], "x, x, y, y"),
        (lambda b, size: mirrored(b, size, 0), "mirrored, left to right"),
        (lambda b, size: mirrored(b, size, 1), "mirrored, upside down"),
    ],
)
def test_boxes_of_another_image_are_told_of(
    change: Callable[[np.ndarray, np.ndarray], np.ndarray], told: str
) -> None:
    with pytest.warns(SplitWarning, match=told) as caught:
        coco_ap(TRUTH, detections(change))
    assert len(caught) == 1


def test_remedies_of_other_sizes_mend() -> None:
    right = coco_ap(TRUTH, detections()).AP
    squashed = detections(lambda b, size: b / np.tile(size, 2) * 640)
    assert abs(coco_ap(TRUTH, squashed.scaled(TRUTH.image_sizes / (640, 640))).AP - right) < 1e-9
    longer = detections(lambda b, size: b * 800 / size.min())
    assert abs(coco_ap(TRUTH, longer.scaled(TRUTH.image_sizes.min(axis=1) / 800)).AP - right) < 1e-9


@pytest.mark.parametrize(
    ("of_truth", "of_found", "told"),
    [
        (True, True, "All boxes lie between 0 and 1.5"),
        (True, False, "are true boxes normalised"),
        (False, True, "are detections normalised"),
    ],
)
def test_normalised_boxes_without_sizes_of_images(of_truth: bool, of_found: bool, told: str) -> None:
    def small(boxes: np.ndarray, size: np.ndarray, really: bool) -> np.ndarray:
        return boxes / np.tile(size, 2) if really else boxes

    true = [(small(b, size, of_truth), k) for (b, k), size in zip(TRUE, SIZES, strict=True)]
    truth = GroundTruth.from_arrays(true, range(N), NAMES)
    with pytest.warns(SplitWarning, match=told) as caught:
        coco_ap(truth, detections(lambda b, size: small(b, size, of_found)))
    assert "no better than another" not in str(caught[0].message)


def crowd(n: int) -> tuple[GroundTruth, Callable[[], Detections]]:
    low = np.stack(np.meshgrid(np.arange(20.0), np.arange(n / 20)), -1).reshape(-1, 2) * 20
    boxes = np.hstack([low, low + 15])
    truth = GroundTruth.from_arrays([(boxes, [1] * n)], [5], {1: "cell"})
    return truth, lambda: Detections.from_arrays([(boxes, np.linspace(0.5, 1, n), [0] * n)], [5], [1])


def test_detections_cut_where_objects_are_more_are_told_of() -> None:
    truth, found = crowd(300)
    told = "best 100 detections.*1 of these hold more objects, up to 300: 200 detections are cut off.*such as to 300"
    for score in (
        coco_ap,
        de.precision_recall_curve,
        lambda *pair: de.evaluate(*pair, chance_repeats=0),
        lambda *pair: de.bootstrap(*pair, metrics="AP50", n_replicates=0),
        lambda truth, one: de.evaluate_variants(truth, {"a": one}, metrics="AP"),
        lambda *pair: coco_ap(*pair, class_agnostic=True),
    ):
        with pytest.warns(SplitWarning, match=told) as caught:
            score(truth, found())
        assert Path(caught[0].filename).name == Path(__file__).name
    once = found()
    with pytest.warns(SplitWarning, match="cut off"):
        coco_ap(truth, once)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        coco_ap(truth, once)
        coco_ap(truth, found(), check=False)
        assert round(coco_ap(truth, found(), max_detections=300).AP, 6) == 1
        de.detection_metrics(truth, found())
        coco_ap(*(lambda pair: (pair[0], pair[1]()))(crowd(100)))


WRONG: dict[str, Callable[[Any], Any]] = {
    "precision_recall_curve": lambda v: de.precision_recall_curve(TRUTH, GOOD, iou_threshold=v),
    "detection_metrics": lambda v: de.detection_metrics(TRUTH, GOOD, iou_threshold=v),
    "confusion_matrix": lambda v: de.confusion_matrix(TRUTH, GOOD, iou_threshold=v),
    "error_types": lambda v: de.error_types(TRUTH, GOOD, foreground=v),
    "background": lambda v: de.error_types(TRUTH, GOOD, background=v),
    "bootstrap": lambda v: de.bootstrap(TRUTH, GOOD, iou_threshold=v, n_replicates=0, metrics="f1"),
    "chance_level": lambda v: de.chance_level(TRUTH, GOOD, iou_threshold=v, repeats=1),
    "evaluate": lambda v: de.evaluate(TRUTH, GOOD, iou_threshold=v, chance_repeats=0),
    "coco_ap": lambda v: coco_ap(TRUTH, GOOD, iou_thresholds=v),
    "confidence": lambda v: de.bootstrap(TRUTH, GOOD, confidence=v, n_replicates=0, metrics="f1"),
}
GOOD = detections()


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize(
    "value",
    ["0.5", "", {}, float("nan"), -1, 50, object()],
    ids=lambda value: type(value).__name__ if type(value) is object else repr(value),
)
def test_thresholds_of_another_type_are_refused(name: str, value: Any) -> None:
    with pytest.raises(EvalError, match=r"must be|must all|within 0 and 1"):
        WRONG[name](value)


PER_IMAGE = [([[0, 0, 1, 1]], [0.5], [0])]
CALLS: dict[str, Callable[[], Any]] = {
    "variants, list": lambda: de.evaluate_variants(TRUTH, [GOOD, GOOD]),  # type: ignore[arg-type]
    "variants, one": lambda: de.evaluate_variants(TRUTH, GOOD),  # type: ignore[arg-type]
    "variants first": lambda: de.evaluate_variants({"a": GOOD}, TRUTH),  # type: ignore[arg-type]
    "variants, None": lambda: de.evaluate_variants(TRUTH, {"a": None}),  # type: ignore[dict-item]
    "variants, numbers": lambda: de.evaluate_variants(TRUTH, {1: GOOD}),  # type: ignore[dict-item]
    "controls, None": lambda: de.evaluate_variants(TRUTH, {"a": GOOD}, controls=None),  # type: ignore[arg-type]
    "controls, text": lambda: de.evaluate_variants(TRUTH, {"a": GOOD, "b": GOOD}, controls="b"),
    "category, list": lambda: de.precision_recall_curve(TRUTH, GOOD, category_id=[1]),  # type: ignore[arg-type]
    "counts, text": lambda: de.chance_level(TRUTH, "x"),
    "counts, None": lambda: de.chance_level(TRUTH, None),  # type: ignore[arg-type]
    "seed": lambda: de.chance_level(TRUTH, 3, seed="a"),  # type: ignore[arg-type]
    "repeats": lambda: de.chance_level(TRUTH, 3, repeats="3"),  # type: ignore[arg-type]
    "chance first": lambda: de.better_than_chance(GOOD, TRUTH),  # type: ignore[arg-type]
    "chance of a file": lambda: de.better_than_chance("no.json", GOOD),
    "evaluate's repeats": lambda: de.evaluate(TRUTH, GOOD, chance_repeats="3"),  # type: ignore[arg-type]
    "evaluate's seed": lambda: de.evaluate(TRUTH, GOOD, seed=None),  # type: ignore[arg-type]
    "results swapped": lambda: Detections.from_results(TRUTH, []),  # type: ignore[arg-type]
    "results, no truth": lambda: Detections.from_results([], 3),  # type: ignore[arg-type]
    "dicts": lambda: Detections.from_arrays([{"boxes": [], "scores": [], "labels": []}], [0], [1]),  # type: ignore[list-item]
    "one image": lambda: Detections.from_arrays(PER_IMAGE[0], [0], [1]),  # type: ignore[arg-type]
    "file names": lambda: Detections.from_arrays(PER_IMAGE, ["a.jpg"], [1]),  # type: ignore[list-item]
    "no ids": lambda: Detections.from_torchvision([{"boxes": [], "scores": [], "labels": []}], None),  # type: ignore[arg-type]
    "one id": lambda: Detections.from_torchvision([{"boxes": [], "scores": [], "labels": []}], 7),  # type: ignore[arg-type]
    "id2label": lambda: Detections.from_transformers(
        [{"boxes": [[0, 0, 1, 1]], "scores": [0.5], "labels": [1]}],
        [0],
        {0: "a", 1: "b"},  # type: ignore[arg-type]
    ),
    "model.names": lambda: Detections.from_ultralytics(
        [{"boxes": {"xyxy": [[0, 0, 1, 1]], "conf": [0.5], "cls": [1.0]}}],
        [0],
        {0: "a", 1: "b"},  # type: ignore[arg-type]
    ),
    "names first": lambda: de.label_to_category(["a"], TRUTH),  # type: ignore[arg-type]
    "aligned to nothing": lambda: GOOD.aligned_to(None),  # type: ignore[arg-type]
    "subset by a name": lambda: TRUTH.subset("a"),
    "subset by names": lambda: TRUTH.subset(["a.jpg"]),  # type: ignore[list-item]
    "subset by a number": lambda: GOOD.subset(3),  # type: ignore[arg-type]
    "above a text": lambda: GOOD.above("x"),  # type: ignore[arg-type]
    "scaled by truth": lambda: GOOD.scaled(TRUTH),  # type: ignore[arg-type]
    "truth's ids": lambda: GroundTruth.from_arrays(TRUE, 5, NAMES),  # type: ignore[arg-type]
    "truth of nothing": lambda: GroundTruth.from_arrays(None, [1], NAMES),  # type: ignore[arg-type]
    "truth of dicts": lambda: GroundTruth.from_arrays([{"boxes": []}], [1], NAMES),  # type: ignore[list-item]
    "split swapped": lambda: de.check_split(GOOD, TRUTH),  # type: ignore[arg-type]
    "p-values": lambda: de.adjust_p_values("abc"),  # type: ignore[arg-type]
    "repeated values": lambda: de.summarize_repeats(["a"]),  # type: ignore[list-item]
    "labels": lambda: de.paired_labels_f1(None, None),  # type: ignore[arg-type]
    "class map": lambda: de.read_class_map(3),  # type: ignore[arg-type]
    "boxes": lambda: de.pairwise_iou(None, [[0, 0, 1, 1]]),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", CALLS)
def test_wrong_arguments_end_in_a_sentence(name: str) -> None:
    with pytest.raises(EvalError) as caught:
        CALLS[name]()
    assert str(caught.value).rstrip().endswith((".", "]"))


def test_truth_as_a_file_everywhere(tmp_path: Path) -> None:
    file = tmp_path / "gt.json"
    file.write_text(json.dumps(TRUTH.to_coco()))
    assert de.label_to_category(file, ["c", "a", "b"]).tolist() == [3, 1, 2]
    assert de.match_classes(file, {0: "a", 1: "b", 2: "c"}).categories.tolist() == [1, 2, 3]
    read = Detections.from_results(GOOD.to_results(), str(file))
    assert read.n_boxes == GOOD.n_boxes
    assert GOOD.aligned_to(file) is GOOD
    assert de.check_split(file, read) == ()


@pytest.mark.parametrize("ending", [True, False])
def test_results_by_names_of_files(ending: bool) -> None:
    rows = [
        {**row, "image_id": FILES[row["image_id"]].removesuffix("" if ending else ".jpg")}
        for row in GOOD.to_results()
    ]
    read = Detections.from_results(rows, TRUTH)
    np.testing.assert_array_equal(read.image_splits, GOOD.image_splits)
    rows[3]["image_id"] = "other.jpg"
    with pytest.raises(de.DetectionError, match=r"detection 3 .*`image_id` must be an integer.*'other\.jpg'"):
        Detections.from_results(rows, TRUTH)


def test_tensors_with_gradients_everywhere() -> None:
    torch = pytest.importorskip("torch")
    box = torch.tensor([[0.0, 0, 2, 2]], requires_grad=True)
    half = torch.tensor([[0, 0, 2, 2]], dtype=torch.bfloat16)
    for one in (box, half, [box[0], box[0]]):
        assert de.pairwise_iou(one, [[0, 0, 2, 2]])[0, 0] == 1
    assert len(de.match_image(box, half)[0]) == 1
    truth = GroundTruth.from_arrays([(box, torch.tensor([1]))], torch.tensor([7]), {1: "a"})
    found = Detections.from_arrays(
        [([box[0]], [torch.tensor(0.5, requires_grad=True)], [torch.tensor(0)])],
        torch.tensor([7]),
        torch.tensor([1]),
    )
    assert coco_ap(truth, found, check=False).AP50 > 0.99
    assert de.paired_labels_f1(torch.tensor([1, 2]), torch.tensor([1, 2])).weighted == 1
