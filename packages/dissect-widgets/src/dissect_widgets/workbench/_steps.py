"""Two steps of the workbench that are made of several panels: the detector with its components, and the run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ipywidgets import HTML, Button, HBox, Layout, VBox

from dissect_core.text import visible

from ..base import Panel, counted, html_text, status_html
from ..builder import SpecModel
from ..components import ComponentBrowser, weights_of
from ..detector import DetectorModel, DetectorPanel
from ..run import RunInputsForm, RunInputsModel, RunModel, RunPanel


class ModelStep(Panel):
    """The detector, its components, and a button that adds the selected ones to the study."""

    def __init__(self, detector: DetectorModel, spec: SpecModel) -> None:
        super().__init__()
        self.detector, self.spec = detector, spec
        self.opened = self._own(DetectorPanel(detector))
        self.browser: ComponentBrowser | None = None
        self.add = self._looks.make_button("Add what is selected to the study")
        self.said = HTML()
        self.beside = HBox((self.add,))  # a column would make the button as wide as the page
        self.place = VBox(layout=Layout(max_width="100%"))
        self._on_click(self.add, self._on_add)
        self._close_all_of(self.beside, self.said)  # they are no children while no detector is open
        self._undo.append(self._close_browser)
        self._follow(detector, self._on_detector, "detector")
        self._assemble(self.opened, self.place)
        self._on_detector()

    def snapshot(self) -> str:
        """Return the detector and its components as plain HTML."""
        return self.opened.snapshot() + (self.browser.snapshot() if self.browser else "")

    def _close_browser(self) -> None:
        self.place.children = ()
        if self.browser is not None:
            self.browser.close()
            self.browser = None

    def _on_detector(self, _: Mapping[str, Any] | None = None) -> None:
        self._close_browser()
        detector = self.detector.detector
        if detector is not None:
            self.browser = ComponentBrowser(detector.anatomy.components, weights=weights_of(detector))
            self.place.children = (self.browser, self.beside, self.said)

    def _on_add(self, _: Button) -> None:
        if self.browser is None or not self.browser.model.selection:
            self.said.value = status_html("Nothing is selected.")
            return
        names = self.browser.model.selection
        with self.spec.lock:
            self.spec.add_ablation_of(names)
        ablation = self.spec.draft["ablations"][-1]["name"]
        self.said.value = status_html(
            f"{counted(len(names), 'component')} in the study as {visible(ablation)}."
        )


class RunStep(Panel):
    """The form for the inputs of the run, and the run."""

    def __init__(self, inputs: RunInputsModel, run: RunModel) -> None:
        super().__init__()
        self.form, self.panel = self._own(RunInputsForm(inputs)), self._own(RunPanel(run))
        self.head = HTML(f"<h3>{html_text('What to run over')}</h3>")
        self._assemble(self.head, self.form, self.panel)

    def snapshot(self) -> str:
        """Return the state of the run as plain HTML."""
        return self.panel.snapshot()
