"""The start page: three clicks from a detector and a question to results, and the studies that are there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("pyarrow")

from dissect_core import Component
from dissect_core.anatomy import Anatomy
from dissect_core.spec import StudySpec
from dissect_core.store import Study, StudyFolder
from dissect_widgets import Workbench
from dissect_widgets.builder import QUESTIONS
from dissect_widgets.errors import DraftError
from dissect_widgets.start import studies_below


def test_a_question_that_a_model_has_no_units_for_says_why() -> None:
    nothing = Anatomy([Component("head.weight", (4, 4), "float32")])
    for question in QUESTIONS.values():
        with pytest.raises(DraftError, match=r"^Which|^How much.*cannot be asked of this model: "):
            question.spec(nothing)


def test_three_clicks_lead_to_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mmdet")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("dissect_widgets.start._panel.IMAGES", 4)
    workbench = Workbench()
    workbench.inputs.replicates = 20
    start = workbench.panels["start"]
    assert start.run_it.disabled
    assert "Choose a detector." in start.status.value
    start.detectors["demo:deformable_detr"].click()
    start.questions["layers"].click()
    start.run_it.click()  # while the detector is being opened
    assert workbench.detector.wait(120) == "open", workbench.detector.details
    assert workbench.run.wait(240) == "done", workbench.run.details
    assert workbench.step == "results"
    (found,) = studies_below(tmp_path)
    assert found.folder == tmp_path / "deep-dissect-runs" / "layer_knockout-deformable_detr-1"
    assert (found.name, found.state, found.is_measured) == ("Which layers?", "done", True)
    assert isinstance(workbench.spec.spec, StudySpec)
    assert workbench.spec.spec == Study.open(found.folder).spec
    workbench.show("start")
    start.refresh.click()
    assert [row.id for row in start.studies.rows] == [str(found.folder)]
    assert "layer_knockout-deformable_detr-2" in start.status.value, "the next run has a folder of its own"
    start.studies.do("open", str(found.folder))
    assert workbench.step == "results"
    workbench.close()


def test_studies_are_found_running_ones_first(folder: Path, tmp_path: Path) -> None:
    for name in ("a", "b/c"):
        (tmp_path / name).mkdir(parents=True)
        for file in folder.iterdir():
            if file.is_file():
                (tmp_path / name / file.name).write_bytes(file.read_bytes())
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "spec.yaml").write_text("[")
    (tmp_path / "notes.json").write_text(json.dumps({}))
    with StudyFolder(tmp_path / "b/c").locked():
        running, other = studies_below(tmp_path)
    assert (running.folder, running.is_running) == (tmp_path / "b/c", True)
    assert running.state.startswith("running, ")
    assert (other.folder, other.n_variants) == (tmp_path / "a", 15)


def test_a_running_study_is_followed_and_can_be_stopped(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    with StudyFolder(folder).locked():
        workbench = Workbench()
        start = workbench.panels["start"]
        start.studies.choose(str(folder))
        assert workbench.step == "run"
        assert workbench.run.attached
        panel = workbench.panels["run"].panel
        assert not panel.cancel.disabled
        panel.cancel.click()
        assert "Asked to stop: process" in panel.status.value
    workbench.run.wait(30)
    workbench.close()


def test_details_are_changed_before_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mmdet")
    monkeypatch.chdir(tmp_path)
    workbench = Workbench()
    start = workbench.panels["start"]
    start.detectors["own"].click()
    assert workbench.step == "model"
    workbench.show("start")
    start.detectors["demo:detr"].click()
    start.questions["heads"].click()
    start.details.click()
    assert workbench.detector.wait(120) == "open"
    assert workbench.step == "study"
    assert workbench.spec.spec is not None
    assert workbench.spec.spec.name == "Which heads matter?"
    assert workbench.inputs.problems == ()
    assert list(tmp_path.iterdir()) == [], "nothing is run, and nothing written"
    workbench.close()
