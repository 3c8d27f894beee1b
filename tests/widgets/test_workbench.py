"""All panels in one, worked without a browser: from a detector to its results, and what joins one panel to the next."""

import gc
import threading
import weakref
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ipywidgets.widgets.widget import _instances

pytest.importorskip("pyarrow")

from dissect_core.detectors import _installed
from dissect_core.spec import DetectorSpec
from dissect_core.store import Study
from dissect_widgets import (
    BrowserModel,
    ComponentBrowser,
    DetectorModel,
    DetectorPanel,
    DissectWidgetsError,
    RunInputsForm,
    RunInputsModel,
    RunStateError,
    SpecModel,
    Workbench,
    weights_of,
)
from dissect_widgets.components import weight_histograms
from dissect_widgets.workbench import STEPS
from toy_detector import ToyDetector
from toy_split import Split


class Fit:
    """As an adapter's detector keeps it."""

    def describe(self) -> str:
        """How much of a checkpoint fitted."""
        return "5 of the model's 5 entries loaded"


class FittedDetector(ToyDetector):
    """Tells how much of its checkpoint fitted."""

    fit = Fit()


def add_weights(model: SpecModel) -> None:
    """Add an ablation of the weights of the toy's features."""
    model.add_proposal(model.proposals(["features.weight"])[-1])


@pytest.fixture
def toy_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two detectors by entry point: one that works, and one whose package is not there."""
    found = [
        EntryPoint("toy", "toy_detector:open_toy", "dissect.detectors"),
        EntryPoint("gone", "no_such_module:open_it", "dissect.detectors"),
    ]
    monkeypatch.setattr(_installed, "entry_points", lambda group: found)


@pytest.fixture
def workbench(split: Split, tmp_path: Path) -> Iterator[Workbench]:
    opened = Workbench(
        detector=ToyDetector(), images=split.images, annotations=split.annotations, out=tmp_path / "out"
    )
    yield opened
    opened.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("dissect-")]


def test_detectors_are_found_and_what_is_unavailable_says_why(toy_installed: None) -> None:
    panel = DetectorPanel()
    assert [value for _, value in panel.name.options] == ["gone", "toy"]
    assert panel.model.name == "toy", "one that works comes first"
    assert panel.name.options[0][0].endswith("(unavailable)")
    panel.name.value = "gone"
    assert "the module &#x27;no_such_module&#x27; of an unnamed package is not there" in panel.status.value
    panel.open_it.click()
    assert panel.model.wait(60) == "failed"
    assert "DetectorUnavailableError" in panel.problem.value
    panel.name.value = "toy"
    panel.options.value = "min_area: 30"
    panel.open_it.click()
    assert panel.model.wait(60) == "open", panel.model.details
    assert panel.model.detector.min_area == 30
    assert "ToyDetector is open: 5 components" in panel.status.value
    assert panel.problem.value == ""
    panel.model.detector = FittedDetector()
    assert "5 of the model&#x27;s 5 entries loaded." in panel.status.value
    panel.options.value = "min_area: [30"
    assert "not valid YAML" in panel.status.value
    assert panel.open_it.disabled
    panel.options.value = "- 30"
    assert "must give each option a value" in panel.status.value
    panel.options.value = "max_area: 30"
    panel.open_it.click()
    assert panel.model.wait(60) == "failed"
    assert "min_area" in panel.problem.value, "what there is, is named"
    panel.close()


def test_without_any_detector_the_panel_says_where_they_come_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_installed, "entry_points", lambda group: [])
    panel = DetectorPanel()
    assert "No installed package offers a detector" in panel.status.value
    assert panel.open_it.disabled
    panel.close()


def test_one_detector_is_opened_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    monkeypatch.setattr(
        "dissect_widgets.detector._model.open_detector",
        lambda _name, **_options: gate.wait(60) and ToyDetector(),
    )
    model = DetectorModel(DetectorSpec(adapter="toy"))
    model.open()
    with pytest.raises(RunStateError):
        model.open()
    gate.set()
    assert model.wait(60) == "open"


def test_the_whole_path_by_clicking(workbench: Workbench, tmp_path: Path) -> None:
    model = workbench.panels["model"]
    assert model.ask.add.disabled
    assert "Nothing is selected" in model.ask.said.value
    model.browser.search.value = "features.weight"
    model.browser.tree.do("check", "features.weight")
    model.ask.what.value = "element"
    model.ask.add.click()
    assert "shares of the single weights of this component" in model.ask.said.value
    workbench.tabs.selected_index = list(STEPS).index("study")
    builder = workbench.panels["study"]
    assert builder.row("ablations", 0, "target", "components").control.value == "features.weight"
    builder.ablation.details["Draws of each"].value = "1"
    assert "4 variants with the baseline" in builder.status.value, "the plan is of the open detector"
    workbench.tabs.selected_index = list(STEPS).index("run")
    step = workbench.panels["run"]
    step.form.replicates.value = 10
    step.form.batch_size.value = 5
    step.panel.start.click()
    assert workbench.run.wait(60) == "done", workbench.run.details
    assert workbench.folder.value == str(tmp_path / "out")
    workbench.tabs.selected_index = list(STEPS).index("results")
    results = workbench.panels["results"]
    assert "4 variants, 10 images" in results.status.value
    results.table.choose(results.table.rows[0].id)
    chosen = results.model.variant
    workbench.tabs.selected_index = list(STEPS).index("images")
    assert workbench.panels["images"].model.variant == chosen
    results.table.choose(results.table.rows[1].id)
    assert workbench.panels["images"].model.variant == results.model.variant != chosen
    images = workbench.panels["images"].model
    images.step(2)
    assert workbench.selection.image == images.shown.image, "one choice, seen from all sides"
    images.variant = chosen
    assert results.table.chosen == results.model.variant == chosen
    workbench.tabs.selected_index = list(STEPS).index("queries")
    assert "keeps no object queries" in workbench.status.value
    assert "keeps no object queries" in workbench._pages_of["queries"].children[0].value
    assert workbench.step == "queries"


def test_results_follow_a_new_run(workbench: Workbench, folder: Path, tmp_path: Path) -> None:
    workbench.look_at(folder)
    assert "15 variants" in workbench.panels["results"].status.value
    add_weights(workbench.spec)
    workbench.inputs.replicates = 0
    workbench.show("run")
    workbench.run.start()
    assert workbench.run.wait(60) == "done", workbench.run.details
    workbench.show("results")
    assert Study.open(tmp_path / "out").spec.ablations[0].name in workbench.snapshot()


def test_results_of_another_study_say_so_until_they_are_of_this_one(folder: Path, split: Split) -> None:
    workbench = Workbench(folder)
    results = workbench.panels["results"]
    assert workbench.spec.spec == Study.open(folder).spec, "one goes on from what was run"
    assert results.model.outdated == ""
    workbench.spec.set(("seed",), 7)
    assert (
        "These results are of another study than the one in the builder: seed was 3, is now 7."
        in results.remarks.value
    )
    workbench.spec.set(("seed",), 3)
    assert "of another study" not in results.remarks.value
    workbench.spec.set(("seed",), "x")
    assert "of another study" not in results.remarks.value, "there is nothing to compare with"
    workbench.close()


def test_a_cancelled_run_shows_what_it_has(workbench: Workbench, tmp_path: Path) -> None:
    add_weights(workbench.spec)
    workbench.inputs.batch_size = 2

    def cancel_once(_change: Any) -> None:  # a second time would leave measuring out
        if workbench.run.state == "running":
            workbench.run.cancel()

    workbench.run.observe(cancel_once, "done")
    workbench.run.start()
    assert workbench.run.wait(60) == "cancelled", workbench.run.details
    workbench.show("results")
    assert "These results are of a run that was stopped: " in workbench.snapshot()
    assert workbench.panels["results"].model.outdated == ""


def test_what_is_missing_for_a_run_stands_beside_its_field(tmp_path: Path) -> None:
    detector = DetectorModel(DetectorSpec(adapter="nothing"))
    form = RunInputsForm(RunInputsModel(detector, images=tmp_path))
    missing = {name: "Missing:" in note.value for name, note in form.notes.items()}
    assert [name for name, is_missing in missing.items() if is_missing] == ["detector", "annotations", "out"]
    form.images.value = str(tmp_path / "<b>")
    assert "There is no folder" in form.notes["images"].value
    assert "<b>" not in form.notes["images"].value
    form.model.batch_size = 0
    assert "Must be 1 or more, got 0" in form.notes["batch_size"].value
    with pytest.raises(DissectWidgetsError, match="No detector is open"):
        form.model(None, None, None, None)  # type: ignore[arg-type]
    form.close()
    form.model.close()


def test_a_run_waits_for_what_is_missing(split: Split, tmp_path: Path) -> None:
    workbench = Workbench(detector=ToyDetector(), images=split.images, out=tmp_path / "out")
    add_weights(workbench.spec)
    workbench.show("run")
    panel = workbench.panels["run"].panel
    assert panel.start.disabled
    assert "Not ready. Give the truth." in panel.status.value
    with pytest.raises(RunStateError):
        workbench.run.start()
    workbench.panels["run"].form.annotations.value = str(split.annotations)
    assert not panel.start.disabled
    workbench.close()


def test_wrong_folders_and_steps_are_told(workbench: Workbench, tmp_path: Path) -> None:
    with pytest.raises(DissectWidgetsError, match="`step` must be one of"):
        workbench.show("train")
    workbench.show("results")
    assert "Give the folder of a study, or run one." in workbench.status.value
    workbench.folder.value = str(tmp_path / "nothing")
    workbench.open_folder.click()
    assert str(tmp_path / "nothing") in workbench.status.value


class _Tensor:
    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def __getattr__(self, name: str) -> Any:
        return lambda: self.values if name == "numpy" else self


def test_weights_are_drawn_for_what_is_selected() -> None:
    rng = np.random.default_rng(0)
    arrays = {f"layer.{i}.weight": rng.normal(size=(8, 4)) for i in range(9)}
    detector = type("D", (), {})()
    detector.model = type(
        "M", (), {"named_parameters": lambda self: {k: _Tensor(v) for k, v in arrays.items()}}
    )()
    read = weights_of(detector)
    assert read is not None
    np.testing.assert_array_equal(read("layer.3.weight"), arrays["layer.3.weight"])
    assert weights_of(ToyDetector()) is None
    from dissect_core import Component

    model = BrowserModel((Component(n, (8, 4), "float32") for n in arrays), weights=read)
    browser = ComponentBrowser(model)
    browser.show_weights.value = True
    assert browser.picture.layout.display == "none"
    model.add("*")
    assert browser.picture.svg.startswith("<svg")
    assert "3 more selected components are not drawn" in browser.picture.caption
    mean = arrays["layer.0.weight"].mean()
    told = f"layer.0.weight: 32 values, mean {mean:.3f}".replace("-", "\N{MINUS SIGN}")
    assert told in browser.picture.alt
    assert "img alt" in browser.snapshot()
    drawn = model.picture()
    model.search("layer")
    assert model.picture() is drawn, "nothing is drawn again that did not change"
    browser.close()
    without = ComponentBrowser([Component("a", (3,), "float32")])
    assert without.show_weights.disabled
    without.close()


def test_histograms_count_what_they_cannot_draw() -> None:
    drawn = weight_histograms({"a$b": np.array([np.nan, 1.0]), "c": np.array([np.inf])})
    assert "a$b: 2 values, mean 1.000, standard deviation 0.000, 0.0% zeros, 1 not finite" in drawn.caption
    assert "c: 1 values, 1 not finite" in drawn.caption
    drawn.figure.canvas.draw()


def test_opening_and_closing_leaves_nothing_behind(folder: Path, split: Split, tmp_path: Path) -> None:
    before, threads, gone = len(_instances), threading.active_count(), []
    for _ in range(10):
        one = Workbench(folder, detector=ToyDetector(), images=split.images, out=tmp_path)
        for step in STEPS:
            one.show(step)
        gone.append(weakref.ref(one))
        one.close()
    del one
    gc.collect()
    assert len(_instances) == before
    assert threading.active_count() == threads
    assert not [each for each in gone if each() is not None]


def test_a_changed_study_gets_a_folder_of_its_own(workbench: Workbench, tmp_path: Path) -> None:
    add_weights(workbench.spec)
    workbench.inputs.replicates = 0
    workbench.show("study")
    workbench.panels["study"].run.click()
    assert workbench.run.wait(60) == "done", workbench.run.details
    workbench.show("study")
    workbench.panels["study"].run.click()
    assert workbench.run.wait(60) == "done", "the same study goes on in its folder"
    assert workbench.inputs.out == str(tmp_path / "out")
    add_weights(workbench.spec)
    workbench.panels["study"].run.click()
    assert workbench.run.wait(60) == "done", workbench.run.details
    assert workbench.inputs.out == str(tmp_path / "out-2")
    assert len(Study.open(tmp_path / "out-2").spec.ablations) == 2


def test_what_is_chosen_in_the_results_is_selected_in_the_model(folder: Path, workbench: Workbench) -> None:
    workbench.look_at(folder)
    results = workbench.panels["results"]
    results.model.choose("channels/channel/each/features:2")
    results.select_it.click()
    assert "Heads and whole parts can be selected in Model; channels are named by" in results._trouble.value


def test_heads_of_the_results_are_gathered_in_the_model() -> None:
    pytest.importorskip("mmdet")
    from dissect_core.detectors import open_detector

    workbench = Workbench(detector=open_detector("demo:detr"))
    step = workbench.panels["model"]
    first, second = list(workbench.spec.anatomy.attention)[:2]
    assert step.select("head", {first: [1]}) == "Selected in Model: 1 head. Add to the study there."
    assert step.select("head", {first: [3], second: [0]}).startswith("Selected in Model: 3 heads.")
    assert step.browser.model.heads == {first: (1, 3), second: (0,)}
    step.select("layer", {"encoder.layers.0": [0]})
    assert all(name.startswith("encoder.layers.0.") for name in step.browser.model.selection)
    with pytest.raises(DissectWidgetsError, match="has no such parts"):
        step.select("layer", {"nowhere": [0]})
    workbench.close()
