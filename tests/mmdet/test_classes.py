"""Truth that knows only some of a detector's classes: in studies, in tables, in panels, on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import studies
from commands import call
from deep_dissect.report import write_report, write_results
from dissect_core import StudyError
from dissect_core.store import Study
from dissect_eval import CategoryError, Detections, GroundTruth, coco_ap
from dissect_eval.errors import StudyDataError
from dissect_eval.study import Settings, StudyDetections, StudyTables, measure
from dissect_mmdet import MMDetDetector, image_paths
from dissect_mmdet.errors import AnnotationError
from helpers import DemoData
from toy_detector import write_scenes

QUICK = Settings(n_replicates=0)
SHAPES = ("circle", "square", "triangle", "star", "ring", "cross")
MAP: dict[str, str | None] = {"circle": "round", "ring": "round", "star": None}
ONE = """
name: one
ablations:
  - {name: queries, target: {unit: component, components: query_embedding.weight}, select: {by: all}}
"""


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], GroundTruth]:
    """Toy scenes whose truth knows red, a colour of another name, and one that no detector knows."""
    drawn = write_scenes(tmp_path_factory.mktemp("scenes"), 6)
    ids = np.array([4, 5, 9])
    truth = GroundTruth.from_arrays(
        [(scene.boxes, ids[scene.labels]) for scene in drawn],
        range(20, 26),
        {4: "red", 5: "grass", 9: "mauve"},
        file_names=[scene.path.name for scene in drawn],
    )
    return [scene.path for scene in drawn], truth


def toy_study(scenes: tuple[list[Path], GroundTruth], out: Path, **options: Any) -> Study:
    return studies.run_toy(scenes[0], out, truth=scenes[1], **options)


def by_hand(study: Study, truth: GroundTruth, ids: dict[int, int]) -> float:
    """AP of the baseline, given the category of each label that is scored."""
    found = [
        {
            "image_id": study.images[image].image_id,
            "category_id": ids[int(label)],
            "bbox": [*box[:2], *(box[2:] - box[:2])],
            "score": float(score),
        }
        for image, one in study.found("baseline").by_image().items()
        for box, score, label in zip(one.boxes, one.scores, one.labels, strict=True)
        if int(label) in ids
    ]
    part = truth.subset(categories=set(ids.values()))
    return float(coco_ap(part, Detections.from_results(found, part)).AP)


@pytest.mark.parametrize(
    ("options", "ids", "names"),
    [
        ({"common_classes": True}, {0: 4}, ("red",)),
        ({"class_map": {"green": "grass"}}, {0: 4, 1: 5}, ("red", "grass")),
        ({"class_map": {"green": "grass", "blue": "grass"}}, {0: 4, 1: 5, 2: 5}, ("red", "grass")),
    ],
)
def test_a_study_is_scored_as_it_was_begun(
    scenes: tuple[list[Path], GroundTruth],
    tmp_path: Path,
    options: dict[str, Any],
    ids: dict[int, int],
    names: tuple[str, ...],
) -> None:
    study = toy_study(scenes, tmp_path / "out", **options)
    assert study.scoring == options
    results = measure(study, settings=QUICK)
    ap = results.table.select(metric="AP", category_id=None)[0].value
    assert ap == pytest.approx(by_hand(study, scenes[1], ids), abs=1e-12)
    assert set(results.truth.category_names.values()) == set(names)
    assert "Left out: " in results.unscored
    assert results.unscored in results.notes
    write_results(results)
    told = StudyTables.read(study.path).about["settings"]
    assert {key: told[key] for key in options} == options
    found = StudyDetections(study)
    assert found.class_names == names
    labels = {int(label) for one in found.on_images("baseline").values() for label in one.labels}
    assert labels <= set(range(len(names)))
    true = np.concatenate([found.truth_on(image).labels for image in range(6)])
    assert len(true) == results.truth.n_boxes
    assert set(true.tolist()) == set(range(len(names)))
    with pytest.raises(StudyDataError, match=r"was begun with .*cannot be measured with"):
        measure(study, settings=Settings(n_replicates=0, class_map={"red": "mauve"}))
    with pytest.raises(StudyError, match=r"scoring|class"):
        toy_study(scenes, tmp_path / "out")


def test_reports_and_panels_say_which_classes_are_scored(
    scenes: tuple[list[Path], GroundTruth], tmp_path: Path
) -> None:
    widgets = pytest.importorskip("dissect_widgets")
    said = "only 1 class is scored (red). Left out: 2 classes of the detector (green, blue)"
    study = toy_study(scenes, tmp_path / "out", common_classes=True)
    results = measure(study, settings=QUICK)
    write_results(results)
    assert said in results.unscored
    page = write_report(results).read_text()
    assert "<b>1</b> class scored" in page
    assert said in page
    assert any(said in text for text in widgets.ResultsModel(study.path).notes)
    assert any(said in text for text in widgets.ImagesModel(study.path).notes)
    whole = toy_study(scenes, tmp_path / "all", class_map={"red": "red", "green": "grass", "blue": "mauve"})
    results = measure(whole, settings=QUICK)
    write_results(results)
    assert "<b>3</b> classes<" in write_report(results).read_text()
    assert not any("scored" in text for text in widgets.ResultsModel(whole.path).notes)
    assert not widgets.ImagesModel(whole.path).notes


def test_a_study_begun_without_is_scored_when_asked_and_keeps_to_it(
    scenes: tuple[list[Path], GroundTruth], tmp_path: Path
) -> None:
    study = toy_study(scenes, tmp_path / "out")
    for read in (measure, StudyDetections):
        with pytest.raises(
            CategoryError, match=r"--common-classes.*--class-map.*red, green, blue;.*grass, mauve"
        ):
            read(study)
    asked = measure(study, settings=Settings(n_replicates=0, common_classes=True))
    write_results(asked)
    again = measure(study, settings=QUICK)
    assert again.settings == asked.settings
    assert StudyTables.of(again).files() == StudyTables.of(asked).files()
    assert StudyDetections(study).class_names == ("red",)


def test_a_map_must_be_one(scenes: tuple[list[Path], GroundTruth], tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"`class_map` must be a mapping .*'map.json'.*read_class_map"):
        toy_study(scenes, tmp_path / "out", class_map="map.json")


@pytest.fixture(scope="module")
def some(demo_data: DemoData, tmp_path_factory: pytest.TempPathFactory) -> DemoData:
    """The demo's truth, in which circles and rings are one, and crosses and stars are something else."""
    content = json.loads(demo_data.annotations.read_text())
    number = {name: category["id"] for category in content["categories"] for name in [category["name"]]}
    new = {"circle": 1, "ring": 1, "square": 2, "triangle": 3, "star": 4, "cross": 4}
    of = {number[name]: new[name] for name in SHAPES}
    content["categories"] = [
        {"id": i, "name": name} for i, name in enumerate(("round", "square", "triangle", "odd"), start=1)
    ]
    for annotation in content["annotations"]:
        annotation["category_id"] = of[annotation["category_id"]]
    path = tmp_path_factory.mktemp("some") / "some.json"
    path.write_text(json.dumps(content))
    return DemoData(demo_data.images, path)


def test_losses_go_by_the_map(detr: MMDetDetector, some: DemoData) -> None:
    truth = GroundTruth.from_coco(some.annotations)
    paths = image_paths(some.images, truth.file_names)
    one = {"circle": "round", "star": "odd"}
    labels = [
        int(label)
        for batch in detr.prepare_with_truth(paths, truth, class_map=one)
        for label in batch["data_samples"][0].gt_instances.labels
    ]
    categories = {1: 0, 2: 1, 3: 2, 4: 3}
    assert labels == [categories[int(i)] for i in truth.category_ids[~truth.iscrowd]]
    with pytest.raises(AnnotationError, match="gives 'round' to 'circle' and 'ring'"):
        next(detr.prepare_with_truth(paths, truth, class_map=MAP))


def test_the_command_line_scores_some_classes(
    some: DemoData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["-w", "demo:detr", "-a", some.annotations, "-i", some.images]
    status, _, err = call(capsys, "evaluate", *data)
    assert status == 2
    assert len(err.splitlines()) == 1
    assert "--common-classes" in err
    assert "--class-map FILE" in err
    assert all(name in err for name in (*SHAPES, "round", "odd"))

    status, out, err = call(capsys, "evaluate", *data, "--common-classes", "--json")
    assert status == 0
    told = json.loads(out)
    assert told["left_out"]["classes"] == ["circle", "star", "ring", "cross"]
    assert sorted(told["left_out"]["categories"]) == ["odd", "round"]
    assert "only 2 classes are scored (square, triangle). Left out: 4 classes of the detector" in err

    (tmp_path / "map.json").write_text(json.dumps(MAP))
    (tmp_path / "one.yaml").write_text(ONE)
    study = tmp_path / "study"
    words = ["run", tmp_path / "one.yaml", *data, "--replicates", 0, "--out", study]
    status, _, err = call(capsys, *words)
    assert status == 2
    assert "--class-map FILE" in err
    assert not study.exists()
    status, out, _ = call(capsys, *words, "--class-map", tmp_path / "map.json")
    assert status == 0
    assert out.count("note: only 3 classes are scored (round, square, triangle)") == 1
    assert Study.open(study).scoring == {"class_map": MAP}
    tables = StudyTables.read(study)
    assert tables.about["settings"]["class_map"] == MAP
    assert "only 3 classes are scored" in (study / "report.html").read_text()

    status, _, _ = call(capsys, "report", study, "--replicates", 0)
    assert status == 0
    assert StudyTables.read(study).files() == tables.files()
    status, _, err = call(capsys, "report", study, "--common-classes")
    assert status == 2
    assert "was begun with the `class_map`" in err
    status, out, _ = call(capsys, "compare", study, study, "--class-map", tmp_path / "map.json")
    assert status == 0
    assert "note: A: only 3 classes are scored" in out
    status, out, _ = call(capsys, "export-coco", study)
    assert {entry["category_id"] for entry in json.loads(out)} <= {1, 2, 3}
