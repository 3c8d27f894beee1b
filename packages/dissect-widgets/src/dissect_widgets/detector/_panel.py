"""The detector panel: what is installed, why something cannot be opened, and opening one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ipywidgets import HTML, Button, Dropdown, HBox, Textarea

from deep_dissect.pipeline import loaded
from dissect_core import SpecError
from dissect_core.detectors import Detector
from dissect_core.spec import DetectorSpec, parse_spec
from dissect_core.text import visible

from ..base import ModelPanel, TrustQuestion, counted, labelled, problem_html, status_html
from ._model import DetectorModel


class DetectorPanel(ModelPanel):
    """Panel that opens a detector which an installed package offers.

    Parameters
    ----------
    source : DetectorModel, Detector or DetectorSpec, optional
        The state to show, a detector that is open, or what to open.

    Attributes
    ----------
    model : DetectorModel
        The state; `model.detector` is the one that is open.
    name : Dropdown
    options : Textarea
        What the detector needs, as YAML.
    question : TrustQuestion
        Shown if the options would run code: they may be a stranger's.
    open_it : Button
    status, problem : HTML
    """

    _title, _pages = "A detector", ("status", "problem")
    _shown = ("name", "options", "trust", "question", "state", "detector", "error")

    def __init__(self, source: DetectorModel | Detector | DetectorSpec | None = None) -> None:
        super().__init__(source if isinstance(source, DetectorModel) else DetectorModel(source))
        self._wrong = ""
        names = list(dict.fromkeys([*self.model.installed, self.model.name]))
        self.name = labelled(
            Dropdown,
            "Detector",
            max_width="100%",
            options=[(self._label(name), name) for name in names],
            value=self.model.name,
        )
        self.options = labelled(
            Textarea,
            "Its options, as YAML",
            max_width="40rem",
            placeholder="checkpoint: detr.pth (for mmdet also config; demo:detr is a bundled one)",
            rows=4,
            continuous_update=False,
        )
        self.open_it = self._looks.make_button("Open the detector")
        self.status, self.problem = HTML(), HTML()
        self.question = self._own(TrustQuestion(self._on_agreed))
        self._follow(self.name, self._on_name, "value")
        self._follow(self.options, self._on_options, "value")
        self._on_click(self.open_it, self._on_open)
        self._assemble(
            self.name, self.options, self.question, HBox((self.open_it,)), self.status, self.problem
        )

    def _label(self, name: str) -> str:
        one = self.model.installed.get(name)
        if one is None:
            return visible(f"{name} (not installed)" if name else "none is installed")
        return visible(f"{name}, of {one.distribution}{' (unavailable)' if one.problem else ''}")

    def _show(self) -> None:
        model = self.model
        if model.name in [value for _, value in self.name.options]:
            self.name.value = model.name
        if not self._wrong:
            self.options.value = _yaml(model.options)
        self.open_it.disabled = model.state == "opening" or not model.name or bool(self._wrong)
        self.question.show(model.question, model.trust)
        self.status.value = status_html(self._status())
        self.problem.value = problem_html(model.error, model.details)

    def _status(self) -> str:
        model = self.model
        if self._wrong:
            return self._wrong
        if model.state == "opening":
            return f"Opening {model.name} …"
        if model.state == "open":
            told = loaded(model.detector)
            anatomy, names = model.detector.anatomy, model.detector.class_names
            return (
                f"{type(model.detector).__name__} is open: {counted(len(anatomy.components), 'component')}, "
                f"{counted(len(anatomy.blocks), 'block')}, {len(names)} classes.{f' {told}.' if told else ''}"
            )
        if model.problem:
            return f"{model.name} is unavailable: {model.problem}"
        if model.question and not model.trust:
            return "No detector is open: tick the box above if it may run, then open it."
        if not model.installed and not model.name:
            return "No installed package offers a detector; dissect-mmdet brings those of MMDetection."
        return "No detector is open."

    def _on_name(self, change: Mapping[str, Any]) -> None:
        if not self._is_refreshing:
            self.model.name = change["new"]

    def _on_options(self, change: Mapping[str, Any]) -> None:
        if self._is_refreshing:
            return
        try:
            options = parse_spec(change["new"], where="The text") if change["new"].strip() else {}
            if not isinstance(options, dict) or not all(isinstance(key, str) for key in options):
                raise SpecError("The text must give each option a value, as in `checkpoint: detr.pth`.")
        except SpecError as error:
            self._wrong = str(error)
        else:
            self._wrong = ""
            self.model.options = options
        self._refresh()

    def _on_agreed(self, agrees: bool) -> None:
        self.model.trust = agrees

    def _on_open(self, _: Button) -> None:
        self.model.open()


def _yaml(options: Mapping[str, Any]) -> str:
    import yaml

    return str(yaml.safe_dump(dict(options), sort_keys=False)).strip() if options else ""
