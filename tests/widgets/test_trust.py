"""Panels ask before they run what a study's file names, whoever wrote it."""

import threading
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
import yaml
from ipywidgets.widgets.widget import _instances

pytest.importorskip("pyarrow")

import studies
from deep_dissect import CocoSplit
from dissect_core import UntrustedError
from dissect_core.detectors import _installed
from dissect_core.engine import StopRequest
from dissect_core.spec import DetectorSpec
from dissect_widgets import DetectorPanel, StudyRunner, Workbench
from dissect_widgets.base import TrustQuestion
from toy_detector import ToyDetector
from toy_split import Split

opened: list[dict[str, Any]] = []


def open_it(*, size: int = 1, config: Any = None, trust: bool = False) -> ToyDetector:
    """A detector whose config is a program."""
    opened.append({"size": size, "config": config, "trust": trust})
    return ToyDetector()


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    opened.clear()
    entry = EntryPoint("toy", f"{__name__}:open_it", "dissect.detectors")
    monkeypatch.setattr(_installed, "entry_points", lambda group: [entry])


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    before = set(_instances)
    yield
    assert not [t for t in threading.enumerate() if t.name.startswith("dissect-")]
    assert set(_instances) <= before


EVIL = DetectorSpec(adapter="toy", options={"config": "<b>evil.py"})


def test_a_detector_that_runs_code_is_opened_after_a_question() -> None:
    panel = DetectorPanel(EVIL)
    assert panel.question.children == ()
    panel.open_it.click()
    assert panel.model.wait(60) == "closed"
    assert opened == []
    assert panel.question.agreed in panel.question.children
    assert "evil.py&#x27;, which may run code" in panel.question.text.value
    assert "<b>" not in panel.question.text.value
    assert "tick the box" in panel.status.value
    panel.open_it.click()
    assert panel.model.wait(60) == "closed"
    assert opened == [], "asking twice is no answer"
    panel.question.agreed.value = True
    assert opened == [], "the box alone opens nothing"
    panel.open_it.click()
    assert panel.model.wait(60) == "open", panel.model.details
    assert opened == [{"size": 1, "config": "<b>evil.py", "trust": True}]
    panel.close()


def test_what_was_allowed_to_one_detector_is_not_to_the_next() -> None:
    panel = DetectorPanel(EVIL)
    panel.model.trust = True
    panel.options.value = "config: worse.py"
    assert not panel.model.trust
    panel.open_it.click()
    assert panel.model.wait(60) == "closed"
    assert "worse.py" in panel.question.text.value
    panel.question.agreed.value = True
    panel.options.value = "size: 3"
    assert panel.question.children == ()
    panel.open_it.click()
    assert panel.model.wait(60) == "open"
    assert opened == [{"size": 3, "config": None, "trust": False}]
    panel.close()


def test_a_file_that_trusts_itself_is_not_opened_by_the_workbench(tmp_path: Path) -> None:
    spec = studies.toy_spec(detector={"adapter": "toy", "options": {"trust": True, "config": "evil.py"}})
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(spec.model_dump(mode="json")))
    workbench = Workbench(study=tmp_path / "s.yaml")
    workbench.panels["model"].opened.open_it.click()
    assert workbench.detector.wait(60) == "closed"
    assert "&#x27;trust&#x27;: True" in workbench.panels["model"].opened.question.text.value
    assert opened == []
    workbench.close()


def test_to_look_at_a_folder_opens_no_detector(tmp_path: Path) -> None:
    out = studies.run_toy(studies.scenes(tmp_path / "images", 4), tmp_path / "out").path
    studies.name_detector(out, "toy", {"trust": True, "config": "evil.py"})
    workbench = Workbench(out)
    for step in ("model", "study", "run", "results", "images", "queries"):
        workbench.show(step)
    assert (workbench.detector.options, opened) == ({}, [])
    workbench.close()


def test_a_job_opens_what_the_user_allows(split: Split, tmp_path: Path) -> None:
    spec = studies.toy_spec(detector=EVIL)

    def run(out: str, **options: Any) -> Any:
        data = CocoSplit(split.annotations, split.images, 2)
        runner = StudyRunner(data, tmp_path / out, replicates=0, **options)
        return runner(spec, lambda _done: None, StopRequest(), lambda _text: None)

    for given in ({}, {"detector": EVIL}):
        with pytest.raises(UntrustedError, match=r"evil\.py"):
            run("out", **given)
    assert (opened, (tmp_path / "out").exists()) == ([], False)
    assert run("out", trust=True).is_finished
    assert opened[0]["trust"]


def test_a_run_joins_a_cluster_after_a_question(split: Split, tmp_path: Path) -> None:
    workbench = Workbench(
        detector=ToyDetector(), images=split.images, annotations=split.annotations, out=tmp_path / "out"
    )
    workbench.spec.load(studies.toy_spec(execution={"engine": "ray", "address": "evil.example:1"}))
    workbench.show("run")
    step = workbench.panels["run"]
    assert step.form.question.children == ()
    step.panel.start.click()
    assert workbench.run.wait(60) == "failed"
    assert "UntrustedError" in workbench.run.error
    assert "evil.example:1" in step.form.question.text.value
    assert step.form.question.children
    step.form.question.agreed.value = True
    assert workbench.inputs.trust
    workbench.spec.load(studies.toy_spec(execution={"engine": "ray", "address": "worse.example:1"}))
    step.panel.start.click()
    assert workbench.run.wait(60) == "failed"
    assert "UntrustedError" in workbench.run.error, "another cluster is another question"
    assert not workbench.inputs.trust
    workbench.spec.load(studies.toy_spec())
    workbench.inputs.limit, workbench.inputs.replicates = 2, 0
    step.panel.start.click()
    assert workbench.run.wait(60) == "done", workbench.run.details
    assert step.form.question.children == ()
    workbench.close()


def test_a_question_asks_nobody_while_it_is_refreshed() -> None:
    told: list[bool] = []
    question = TrustQuestion(told.append)
    question.show("x", True)
    question.show("", False)
    assert told == []
    question.show("x", False)
    question.agreed.value = True
    question.agreed.value = False
    assert told == [True, False]
    question.close()
