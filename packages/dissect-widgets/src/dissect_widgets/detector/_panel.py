"""The detector panel: bundled detectors as cards, a field for one's own, and all that an adapter may need."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from ipywidgets import HTML, Accordion, Button, Dropdown, HBox, Layout, Text, Textarea, VBox

from deep_dissect.pipeline import loaded
from dissect_core import DissectError, SpecError
from dissect_core.detectors import Detector
from dissect_core.spec import DetectorSpec, parse_spec
from dissect_core.text import visible

from ..base import ModelPanel, TrustQuestion, counted, labelled, line, problem_html, status_html
from ._model import DetectorModel
from ._source import BUNDLED


class DetectorPanel(ModelPanel):
    """Panel that opens a detector: a bundled one by its card, one's own by a checkpoint, a folder or a name.

    Parameters
    ----------
    source : DetectorModel, Detector or DetectorSpec, optional
        The state to show, a detector that is open, or what to open.

    Attributes
    ----------
    model : DetectorModel
        The state; `model.detector` is the one that is open.
    cards : dict of str to Button
        The bundled detectors; a click opens one.
    source : Text
        A checkpoint, a folder of Transformers, or a name of a zoo.
    name : Dropdown
        The adapter, under "More".
    options : Textarea
        What the detector needs, as YAML, under "More".
    question : TrustQuestion
        Shown if the options would run code: they may be a stranger's.
    open_it, other : Button
        Open what is named; choose another one, once one is open.
    status, problem : HTML
    """

    _title, _pages = "A detector", ("status", "problem")
    _shown = ("name", "options", "trust", "question", "state", "detector", "error")

    def __init__(self, source: DetectorModel | Detector | DetectorSpec | None = None) -> None:
        super().__init__(source if isinstance(source, DetectorModel) else DetectorModel(source))
        self._wrong, self._chooses = "", False
        names = list(dict.fromkeys([*self.model.installed, self.model.name]))
        usable = "mmdet" in self.model.installed and self.model.installed["mmdet"].problem is None
        self.cards = {
            key: Button(description=f"{title}\n{about}").add_class("dd-card")
            for key, (title, about) in (BUNDLED.items() if usable else ())
        }
        self.source = labelled(
            Text,
            "Your own",
            max_width="40rem",
            placeholder="checkpoint (.pth, .safetensors), folder of Transformers, or name of a zoo",
            continuous_update=False,
        )
        self.source.layout.width = "100%"
        self.name = labelled(
            Dropdown,
            "Adapter",
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
        self.open_it = self._looks.make_button("Open the detector").add_class("dd-primary")
        self.other = Button(description="Open another detector", layout=Layout(width="auto")).add_class(
            "dd-link"
        )
        self.status, self.problem = HTML(), HTML()
        self.question = self._own(TrustQuestion(self._on_agreed))
        self.more = Accordion(
            (VBox((self.name, self.options)),), titles=("More: adapter and its options",), selected_index=None
        )
        for key, card in self.cards.items():
            self._on_click(card, partial(self._on_card, key))
        self._follow(self.source, self._on_source, "value")
        self._follow(self.name, self._on_name, "value")
        self._follow(self.options, self._on_options, "value")
        self._on_click(self.open_it, self._on_open)
        self._on_click(self.other, self._on_other)
        cards = [HBox(tuple(self.cards.values()), layout=Layout(overflow="visible"))] if self.cards else []
        self._ways = VBox((*(one.add_class("dd-cards") for one in cards), self.source, self.more))
        self._open_line = line(self.open_it)
        self._assemble(
            self._ways, self.question, self._open_line, self.status, line(self.other), self.problem
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
        busy = model.state in ("opening", "timing")
        self.open_it.disabled = busy or not model.name or bool(self._wrong)
        for key, card in self.cards.items():
            is_open = model.detector is not None and model.options.get("checkpoint") == key
            (card.add_class if is_open else card.remove_class)("dd-chosen")
            card.disabled = busy
        # Once one is open, the page is about it, and not about the choice.
        is_done = model.detector is not None and not self._chooses
        for part in (self._ways, self._open_line):
            part.layout.display = "none" if is_done else None
        self.other.layout.display = None if is_done else "none"
        self.question.show(model.question, model.trust)
        self.status.value = status_html(self._status())
        self.problem.value = problem_html(model.error, model.details)

    def _status(self) -> str:
        model = self.model
        if self._wrong:
            return self._wrong
        if model.state == "opening":
            return f"Opening {model.name} …"
        if model.detector is not None:
            told = loaded(model.detector)
            anatomy, names = model.detector.anatomy, model.detector.class_names
            return (
                f"{visible(model.label)} is open: {counted(len(anatomy.components), 'component')}, "
                f"{counted(len(anatomy.blocks), 'block')}, {len(names)} classes.{f' {told}.' if told else ''}"
            )
        if model.problem:
            return f"{model.name} is unavailable: {model.problem}"
        if model.question and not model.trust:
            return "No detector is open: tick the box above if it may run, then open it."
        if not model.installed and not model.name:
            return "No installed package offers a detector; dissect-mmdet brings those of MMDetection."
        return "No detector is open."

    def _on_card(self, key: str, _: Button) -> None:
        self._wrong = ""
        self.model.look_for(key)
        self._begin()

    def _on_source(self, change: Mapping[str, Any]) -> None:
        if not change["new"].strip():
            return
        try:
            self.model.look_for(change["new"])
        except DissectError as error:
            self._wrong = str(error)
        else:
            self._wrong = ""
        self._refresh()

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
        self._begin()

    def _on_other(self, _: Button) -> None:
        self._chooses = True
        self._refresh()

    def _begin(self) -> None:
        self._chooses = False
        self.model.open()


def _yaml(options: Mapping[str, Any]) -> str:
    import yaml

    return str(yaml.safe_dump(dict(options), sort_keys=False)).strip() if options else ""
