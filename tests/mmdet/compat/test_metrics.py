"""The four result files, against a computation of version 1.0's definitions with SciPy and scikit-learn."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import deep_dissect as dd
from dissect_mmdet import PickleRefusedError
from dissect_mmdet.errors import AnnotationError
from real_data import data_path

FUNCTIONS = {
    "bbox_regression_gt_pred_average_giou_overall_result": dd.calculate_average_giou_overall_and_save_results,
    "bbox_regression_gt_pred_average_giou_per_class_result": dd.calculate_average_giou_per_class_and_save_results,
    "f1_score_classification_overall_result": dd.calculate_average_f1_score_overall_and_save_results,
    "f1_score_classification_per_class_result": dd.calculate_average_f1_score_per_class_and_save_results,
}


def giou(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """GIoU of every pair, in the tensors' own precision, box by box."""
    out = torch.zeros(len(a), len(b))
    for i, (ax, ay, bx, by) in enumerate(a):
        for j, (cx, cy, ex, ey) in enumerate(b):
            inter = (min(bx, ex) - max(ax, cx)).clamp(min=0) * (min(by, ey) - max(ay, cy)).clamp(min=0)
            union = (bx - ax) * (by - ay) + (ex - cx) * (ey - cy) - inter
            hull = (max(bx, ex) - min(ax, cx)) * (max(by, ey) - min(ay, cy))
            out[i, j] = inter / union - (hull - union) / hull
    return out


def version_1(samples: list[Any]) -> dict[str, Any]:
    """The four results by their definitions, in float32 as version 1.0 computes them."""
    from scipy.optimize import linear_sum_assignment
    from sklearn.metrics import f1_score

    values, true, predicted = [], [], []
    for sample in samples:
        truth, found = sample.gt_instances, sample.pred_instances
        if len(truth.labels) == 0 or len(found.labels) == 0:
            continue
        matrix = giou(truth.bboxes, found.bboxes)
        rows, columns = linear_sum_assignment((1 - matrix).numpy())
        values += [float(matrix[i, j]) for i, j in zip(rows, columns, strict=True)]
        true += [dd.CLASSES_DETR[int(truth.labels[i])] for i in rows]
        predicted += [dd.CLASSES_MMDET[int(found.labels[j])] for j in columns]
    both = list(zip(values, true, predicted, strict=True))
    agreeing = {name: [v for v, t, p in both if t == p == name] for name in dd.CLASSES_MMDET}
    per_class = {
        name: f1_score([t == name for t in true], [p == name for p in predicted], zero_division=0)
        for name in dd.CLASSES_MMDET
    }
    overall = f1_score(true, predicted, average="weighted", zero_division=0) if true else 0.0
    keys = list(FUNCTIONS)
    return {
        keys[0]: {"average_giou": float(np.mean(values)) if values else 0.0},
        keys[1]: {name: float(np.mean(found)) for name, found in agreeing.items() if found},
        keys[2]: {"Overall_F1_Score": overall},
        keys[3]: per_class,
    }


def random_samples(make_sample: Callable[..., Any], seed: int, count: int = 8) -> list[Any]:
    """Predictions that sit near the truth in half of the cases, a few classes, some empty images."""
    rng = np.random.default_rng(seed)
    category_ids = np.array([1, 2, 13, 90])
    labels_of = {int(i): label for label, i in dd.class_mapping.items()}
    samples = []
    for number in range(count):
        n_truth, n_found = (0, 5) if number == 1 else (4, 0) if number == 2 else rng.integers(1, 12, 2)
        corner = rng.uniform(0, 80, (n_truth, 2))
        truth = np.concatenate([corner, corner + rng.uniform(2, 60, (n_truth, 2))], axis=1)
        ids = rng.choice(category_ids, n_truth)
        corner = rng.uniform(0, 80, (n_found, 2))
        found = np.concatenate([corner, corner + rng.uniform(2, 60, (n_found, 2))], axis=1)
        labels = rng.choice([0, 1, 11, 79, 40], n_found)
        near = min(n_truth, n_found) // 2
        found[:near] = truth[:near] + rng.uniform(-0.5, 0.5, (near, 4))
        labels[:near] = [labels_of[int(i)] for i in ids[:near]]
        samples.append(make_sample((truth, ids), (found, rng.uniform(0, 1, n_found), labels)))
    return samples


def save(samples: list[Any], path: Path) -> None:
    with path.open("wb") as file:
        pickle.dump(samples, file)


def run_all(folder: Path, iterations: int) -> None:
    for function in FUNCTIONS.values():
        function(f"{folder}/", f"{folder}/", iterations)


def results(folder: Path, i: int = 0) -> dict[str, Any]:
    return {stem: json.loads((folder / f"{stem}_{i}.json").read_text()) for stem in FUNCTIONS}


@pytest.mark.parametrize("seed", range(4))
def test_numbers_are_version_1s(seed: int, make_sample: Callable[..., Any], tmp_path: Path) -> None:
    samples = random_samples(make_sample, seed)
    save(samples, tmp_path / "igt_query_embedding_5_0.pkl")
    for function in FUNCTIONS.values():
        function(f"{tmp_path}/igt_query_embedding_5_", f"{tmp_path}/", 1, 0)
    written, expected = results(tmp_path), version_1(samples)
    assert 0 < len(expected[list(FUNCTIONS)[1]]) < 5
    for stem, values in expected.items():
        assert list(written[stem]) == list(values)
        assert written[stem] == pytest.approx(values, abs=2e-6)
    assert len(written["f1_score_classification_per_class_result"]) == 80


def test_prints_and_file_names(
    make_sample: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for i in (2, 4):
        save(random_samples(make_sample, i, 3), tmp_path / f"in_{i}.pkl")
    for stem, function in FUNCTIONS.items():
        function(f"{tmp_path}/in_", f"{tmp_path}/out-", 3, 2)
        assert capsys.readouterr().out == f"File {tmp_path}/in_3.pkl does not exist. Skip...\n"
        assert {path.name for path in tmp_path.glob("out-*")} == {f"out-{stem}_2.json", f"out-{stem}_4.json"}
        for path in tmp_path.glob("out-*"):
            path.unlink()


def test_no_pair_gives_zeros(make_sample: Callable[..., Any], tmp_path: Path) -> None:
    save(
        [make_sample(([], []), ([[0, 0, 1, 1]], [1], [3])), make_sample(([[0, 0, 1, 1]], [1]), ([], [], []))],
        tmp_path / "0.pkl",
    )
    with pytest.warns(UserWarning, match="F1 is undefined, and written as 0"):
        run_all(tmp_path, 1)
    overall_giou, giou_per_class, overall_f1, f1_per_class = results(tmp_path).values()
    assert (overall_giou, overall_f1) == ({"average_giou": 0.0}, {"Overall_F1_Score": 0.0})
    assert giou_per_class == {}
    assert f1_per_class == dict.fromkeys(dd.CLASSES_MMDET, 0.0)


def test_truth_names_by_91_numbers_and_predictions_by_80(
    make_sample: Callable[..., Any], tmp_path: Path
) -> None:
    box = [[10, 10, 20, 20]]
    save(
        [make_sample((box, [90]), (box, [0.01], [79])), make_sample((box, [13]), (box, [0.9], [13]))],
        tmp_path / "0.pkl",
    )
    for function in FUNCTIONS.values():
        function(f"{tmp_path}/", f"{tmp_path}/", 1)
    _, giou_per_class, overall_f1, f1_per_class = results(tmp_path).values()
    assert giou_per_class == {"toothbrush": 1.0}
    assert overall_f1 == {"Overall_F1_Score": 0.5}
    assert {name for name, value in f1_per_class.items() if value} == {"toothbrush"}


def test_other_classes_are_named_by_what_is_kept_with_the_samples(
    make_sample: Callable[..., Any], tmp_path: Path
) -> None:
    names = {"class_names": ("ring", "cross"), "category_names": ((10, "cross"), (25, "ring"), (31, "blob"))}
    box = [[10, 10, 20, 20]]
    save(
        [
            make_sample((box, [25]), (box, [0.5], [0]), **names),
            make_sample((box, [31]), (box, [0.5], [1]), **names),
        ],
        tmp_path / "0.pkl",
    )
    for function in FUNCTIONS.values():
        function(f"{tmp_path}/", f"{tmp_path}/", 1)
    assert results(tmp_path)["f1_score_classification_per_class_result"] == {"ring": 1, "cross": 0, "blob": 0}


def test_names_that_have_nothing_in_common(make_sample: Callable[..., Any], tmp_path: Path) -> None:
    names = {"class_names": ("ring", "cross"), "category_names": ((1, "person"),)}
    save([make_sample(([[0, 0, 1, 1]], [1]), ([[0, 0, 1, 1]], [1], [0]), **names)], tmp_path / "0.pkl")
    with pytest.raises(AnnotationError, match="no name in common"):
        dd.calculate_average_giou_overall_and_save_results(f"{tmp_path}/", f"{tmp_path}/", 1)


def test_what_has_no_name_is_left_out_of_what_is_per_class(
    make_sample: Callable[..., Any], tmp_path: Path
) -> None:
    """COCO has no category 12, nor one of 91 and more, and MMDetection no label of 80 and more."""
    box, half = [[0, 0, 10, 10]], [[0, 0, 10, 5]]
    samples = [
        make_sample((box, [1]), (box, [0.5], [0])),
        make_sample((box, [12]), (half, [0.5], [0])),
        make_sample((box, [200]), (half, [0.5], [1])),
        make_sample((box, [2]), (half, [0.5], [80])),
        make_sample((box, [12]), (half, [0.5], [80])),
        make_sample((box, [2]), (half, [0.5], [0])),
    ]
    save(samples, tmp_path / "0.pkl")
    for function in FUNCTIONS.values():
        function(f"{tmp_path}/", f"{tmp_path}/", 1)
    overall_giou, giou_per_class, overall_f1, f1_per_class = results(tmp_path).values()
    assert overall_giou["average_giou"] == pytest.approx((1 + 5 * 0.5) / 6)
    assert giou_per_class == {"person": 1.0}
    # Two pairs with names: person found as person, bicycle found as person.
    assert overall_f1["Overall_F1_Score"] == pytest.approx((2 / 3 + 0) / 2)
    assert {name: value for name, value in f1_per_class.items() if value} == {"person": pytest.approx(2 / 3)}
    assert list(f1_per_class) == list(dd.CLASSES_MMDET)


def test_bytes_of_the_files(make_sample: Callable[..., Any], tmp_path: Path) -> None:
    box = [[0, 0, 10, 10]]
    save([make_sample((box, [1]), ([[0, 0, 10, 5]], [0.5], [0]))], tmp_path / "0.pkl")
    save([make_sample(([], []), ([], [], []))], tmp_path / "1.pkl")
    with pytest.warns(UserWarning, match="F1 is undefined, and written as 0"):
        run_all(tmp_path, 2)
    scores = dict.fromkeys(dd.CLASSES_MMDET, 0.0)
    expected = [
        ('{"average_giou": 0.5}', '{"average_giou": 0}'),
        ('{"person": 0.5}', "{}"),
        ('{"Overall_F1_Score": 1.0}', '{"Overall_F1_Score": 0.0}'),
        (json.dumps({**scores, "person": 1.0}), json.dumps(scores)),
    ]
    for stem, texts in zip(FUNCTIONS, expected, strict=True):
        assert tuple((tmp_path / f"{stem}_{i}.json").read_bytes().decode() for i in range(2)) == texts


def test_missing_folder_of_results(make_sample: Callable[..., Any], tmp_path: Path) -> None:
    save([make_sample(([[0, 0, 9, 9]], [1]), ([[0, 0, 9, 9]], [0.5], [0]))], tmp_path / "0.pkl")
    for function in FUNCTIONS.values():
        with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere"):
            function(f"{tmp_path}/", f"{tmp_path}/nowhere/", 1)


def test_changed_file_is_read_again(make_sample: Callable[..., Any], tmp_path: Path) -> None:
    values = []
    for found in ([[0, 0, 10, 10]], [[0, 0, 10, 5]]):
        save([make_sample(([[0, 0, 10, 10]], [1]), (found, [0.5], [0]))], tmp_path / "0.pkl")
        dd.calculate_average_giou_overall_and_save_results(f"{tmp_path}/", f"{tmp_path}/", 1)
        values.append(results_of_one(tmp_path))
    assert values == [1.0, 0.5]


def results_of_one(folder: Path) -> float:
    stem = "bbox_regression_gt_pred_average_giou_overall_result"
    return float(json.loads((folder / f"{stem}_0.json").read_text())["average_giou"])


def test_hostile_samples_are_refused(tmp_path: Path) -> None:
    (tmp_path / "0.pkl").write_bytes(b"cos\nsystem\n(Vtouch was_here\ntR.")
    for function in FUNCTIONS.values():
        with pytest.raises(PickleRefusedError, match=r"0\.pkl: refused, it asks for os\.system"):
            function(f"{tmp_path}/", f"{tmp_path}/", 1)
    assert [path.name for path in tmp_path.iterdir()] == ["0.pkl"]


REAL = data_path("data")


@pytest.mark.parametrize(
    ("folder", "truth_file", "results_file"),
    [
        ("medical_waste", "test_gt.json", "dt.json"),
        ("padilla_review", "voc_coco.json", "dt_coco.json"),
        ("cocoapi_fakebbox100", "instances_val2014_100.json", "instances_val2014_fakebbox100_results.json"),
    ],
)
def test_real_detections_have_the_recorded_numbers(
    folder: str, truth_file: str, results_file: str, make_sample: Callable[..., Any], tmp_path: Path
) -> None:
    if not (REAL / folder).is_dir():
        pytest.skip("the real detections are not at hand")
    content, found, recorded = (
        json.loads((REAL / folder / name).read_text())
        for name in (truth_file, results_file, "reference_seed_metrics.json")
    )
    categories = {category["id"]: category["name"] for category in content["categories"]}
    names = {"class_names": tuple(categories.values()), "category_names": tuple(categories.items())}
    labels = {number: label for label, number in enumerate(categories)}
    samples = []
    for image in content["images"]:
        truth = [a for a in content["annotations"] if a["image_id"] == image["id"]]
        here = [d for d in found if d["image_id"] == image["id"]]
        truth_boxes, boxes = (
            [[x, y, x + w, y + h] for x, y, w, h in (r["bbox"] for r in rows)] for rows in (truth, here)
        )
        samples.append(
            make_sample(
                (truth_boxes, [a["category_id"] for a in truth]),
                (boxes, [d["score"] for d in here], [labels[d["category_id"]] for d in here]),
                **names,
            )
        )
    save(samples, tmp_path / "0.pkl")
    for function in FUNCTIONS.values():
        function(f"{tmp_path}/", f"{tmp_path}/", 1)
    overall_giou, giou_per_class, overall_f1, f1_per_class = results(tmp_path).values()
    assert overall_giou["average_giou"] == pytest.approx(recorded["mean_giou"], abs=1e-6)
    assert overall_f1["Overall_F1_Score"] == pytest.approx(recorded["f1_weighted_matched_only"], abs=1e-9)
    by_name = {categories[int(i)]: value for i, value in recorded["mean_giou_per_class"].items()}
    assert giou_per_class == pytest.approx(by_name, abs=1e-6)
    for i, value in recorded["f1_per_class_matched_only"].items():
        assert f1_per_class[categories[int(i)]] == pytest.approx(value, abs=1e-9)
