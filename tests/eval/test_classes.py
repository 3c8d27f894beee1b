"""Truth and detectors that share only some classes: what is scored against the same scored by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dissect_eval import (
    CategoryError,
    CategoryWarning,
    DetectionError,
    Detections,
    GroundTruth,
    category_to_label,
    evaluate,
    label_to_category,
    match_classes,
    read_class_map,
)

CLASSES = ("dog", "car", "person", "truck")
CATEGORIES = {1: "person", 4: "vehicle", 9: "tree"}
MAP = {"car": "vehicle", "truck": "vehicle"}
IDS = [10, 11, 12, 13]


def boxes(rng: np.random.Generator, n: int) -> np.ndarray:
    corners = rng.uniform(0, 60, (n, 2))
    return np.concatenate([corners, corners + rng.uniform(8, 30, (n, 2))], axis=1)


@pytest.fixture
def truth() -> GroundTruth:
    rng = np.random.default_rng(0)
    return GroundTruth.from_arrays(
        [(boxes(rng, 6), rng.choice(list(CATEGORIES), 6)) for _ in IDS], IDS, CATEGORIES
    )


@pytest.fixture
def found(truth: GroundTruth) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """True boxes a little moved, and some that are not there, of all classes."""
    rng = np.random.default_rng(1)
    label = {1: 2, 4: 1, 9: 0}
    out = []
    for start, stop in zip(truth.image_splits, truth.image_splits[1:], strict=False):
        true = truth.boxes[start:stop] + rng.uniform(-2, 2, (stop - start, 4))
        labels = np.array([label[int(c)] for c in truth.category_ids[start:stop]])
        labels = np.where(
            (labels == 1) & (rng.random(len(labels)) < 0.5), 3, labels
        )  # trucks are vehicles, too
        more = boxes(rng, 4)
        out.append(
            (
                np.concatenate([true, more]),
                rng.random(len(true) + len(more)),
                np.concatenate([labels, rng.integers(0, 4, 4)]),
            )
        )
    return out


def by_hand(truth: GroundTruth, found: list, ids: dict[str, int]) -> tuple[GroundTruth, Detections]:
    """Truth and detections as a data set that has these classes alone would hold them."""
    kept = sorted(set(ids.values()))
    splits = list(zip(truth.image_splits, truth.image_splits[1:], strict=False))
    rows = [np.arange(*ends)[np.isin(truth.category_ids[slice(*ends)], kept)] for ends in splits]
    small = GroundTruth.from_arrays(
        [(truth.boxes[r], truth.category_ids[r]) for r in rows], IDS, {i: CATEGORIES[i] for i in kept}
    )
    results = [
        {
            "image_id": image,
            "category_id": ids[CLASSES[label]],
            "bbox": [*box[:2], *(box[2:] - box[:2])],
            "score": float(score),
        }
        for image, (each, scores, labels) in zip(IDS, found, strict=True)
        for box, score, label in zip(each, scores, labels, strict=True)
        if CLASSES[label] in ids
    ]
    return small, Detections.from_results(results, small)


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        ({"common_classes": True}, {"person": 1}),
        ({"class_map": MAP}, {"person": 1, "car": 4, "truck": 4}),
        ({"class_map": {**MAP, "person": None}}, {"car": 4, "truck": 4}),
        ({"class_map": {"dog": "tree"}, "common_classes": True}, {"person": 1, "dog": 9}),
    ],
)
def test_scores_are_those_of_a_data_set_of_these_classes(truth, found, options, ids) -> None:
    match = match_classes(truth, CLASSES, **options)
    detections = match.detections(found, IDS)
    small, expected = by_hand(truth, found, ids)
    assert match.categories.tolist() == [ids.get(name, -1) for name in CLASSES]
    assert match.truth.category_names == small.category_names
    n_all = sum(len(scores) for _, scores, _ in found)
    assert detections.n_boxes + detections.n_dropped == n_all
    got, wanted = (evaluate(*both, check=False) for both in ((match.truth, detections), (small, expected)))
    for part in ("ap", "detection", "matched"):
        one, other = getattr(got, part).to_dict(), getattr(wanted, part).to_dict()
        one.pop("n_dropped", None), other.pop("n_dropped", None)
        np.testing.assert_equal(one, other)
    assert got.detection.n_truth < truth.n_boxes, "a false answer would count the others as missed"
    assert set(match.unscored_classes) == set(CLASSES) - set(ids)
    assert match.unscored_categories == {
        name: int((truth.category_ids == key).sum())
        for key, name in CATEGORIES.items()
        if key not in ids.values()
    }


def test_what_is_left_out_is_counted_and_said(truth) -> None:
    match = match_classes(truth, CLASSES, common_classes=True)
    n = int((truth.category_ids != 1).sum())
    assert match.note(1234) == (
        "only 1 class is scored (person). Left out: 3 classes of the detector (dog, car, truck), with 1,234 "
        f"detections; 2 categories of the truth (vehicle, tree), with {n} objects."
    )
    assert match_classes(truth, ["tree", "vehicle", "person"]).note() == ""


def test_without_being_asked_both_sides_must_be_the_same(truth) -> None:
    with pytest.raises(CategoryError) as error:
        match_classes(truth, CLASSES)
    said = str(error.value)
    assert "--common-classes" in said
    assert "--class-map FILE" in said
    assert "Not in the ground truth: 'dog', 'car', 'truck'. Not in the detector: 'tree', 'vehicle'." in said
    assert said.endswith(
        "All names: the detector's classes (4): dog, car, person, truck; the truth's categories (3): person, vehicle, "
        "tree."
    )
    many = [f"class {i}" for i in range(80)]
    with pytest.raises(CategoryError, match=r"\(80\): class 0, .*class 41, .*class 79;"):
        match_classes(truth, many)
    same = match_classes(truth, ["tree", "person", "vehicle"])
    assert same.truth is truth
    assert same.categories.tolist() == [9, 1, 4]
    assert not same.is_partial


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"class_map": {"Car": "vehicle"}}, "not among the detector's classes: 'Car' .'Car' may be 'car'"),
        (
            {"class_map": {"car": "vehicles"}},
            "not among the truth's categories: 'vehicles' .*may be 'vehicle'",
        ),
        ({"class_map": "car"}, "must be a mapping .* got 'car'"),
        ({"class_map": {"person": None}}, "nothing can be scored.*All names"),
    ],
)
def test_bad_maps(truth, options, message) -> None:
    with pytest.raises(CategoryError, match=message):
        match_classes(truth, CLASSES, **options)
    with pytest.raises(CategoryError, match="nothing can be scored"):
        match_classes(truth, ["person "], common_classes=True)
    with pytest.raises(CategoryError, match="sequence of names, got 'circle'"):
        match_classes(truth, "circle", common_classes=True)


def test_labels_without_a_category_are_refused_by_metrics_or_left_out(truth, found) -> None:
    """A detector of more classes than the data set knows: all true boxes can be found."""
    people = truth.subset(categories=["person"])
    with pytest.warns(CategoryWarning, match="3 of 4 classes of the detector .*'dog', 'car', 'truck'"):
        categories = label_to_category(people, CLASSES)
    assert categories.tolist() == [-1, -1, 1, -1]
    with pytest.warns(CategoryWarning):
        assert category_to_label(people, CLASSES) == {1: 2}
    detections = Detections.from_arrays(found, IDS, categories)
    with pytest.raises(DetectionError, match="of classes that the ground truth has no category of"):
        evaluate(people, detections, check=False)
    dropped = detections.aligned_to(people, "drop")
    asked = match_classes(people, CLASSES, common_classes=True).detections(found, IDS)
    assert dropped.scores.tolist() == asked.scores.tolist()
    assert dropped.n_dropped == asked.n_dropped > 0
    with pytest.raises(CategoryError, match="Not in the detector: 'tree', 'vehicle'"):
        label_to_category(truth, CLASSES)
    odd = GroundTruth.from_arrays([([[0, 0, 5, 5]], [-1])], [1], {-1: "person"})
    with pytest.raises(CategoryError, match=r"ids must not be -1, .* id of 'person'"):
        match_classes(odd, CLASSES, common_classes=True)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("map.json", '{"car": "vehicle", "traffic light": null, "dog": ""}'),
        ("map.yaml", "car: vehicle\ntraffic light: null\n'dog':\n"),
        ("map.yml", "{car: vehicle, traffic light: ~, dog: ''}"),
        ("map.csv", "detector,truth\ncar,vehicle\ntraffic light,\ndog,\n"),
        ("map.CSV", "car, vehicle\n\ntraffic light,\ndog,"),
    ],
)
def test_maps_are_read_from_files(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert read_class_map(tmp_path / name) == {"car": "vehicle", "traffic light": None, "dog": None}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("map.txt", "car vehicle", "must be a .json, .yaml or .csv file"),
        ("map.json", '{"car": "vehicle", "car": "tree"}', "names 'car' twice"),
        ("map.yaml", "car: vehicle\ncar: tree\n", "names 'car' twice"),
        ("map.csv", "car,vehicle\ncar,tree\n", "names 'car' twice"),
        ("map.yaml", "no: vehicle\n", "from names to names, or to nothing, got False"),
        ("map.json", '{"car": 3}', "from names to names, or to nothing, got 'car': 3"),
        ("map.json", '["car"]', "must hold an object"),
        ("map.json", "{", "cannot be read"),
        ("map.yaml", "- car\n", "must hold names and their counterparts"),
        ("map.yaml", "car: [", "cannot be read"),
        ("map.csv", "car\n", "each row must be a name of the detector and one of the truth"),
        ("map.json", "{}", "names no class"),
        ("map.csv", "", "names no class"),
    ],
)
def test_bad_files(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(CategoryError, match=f"The class map .*{name}.*{message}") as error:
        read_class_map(tmp_path / name)
    assert "\n" not in str(error.value)
    with pytest.raises(CategoryError, match="No such file"):
        read_class_map(tmp_path / "gone.json")
