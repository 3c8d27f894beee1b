"""Two steps of the workbench that are made of several panels: the detector with its components, and the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ipywidgets import HTML, Layout, VBox

from dissect_core.anatomy import UNITS, is_inside

from ..base import Panel, counted, html_text
from ..builder import AskPanel, SpecModel
from ..components import BrowserModel, ComponentBrowser, weights_of
from ..detector import DetectorModel, DetectorPanel
from ..errors import DissectWidgetsError
from ..run import RunInputsForm, RunInputsModel, RunModel, RunPanel


class ModelStep(Panel):
    """The detector, its components, and what the study may ask about those that are selected."""

    def __init__(self, detector: DetectorModel, spec: SpecModel) -> None:
        super().__init__()
        self.detector, self.spec = detector, spec
        self.opened = self._own(DetectorPanel(detector))
        self.browser: ComponentBrowser | None = None
        self.ask = self._own(AskPanel(spec, self.chosen))
        self.place = VBox(layout=Layout(max_width="100%"))
        self._undo.append(self._close_browser)
        self._follow(detector, self._on_detector, "detector")
        self._assemble(self.opened, self.place)
        self._on_detector()

    def snapshot(self) -> str:
        """Return the detector and its components as plain HTML."""
        return self.opened.snapshot() + (self.browser.snapshot() if self.browser else "")

    def chosen(self) -> tuple[Sequence[str], Mapping[str, Sequence[int]]]:
        """Return what is selected: names of components, and heads by block."""
        return ((), {}) if self.browser is None else (self.browser.model.selection, self.browser.model.heads)

    def select(self, unit: str, removed: Mapping[str, Sequence[int]]) -> str:
        """Add units to what is selected, and return what is selected now, in words.

        Parameters
        ----------
        unit : str
        removed : mapping of str to sequence of int
            Numbers of units by the path of what holds them.

        Raises
        ------
        DissectWidgetsError
            If no detector is open, it is another one, or such units cannot be selected one by one.
        """
        if self.browser is None:
            raise DissectWidgetsError("A detector must be open: open that of the study on the page Model.")
        model, attention = self.browser.model, self.browser.model.anatomy.attention
        if removed and all(path in attention for path in removed):
            merged = {path: {*model.heads.get(path, ()), *units} for path, units in removed.items()}
            model.heads = {**model.heads, **merged}
        elif removed and UNITS[unit].is_whole:
            names = [
                one.name for one in model.components if any(is_inside(one.name, path) for path in removed)
            ]
            if not names:
                raise DissectWidgetsError("The open detector has no such parts. Open that of the study.")
            model.selection = tuple(dict.fromkeys((*model.selection, *names)))
        else:
            raise DissectWidgetsError(
                f"Heads and whole parts can be selected in Model; {UNITS[unit].plural} are named by their numbers in a "
                "study, by How: chosen ones."
            )
        n_heads, n_names = sum(map(len, model.heads.values())), len(model.selection)
        told = [counted(n_heads, "head") if n_heads else "", counted(n_names, "component") if n_names else ""]
        return f"Selected in Model: {' and '.join(filter(None, told))}. Add to the study there."

    def _close_browser(self) -> None:
        self.place.children = ()
        if self.browser is not None:
            self.browser.asks.children = ()
            self.browser.model.unobserve_all()
            self.browser.close()
            self.browser = None

    def _on_detector(self, _: Mapping[str, Any] | None = None) -> None:
        self._close_browser()
        detector = self.detector.detector
        if detector is not None:
            model = BrowserModel(detector.anatomy, weights=weights_of(detector))
            self.browser = ComponentBrowser(model, notes=self.detector.notes)
            if self.spec.anatomy is not detector.anatomy:
                self.spec.anatomy = detector.anatomy
            model.observe(self._guarded(self._on_selection, self.ask), ["selection", "heads"])
            self.browser.asks.children = (self.ask,)
            self.place.children = (self.browser,)
            self.ask.show()

    def _on_selection(self, _: Mapping[str, Any]) -> None:
        self.ask.show()


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
