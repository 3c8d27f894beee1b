"""The run panel on the toy detector: every state, whatever is clicked when, and nothing lost."""

import gc
import json
import math
import os
import threading
import time
import weakref
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ipywidgets.widgets.widget import _instances

pytest.importorskip("pyarrow")

import studies
from deep_dissect import CocoSplit
from dissect_core.detectors import ImageDetections
from dissect_core.engine import PassDone, StopRequest
from dissect_core.spec import DetectorSpec, StudySpec
from dissect_core.store import Study, StudyFolder
from dissect_eval import StudyDataError
from dissect_eval.study import Settings, StudyTables, measure
from dissect_widgets import (
    DetectorModel,
    DissectWidgetsError,
    ResultsModel,
    RunInputsModel,
    RunModel,
    RunOutcome,
    RunPanel,
    RunStateError,
    SpecModel,
    StudyFolderError,
    StudyRunner,
)
from dissect_widgets.run import Runner, _model as run_model
from toy_detector import ToyDetector
from toy_split import Split

N_PASSES = 15 * 5
FIRST_BATCH = 19  # its variants, and four passes that see whether the detector is deterministic


class Gated(ToyDetector):
    """Waits before each batch until it is let on, and says when it waits."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.waits = threading.Semaphore(0), threading.Semaphore(0)

    def predict_batch(self, batch: Any) -> list[ImageDetections]:
        self.waits.release()
        assert self.gate.acquire(timeout=60)
        return super().predict_batch(batch)

    def let(self, n: int) -> None:
        for _ in range(n):
            self.gate.release()


class Broken(ToyDetector):
    def predict_batch(self, batch: Any) -> list[ImageDetections]:
        raise ValueError("<b>boom</b>")


def runner(split: Split, out: Path, detector: Any = None, **options: Any) -> StudyRunner:
    data = CocoSplit(split.annotations, split.images, options.pop("limit", None))
    options = {"batch_size": 2, "replicates": 20, **options}
    return StudyRunner(data, out, detector or ToyDetector(), **options)


@pytest.fixture
def panels() -> Iterator[list[RunPanel]]:
    opened: list[RunPanel] = []
    yield opened
    for panel in opened:
        panel.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("dissect-")]


def test_a_click_runs_measures_and_keeps_the_study(
    split: Split, tmp_path: Path, panels: list[RunPanel]
) -> None:
    panel = RunPanel(studies.toy_spec(), runner(split, tmp_path / "out"))
    panels.append(panel)
    states: list[str] = []
    panel.model.observe(lambda change: states.append(change["new"]), "state")
    assert "Nothing is running" in panel.status.value
    assert (panel.start.disabled, panel.cancel.disabled) == (False, True)
    panel.start.click()
    assert panel.model.wait(60) == "done", panel.model.details
    assert states == ["running", "done"]
    assert (panel.model.done, panel.model.total) == (N_PASSES, N_PASSES)
    assert f"{N_PASSES} of {N_PASSES} passes" in panel.progress.value
    assert "Done." in panel.status.value
    assert str(tmp_path / "out") in panel.status.value
    study = Study.open(tmp_path / "out")
    assert study.is_complete
    page = (study.path / "report.html").read_text(encoding="utf-8")
    assert f"<title>{study.spec.name}" in page
    wanted = StudyTables.of(measure(study, settings=Settings(n_replicates=20)))
    for name, content in wanted.files().items():
        if name.endswith(".csv"):
            assert (study.path / name).read_bytes() == content
    assert len(ResultsModel(study.path).tables.summary) == 15


def test_cancel_keeps_what_is_finished_and_resume_ends_as_if_undisturbed(
    split: Split, tmp_path: Path, panels: list[RunPanel]
) -> None:
    detector = Gated()
    panel = RunPanel(studies.toy_spec(), runner(split, tmp_path / "out", detector))
    panels.append(panel)
    panel.start.click()
    assert detector.waits.acquire(timeout=60), "it came back while the detector is still at work"
    assert panel.model.state == "running"
    assert (panel.start.disabled, panel.cancel.disabled) == (True, False)
    with pytest.raises(RunStateError, match="active already"):
        panel.model.start()
    panel.cancel.click()
    assert panel.model.state == "cancelling"
    assert "Stopping after the current batch" in panel.status.value
    detector.let(FIRST_BATCH)  # the current batch
    assert panel.model.wait(60) == "cancelled", panel.model.details
    assert Study.open(tmp_path / "out").progress() == (1, 5)
    assert "what is finished is kept. The numbers of what is finished are written." in panel.status.value
    assert panel.start.description == "Resume"
    assert panel.cancel.disabled
    part = ResultsModel(tmp_path / "out")
    assert part.tables.about["n_images"] == 2
    assert "1 of 5 batches" in part.remarks[0]
    detector.let(1000)
    panel.start.click()
    assert panel.model.wait(60) == "done", panel.model.details
    assert panel.start.description == "Start"
    other = RunModel(studies.toy_spec(), runner(split, tmp_path / "other"))
    other.start()
    assert other.wait(60) == "done"
    assert studies.digests(tmp_path / "out") == studies.digests(tmp_path / "other")


def test_the_part_of_a_cancelled_run_is_measured_as_if_there_were_no_other_images(
    split: Split, tmp_path: Path
) -> None:
    detector = Gated()
    model = RunModel(studies.toy_spec(), runner(split, tmp_path / "part", detector))
    model.start()
    assert detector.waits.acquire(timeout=60)
    model.cancel()
    detector.let(FIRST_BATCH)
    assert model.wait(60) == "cancelled", model.details
    only = RunModel(studies.toy_spec(), runner(split, tmp_path / "only", limit=2, replicates=0))
    only.start()
    assert only.wait(60) == "done", only.details
    part, whole = (StudyTables.read(tmp_path / name) for name in ("part", "only"))
    np.testing.assert_equal(part.summary, whole.summary)
    assert part.per_class.equals(whole.per_class)
    assert (part.batches, whole.batches) == ((1, 5), (1, 1))
    with pytest.raises(StudyDataError, match="not complete: 1 of 5 batches"):
        measure(Study.open(tmp_path / "part"))


def test_cancelled_twice_nothing_is_measured(split: Split, tmp_path: Path) -> None:
    detector = Gated()
    model = RunModel(studies.toy_spec(), runner(split, tmp_path / "out", detector))
    model.start()
    assert detector.waits.acquire(timeout=60)
    model.cancel()
    model.cancel()
    detector.let(FIRST_BATCH)
    assert model.wait(60) == "cancelled", model.details
    assert model.message == "nothing is measured"
    assert Study.open(tmp_path / "out").progress() == (1, 5)
    assert not (tmp_path / "out" / "summary.json").exists()


def test_a_failure_is_shown_with_its_traceback_folded_away(
    split: Split, tmp_path: Path, panels: list[RunPanel]
) -> None:
    work = runner(split, tmp_path / "out", Broken())
    panel = RunPanel(studies.toy_spec(), work)
    panels.append(panel)
    panel.start.click()
    assert panel.model.wait(60) == "failed"
    assert "ValueError: &lt;b&gt;boom" in panel.problem.value
    assert "<details><summary>Traceback</summary>" in panel.problem.value
    assert "in predict_batch" in panel.problem.value
    assert "<b>" not in panel.snapshot()
    work.detector = ToyDetector()
    panel.start.click()
    assert panel.model.wait(60) == "done", panel.model.details
    assert panel.problem.value == ""


def test_a_study_that_is_not_valid_cannot_be_run(
    split: Split, tmp_path: Path, panels: list[RunPanel]
) -> None:
    study = SpecModel(studies.toy_spec())
    panel = RunPanel(study, runner(split, tmp_path / "out"))
    panels.append(panel)
    study.set(("ablations", 1, "select", "fractions"), [2])
    assert panel.start.disabled
    assert "ablations[1].select.fractions[0]: must be within 0 and 1" in panel.status.value
    with pytest.raises(RunStateError, match="must be valid"):
        panel.model.start()
    study.set(("ablations", 1, "select", "fractions"), [0.5])
    assert not panel.start.disabled
    panel.start.click()
    assert panel.model.wait(60) == "done", panel.model.details
    study.set(("seed",), 9)
    assert "this run is of the earlier one" in panel.status.value
    panel.start.click()
    assert panel.model.wait(60) == "failed"
    assert "StudyChangedError" in panel.model.error
    assert "seed" in panel.model.error


def test_a_run_elsewhere_is_followed(split: Split, tmp_path: Path, panels: list[RunPanel]) -> None:
    detector = Gated()
    first = RunModel(studies.toy_spec(), runner(split, tmp_path / "out", detector))
    first.start()
    detector.let(2)  # before there is a folder
    assert all(detector.waits.acquire(timeout=60) for _ in range(3))
    panel = RunPanel(studies.toy_spec(), runner(split, tmp_path / "none"))
    panels.append(panel)
    panel.folder.value = str(tmp_path / "out")
    panel.attach.click()
    assert panel.model.state == "running"
    assert f"process {os.getpid()}" in panel.status.value
    assert panel.start.disabled
    assert f"0 of {N_PASSES} passes" in panel.progress.value
    panel.cancel.click()  # a request that the other run finds in its folder
    assert f"Asked to stop: process {os.getpid()}" in panel.status.value
    deadline = time.monotonic() + 30
    while not first._stop.asked and time.monotonic() < deadline:
        time.sleep(0.05)
    detector.let(FIRST_BATCH - 2)
    assert first.wait(60) == "cancelled"
    assert panel.model.wait(60) == "cancelled"
    assert f"15 of {N_PASSES} passes" in panel.progress.value
    detector.let(1000)
    first.start()
    assert first.wait(60) == "done"
    panel.attach.click()
    assert panel.model.state == "done"
    panel.folder.value = str(tmp_path / "nowhere")
    panel.attach.click()
    assert "nowhere" in panel.status.value
    with pytest.raises(StudyFolderError):
        panel.model.attach(tmp_path)


def test_a_folder_that_another_run_holds_is_one_state_with_one_sentence(
    split: Split, tmp_path: Path, panels: list[RunPanel]
) -> None:
    panel = RunPanel(studies.toy_spec(), runner(split, tmp_path / "out"))
    panels.append(panel)
    panel.start.click()
    assert panel.model.wait(60) == "done"
    assert str(tmp_path / "out") in panel.status.value
    panel.model.runner = runner(split, tmp_path / "other")
    with StudyFolder(tmp_path / "out").locked():
        panel.model.runner = runner(split, tmp_path / "out")
        panel.start.click()
        assert panel.model.wait(60) == "idle", panel.model.details
    assert "is being run by process" in panel.status.value
    assert "Folder:" not in panel.status.value, "nor is the folder of the run before told"
    assert (panel.problem.value, panel.progress.value) == ("", "")
    assert panel.start.description == "Start"
    assert not panel.start.disabled


def test_a_lock_is_what_tells_a_run(split: Split, tmp_path: Path) -> None:
    model = RunModel(studies.toy_spec(), runner(split, tmp_path / "out"))
    model.start()
    assert model.wait(60) == "done"
    with StudyFolder(tmp_path / "out").locked():
        model.attach(tmp_path / "out")
        assert model.state == "running"
    assert model.wait(60) == "done"


def test_progress_is_told_ten_times_a_second_at_most(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clock = [0.0]
    monkeypatch.setattr(run_model.time, "perf_counter", lambda: clock[0])
    told: list[tuple[float, int]] = []

    def counting(_spec: StudySpec, watch: Any, _stop: StopRequest, _say: Any) -> RunOutcome:
        for i in range(1, 1001):
            clock[0] += 0.013
            watch(PassDone(i, 1000, f"variant {i}"))
        return RunOutcome(tmp_path, is_finished=True)

    model = RunModel(studies.toy_spec(), counting)
    model.observe(lambda change: told.append((clock[0], change["new"])), "done")
    model.start()
    assert model.wait(60) == "done", model.details
    times = [when for when, _ in told]
    assert min(b - a for a, b in pairwise(times[:-1])) >= 0.1
    assert len(told) > 100
    assert told[-1][1] == 1000, "the last one is told in any case"


def test_remaining_time_counts_what_this_run_did(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clock = [0.0]
    monkeypatch.setattr(run_model.time, "perf_counter", lambda: clock[0])
    left: list[float] = []

    def resumed(_spec: StudySpec, watch: Any, _stop: StopRequest, _say: Any) -> RunOutcome:
        for done in (51, 52):  # 50 passes were finished before
            clock[0] += 2.0
            watch(PassDone(done, 100, "v"))
        return RunOutcome(tmp_path, is_finished=True)

    model = RunModel(studies.toy_spec(), resumed)
    model.observe(lambda change: left.append(change["new"]), "remaining")
    model.start()
    model.wait(60)
    assert left[-2:] == [2.0 * 48, 0.0]
    assert all(math.isnan(each) for each in left[:-2]), "one pass, after opening the detector, tells nothing"


def test_what_does_not_fit_is_told_before_work(split: Split, tmp_path: Path) -> None:
    spec = studies.toy_spec()

    def told(work: Runner) -> str:
        model = RunModel(spec, work)
        model.start()
        assert model.wait(60) == "failed"
        assert not (tmp_path / "out").exists()
        return model.error

    content = json.loads(split.annotations.read_text())
    content["categories"] = [{**each, "name": each["name"].upper()} for each in content["categories"]]
    work = runner(split, tmp_path / "out")
    work.data = CocoSplit(content, split.images)
    assert "red" in told(work)
    (tmp_path / "empty").mkdir()
    named = {"images": tmp_path / "empty", "annotations": split.annotations, "out": tmp_path / "out"}
    assert "10 of 10 images" in told(RunInputsModel(DetectorModel(ToyDetector()), **named))
    work = runner(split, tmp_path / "out")
    work.detector = None
    assert "`detector` must be given" in told(work)
    work.detector = DetectorSpec(adapter="nothing")
    assert "No detector is called 'nothing'" in told(work)
    with pytest.raises(DissectWidgetsError, match="`runner`"):
        RunPanel(spec)


def test_closing_stops_a_run_and_leaves_nothing_behind(split: Split, tmp_path: Path) -> None:
    detector = Gated()
    panel = RunPanel(studies.toy_spec(), runner(split, tmp_path / "out", detector))
    panel.start.click()
    assert detector.waits.acquire(timeout=60)
    beside = RunPanel(panel.model)
    beside.close()
    assert panel.model.state == "running", "it belongs to the other panel"
    threading.Timer(0.2, lambda: detector.let(FIRST_BATCH)).start()
    panel.close()
    assert panel.model.state == "cancelled"
    model = RunModel(studies.toy_spec(), runner(split, tmp_path / "other"))
    before, threads, panels = len(_instances), threading.active_count(), []
    for _ in range(50):
        panel = RunPanel(model)
        panel.close()
        panels.append(weakref.ref(panel))
    del panel
    gc.collect()
    assert len(_instances) == before
    assert threading.active_count() == threads
    assert not [each for each in panels if each() is not None]
