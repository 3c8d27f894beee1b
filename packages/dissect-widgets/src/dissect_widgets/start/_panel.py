"""The start page: three clicks to a running study, and the studies that are there already."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ipywidgets import HTML, Button, HBox, Layout, VBox

from dissect_core import DissectError
from dissect_core.detectors import bundled_data
from dissect_core.text import visible

from ..base import Panel, counted, line, status_html
from ..builder import QUESTIONS, SpecModel
from ..detector import BUNDLED, DetectorModel
from ..front import Column, Grid, GridRow
from ..run import RunInputsModel, RunModel
from ._studies import FoundStudy, studies_below

SCENES = "demo:scenes"
IMAGES = 24
RUNS = "deep-dissect-runs"
_COLUMNS = (
    Column("study", "Study"),
    Column("detector", "Detector"),
    Column("state", "State"),
    Column("variants", "Variants", "number"),
    Column("folder", "Folder"),
)


class StartPanel(Panel):
    """Page with cards: choose a detector, choose a question, run it. Below are the studies of the current folder.

    Parameters
    ----------
    detector : DetectorModel
    spec : SpecModel
    inputs : RunInputsModel
    run : RunModel
    show : callable
        Shows another page by its name, such as ``"run"``.
    look_at : callable
        Opens a study's folder.

    Attributes
    ----------
    detectors, questions : dict of str to Button
        The cards.
    run_it, details, refresh : Button
    studies : Grid
    status : HTML
    """

    _title, _pages = "Start", ("head", "status")

    def __init__(
        self,
        detector: DetectorModel,
        spec: SpecModel,
        inputs: RunInputsModel,
        run: RunModel,
        *,
        show: Callable[[str], object],
        look_at: Callable[[Path], object],
    ) -> None:
        super().__init__()
        self.detector, self.spec, self.inputs, self.run = detector, spec, inputs, run
        self._show_page, self._look_at = show, look_at
        self.question = ""
        self._chosen = ""
        self._goes_on: Callable[[], object] | None = None
        self.found: list[FoundStudy] = []
        self.head = HTML(
            '<h2>Which parts of your detector matter?</h2><p class="dd-sub">Pick a detector, pick a question, look at '
            "what is lost.</p>"
        )
        usable = "mmdet" in detector.installed and detector.installed["mmdet"].problem is None
        own = ("Your own …", "MMDetection checkpoint, Transformers folder, or a name of the zoo")
        cards = {**(BUNDLED if usable else {}), "own": own}
        self.detectors = {key: self._card(*words) for key, words in cards.items()}
        self.questions = {key: self._card(one.title, one.about) for key, one in QUESTIONS.items()}
        for key, card in self.detectors.items():
            self._on_click(card, partial(self._on_detector, key))
        for key, card in self.questions.items():
            self._on_click(card, partial(self._on_question, key))
        self.run_it, self.details, self.refresh = (
            Button(description=text, layout=Layout(width="auto"))
            for text in ("Run it", "Change details first", "Look again")
        )
        self.run_it.add_class("dd-primary")
        self._on_click(self.run_it, self._on_run)
        self._on_click(self.details, self._on_details)
        self._on_click(self.refresh, self._on_refresh)
        self.studies = Grid(
            "Studies in this folder", _COLUMNS, height="16rem", empty="No study is in this folder yet."
        )
        self.studies.on("open", self._guarded(self._on_study, self.studies))
        self._follow(self.studies, self._on_chosen_study, "chosen")
        self.status = HTML()
        self._follow(detector, self._on_state, ["state", "detector"])
        detectors = HBox(tuple(self.detectors.values()), layout=Layout(overflow="visible")).add_class(
            "dd-cards"
        )
        questions = HBox(tuple(self.questions.values()), layout=Layout(overflow="visible")).add_class(
            "dd-cards"
        )
        self._assemble(
            self.head,
            HTML("<h3>1 · Detector</h3>"),
            detectors,
            HTML("<h3>2 · Question</h3>"),
            questions,
            line(self.run_it, self.details),
            self.status,
            VBox((HTML("<h3>Studies in this folder</h3>"), self.studies, line(self.refresh))),
        )
        self.look()

    def look(self) -> None:
        """Look for studies, and show what is chosen."""
        self.found = studies_below(Path.cwd())
        here = Path.cwd()
        rows = [
            GridRow(
                str(one.folder),
                (
                    {"text": visible(one.name)},
                    visible(one.detector),
                    one.state,
                    f"{one.n_variants:,}",
                    {"text": visible(str(one.folder.relative_to(here))), "look": "faint"},
                ),
                one.name,
            )
            for one in self.found
        ]
        self.studies.show(rows)
        self._show_chosen()

    def _card(self, title: str, about: str) -> Button:
        card = Button(description=f"{title}\n{about}")
        card.add_class("dd-card")
        return card

    def _show_chosen(self) -> None:
        for cards, chosen in ((self.detectors, self._chosen), (self.questions, self.question)):
            for key, card in cards.items():
                is_chosen = key == chosen
                (card.add_class if is_chosen else card.remove_class)("dd-chosen")
                text = card.description.removesuffix("\nChosen ✓")
                card.description = f"{text}\nChosen ✓" if is_chosen else text
        self.run_it.disabled = not (self._chosen and self.question) or self.run.is_active
        self.details.disabled = not self.question
        self.status.value = status_html(self._status())

    def _status(self) -> str:
        state = self.detector.state
        if self._goes_on is not None and state == "opening":
            return "Opening the detector; then it goes on."
        if state == "failed":
            return f"The detector cannot be opened: {self.detector.error}"
        if not self._chosen:
            return "Choose a detector."
        if not self.question:
            return "Choose a question."
        if state == "opening":
            return "Opening the detector …"
        told = ""
        if self.detector.detector is not None:
            try:
                n = QUESTIONS[self.question].n_variants(self.detector.detector.anatomy)
            except DissectError as error:
                return str(error)
            told = f"{counted(n, 'variant')}, "
        return f"Ready: {told}the first {IMAGES} bundled test images, into {self._folder()}."

    def _folder(self) -> Path:
        """Return a new folder for a run, below the current one."""
        checkpoint = str(self.detector.options.get("checkpoint", "detector"))
        name = re.sub(
            r"\W+", "-", f"{QUESTIONS[self.question].study} {Path(checkpoint.removeprefix('demo:')).stem}"
        )
        place = Path.cwd() / RUNS
        return next(one for i in range(1, 10_000) if not (one := place / f"{name}-{i}").exists())

    def _on_detector(self, key: str, _: Button) -> None:
        if key == "own":
            self._show_page("model")
            return
        self._chosen = key
        if self.detector.state != "opening" and (
            self.detector.detector is None or self.detector.options.get("checkpoint") != key
        ):
            self.detector.name, self.detector.options = "mmdet", {"checkpoint": key}
            self.detector.open()
        self._show_chosen()

    def _on_question(self, key: str, _: Button) -> None:
        self.question = key
        self._show_chosen()

    def _on_details(self, _: Button) -> None:
        self._when_open(self._change)

    def _on_run(self, _: Button) -> None:
        self._when_open(self._begin)

    def _when_open(self, act: Callable[[], object]) -> None:
        """Do something once the detector is open: now, or when it is."""
        if self.detector.detector is not None:
            act()
        else:
            self._goes_on = act
        self._show_chosen()

    def _ask(self) -> None:
        """Write the question's study for the open detector, and its inputs."""
        self.spec.load(QUESTIONS[self.question].spec(self.detector.detector.anatomy))
        annotations, images = bundled_data(SCENES)
        inputs = self.inputs
        with inputs.hold_trait_notifications():
            inputs.images, inputs.annotations = str(images), str(annotations)
            inputs.limit, inputs.batch_size, inputs.out = IMAGES, 8, str(self._folder())

    def _change(self) -> None:
        self._ask()
        self._show_page("study")

    def _begin(self) -> None:
        self._ask()
        self._show_page("run")
        self.run.start()

    def _on_state(self, _: Mapping[str, Any]) -> None:
        if self.detector.state == "open" and self.detector.detector is not None and self._goes_on is not None:
            act, self._goes_on = self._goes_on, None
            act()
        self._show_chosen()

    def _on_refresh(self, _: Button) -> None:
        self.look()

    def _on_chosen_study(self, change: Mapping[str, Any]) -> None:
        if change["new"]:
            self._on_study(change["new"])

    def _on_study(self, folder: str) -> None:
        one = next(one for one in self.found if str(one.folder) == folder)
        if one.is_running and not self.run.is_active:
            self._show_page("run")
            self.run.attach(one.folder)
        else:
            self._look_at(one.folder)
