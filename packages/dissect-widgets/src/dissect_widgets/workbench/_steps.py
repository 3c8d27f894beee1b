"""Two steps of the workbench that are made of several panels: the model, and the run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ipywidgets import HTML, Button, HBox, Layout, VBox

from dissect_core.text import visible

from ..base._controls import Looks, close_all, status_html
from ..base._panel import Panel
from ..base._text import counted, html_text
from ..builder._model import SpecModel
from ..components._panel import ComponentBrowser
from ..components._weights import weights_of
from ..detector._model import DetectorModel
from ..detector._panel import DetectorPanel
from ..run._job_form import JobForm, JobModel
from ..run._model import RunModel
from ..run._panel import RunPanel


class ModelStep(Panel):
    """The detector, its components, and a button that adds what is selected to the study."""

    def __init__(self, detector: DetectorModel, spec: SpecModel) -> None:
        self.detector, self.spec = detector, spec
        self._looks = Looks()
        self.opened = DetectorPanel(detector)
        self.browser: ComponentBrowser | None = None
        self.add = self._looks.make_button("Add what is selected to the study")
        self.said = HTML()
        self.beside = HBox((self.add,))  # alone in a column, the button would be as wide as the page
        self.place = VBox(layout=Layout(max_width="100%"))
        super().__init__((self.opened, self.place), layout=Layout(max_width="100%"))
        self.add.on_click(self._on_add)
        self.detector.observe(self._on_detector, "detector")
        self._is_live = True
        self._on_detector()

    def snapshot(self) -> str:
        """Show the detector and its components as plain HTML."""
        return self.opened.snapshot() + (self.browser.snapshot() if self.browser else "")

    def close(self) -> None:
        """Close it with all that it holds."""
        if self._is_live:
            self._is_live = False
            self.detector.unobserve(self._on_detector, "detector")
            self._close_browser()
            self.opened.close()
            for each in (self.beside, self.said):
                close_all(each, self._looks.all())
            close_all(self)
            self._looks.close()
        super().close()

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
    """What to run over, and the run."""

    def __init__(self, job: JobModel, run: RunModel) -> None:
        self._is_live = True
        self.form, self.panel = JobForm(job), RunPanel(run)
        self.head = HTML(f"<h3>{html_text('What to run over')}</h3>")
        super().__init__((self.head, self.form, self.panel), layout=Layout(max_width="100%"))

    def snapshot(self) -> str:
        """Show how the run stands as plain HTML."""
        return self.panel.snapshot()

    def close(self) -> None:
        """Close it with all that it holds; the run is its owner's."""
        if self._is_live:
            self._is_live = False
            self.form.close()
            self.panel.close()
            close_all(self)
        super().close()
