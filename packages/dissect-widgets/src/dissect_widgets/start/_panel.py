"""The start page: three clicks to a running study, and the studies that are there already."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ipywidgets import HTML, Button, Layout, VBox

from deep_dissect.data import coco_files
from deep_dissect.errors import FrontDoorError
from dissect_core.anatomy import Anatomy
from dissect_core.detectors import bundled_data
from dissect_core.text import visible

from ..base import Panel, counted, line, status_html
from ..builder import QUESTIONS, PlanPreview, SpecModel, duration, seconds_of
from ..detector import BUNDLED, DetectorModel, first_image
from ..errors import DraftError
from ..front import Column, Grid, GridRow
from ..run import RunInputsModel, RunModel
from ._cards import Cards
from ._detectors import FoundDetector, detectors_below
from ._recent import recent_studies
from ._studies import FoundStudy, studies_below

SCENES = "demo:scenes"
IMAGES = 24
OWN_IMAGES = 100
"""Images of one's own that a study begins with: enough for intervals, few enough for a CPU."""
RUNS = "deep-dissect-runs"
SHOWN = 4
"""Detectors found here that have cards."""
OWN = "own"
_COLUMNS = (
    Column("study", "Study"),
    Column("detector", "Detector", aside=True),
    Column("state", "State"),
    Column("variants", "Variants", "number"),
    Column("found", "Found"),
    Column("folder", "Folder", aside=True),
)


class StartPanel(Panel):
    """Page with cards: choose a detector, choose a question, run it. Below are studies found here, and recent ones.

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
        The cards: bundled detectors, those found in the current folder by their path, and one for any other; questions.
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
        self._timed: object = None
        self._bundled_images = ""
        self._plans: tuple[Anatomy, dict[str, PlanPreview], dict[str, str]] | None = None
        self.found: list[FoundStudy] = []
        self.found_detectors: list[FoundDetector] = []
        self.head = HTML(
            '<h2>Which parts of your detector matter?</h2><p class="dd-sub">Pick a detector, pick a question, look at '
            "what is lost.</p>"
        )
        self._detectors = self._own(Cards(self._guarded(self._on_detector, self)))
        self._questions = self._own(Cards(self._guarded(self._on_question, self)))
        self.detectors, self.questions = self._detectors.cards, self._questions.cards
        self.run_it, self.details, self.refresh = (
            Button(description=text, layout=Layout(width="auto"))
            for text in ("Run it", "Change details first", "Look again")
        )
        self.run_it.add_class("dd-primary")
        self._on_click(self.run_it, self._on_run)
        self._on_click(self.details, self._on_details)
        self._on_click(self.refresh, self._on_refresh)
        self.studies = Grid("Studies", _COLUMNS, height="16rem", empty="No study is here yet.")
        self.studies.on("open", self._guarded(self._on_study, self.studies))
        self._follow(self.studies, self._on_chosen_study, "chosen")
        self.status = HTML()
        self._follow(detector, self._on_state, ["state", "detector"])
        self._follow(run, self._on_run_state, "state")
        self._assemble(
            self.head,
            HTML("<h3>1 · Detector</h3>"),
            self._detectors,
            HTML("<h3>2 · Question</h3>"),
            self._questions,
            line(self.run_it, self.details),
            self.status,
            VBox((HTML("<h3>Studies found here, and recent ones</h3>"), self.studies, line(self.refresh))),
        )
        self.look()

    def look(self) -> None:
        """Look for studies and detectors, and show what is chosen."""
        here = Path.cwd()
        self.found_detectors = detectors_below(here)
        self.found = studies_below(here, also=recent_studies())
        cells = [
            (
                {"text": visible(one.name)},
                visible(one.detector),
                one.state,
                f"{one.n_variants:,}",
                one.found,
                {"text": visible(_short(one.folder, here)), "look": "faint"},
            )
            for one in self.found
        ]
        # A column that says nothing of any study only takes room.
        told = [i for i in range(len(_COLUMNS)) if not cells or any(row[i] for row in cells)]
        rows = [
            GridRow(str(one.folder), tuple(row[i] for i in told), one.name)
            for one, row in zip(self.found, cells, strict=True)
        ]
        self.studies.show(rows, columns=[_COLUMNS[i] for i in told])
        self._show_chosen()

    def _show_chosen(self) -> None:
        self._detectors.show(self._detector_cards(), self._chosen)
        texts, refused = self._question_cards()
        if self.question in refused:
            self.question = ""
        self._questions.show(texts, self.question, refused)
        self.run_it.disabled = not (self._chosen and self.question) or self.run.is_active
        self.details.disabled = not self.question
        self.status.value = status_html(self._status())

    def _detector_cards(self) -> dict[str, tuple[str, str]]:
        """Return titles and lines of the detectors: bundled ones, those found here, and any other."""
        installed = self.detector.installed
        usable = "mmdet" in installed and installed["mmdet"].problem is None
        here, found = Path.cwd(), self.found_detectors
        cards = dict(BUNDLED) if usable else {}
        for one in found[:SHOWN]:
            cards[str(one.path)] = (_short(one.path, here), one.about)
        more = f", or one of {len(found) - SHOWN:,} more found here" if len(found) > SHOWN else ""
        cards[OWN] = (
            "Your own …",
            f"MMDetection checkpoint, Transformers folder, or a name of the zoo{more}",
        )
        return cards

    def _question_cards(self) -> tuple[dict[str, tuple[str, str]], dict[str, str]]:
        """Return titles and lines of the questions, with what each takes if that is known; and why one is refused."""
        opened = self.detector.detector
        if opened is None:
            return {key: (one.title, one.about) for key, one in QUESTIONS.items()}, {}
        if self._plans is None or self._plans[0] is not opened.anatomy:
            self._plans = _plans_on(opened.anatomy)
        _, plans, refused = self._plans
        texts = {}
        for key, one in QUESTIONS.items():
            cost = self._cost(plans[key]) if key in plans else ""
            texts[key] = (one.title, f"{one.about} {cost}".strip())
        return texts, refused

    def _cost(self, plan: PlanPreview) -> str:
        told = counted(plan.n_variants, "variant")
        if self.detector.speed is None:
            return f"{told}."
        n_images = self._n_images()
        seconds = seconds_of(plan, self.detector.speed, n_images)
        return f"{told}, about {duration(seconds)} on {counted(n_images, 'image')}."

    def _n_images(self) -> int:
        if self._chosen in BUNDLED:
            return IMAGES
        return self.inputs.limit or OWN_IMAGES

    def _status(self) -> str:
        state = self.detector.state
        if self._goes_on is not None and state == "opening":
            return "Opening the detector; then it goes on."
        if state == "failed":
            return f"The detector cannot be opened: {self.detector.error}"
        if self._chosen and self.detector.question and self.detector.detector is None:
            return "Opening this detector would run code. Say on the page Model whether it may."
        if not self._chosen:
            return "Choose a detector."
        if state == "opening":
            return "Opening the detector …"
        if not self.question:
            return "Choose a question."
        where = self._where()
        images = f"the first {self._n_images()} {where}" if where else "which images is asked for next"
        return f"Ready: {images}, into {self._folder()}."

    def _where(self) -> str:
        """Return words for the images that a study is run on; empty if they are not known."""
        if self._chosen in BUNDLED:
            return "bundled test images"
        images = self._own_data()[0]
        return f"images of {_short(Path(images), Path.cwd())}" if images else ""

    def _data(self) -> tuple[str, str]:
        """Return the folder of the images that a study is run on, and their truth; empty if they are not known."""
        if self._chosen not in BUNDLED:
            return self._own_data()
        annotations, images = bundled_data(SCENES)  # drawn if they are not there yet
        self._bundled_images = str(images)
        return str(images), str(annotations)

    def _own_data(self) -> tuple[str, str]:
        """Return what the page of the run has, unless it is of a bundled detector; else COCO, if it lies here."""
        inputs = self.inputs
        if inputs.images and inputs.annotations and inputs.images != self._bundled_images:
            return inputs.images, inputs.annotations
        try:
            images, annotations = coco_files(Path.cwd())
        except FrontDoorError:
            return "", ""
        return str(images), str(annotations)

    def _folder(self) -> Path:
        """Return a new folder for a run, below the current one."""
        named = Path(self._chosen.removeprefix("demo:")).stem if self._chosen else self.detector.label
        name = re.sub(r"\W+", "-", f"{QUESTIONS[self.question].study} {named}")
        place = Path.cwd() / RUNS
        return next(one for i in range(1, 10_000) if not (one := place / f"{name}-{i}").exists())

    def _on_detector(self, key: str) -> None:
        if key == OWN:
            self._show_page("model")
            return
        self._chosen, self._goes_on = key, None
        model = self.detector
        if model.state not in ("opening", "timing") and not (
            model.detector is not None and model.named == key
        ):
            model.look_for(key)
            model.open()
        self._show_chosen()

    def _on_question(self, key: str) -> None:
        self.question = key
        self._show_chosen()

    def _on_details(self, _: Button) -> None:
        self._when_open(self._change)

    def _on_run(self, _: Button) -> None:
        self._when_open(self._begin)

    def _when_open(self, act: Callable[[], object]) -> None:
        """Do something once the detector is open and at rest: now, or when it is."""
        model = self.detector
        if model.detector is not None and model.state == "open":
            act()
        elif model.state in ("opening", "timing"):
            self._goes_on = act
        else:
            self._show_page("model")  # what is missing stands there
        self._show_chosen()

    def _ask(self) -> None:
        """Write the question's study for the open detector, and its inputs."""
        opened = self.detector.detector
        self.spec.load(QUESTIONS[self.question].spec(opened.anatomy if opened is not None else None))
        images, annotations = self._data()
        inputs, n_images, folder = self.inputs, self._n_images(), str(self._folder())
        is_bundled = self._chosen in BUNDLED
        with inputs.hold_trait_notifications():
            inputs.images, inputs.annotations, inputs.limit, inputs.out = (
                images,
                annotations,
                n_images,
                folder,
            )
            if is_bundled:
                inputs.batch_size = 8

    def _change(self) -> None:
        self._ask()
        self._show_page("study")

    def _begin(self) -> None:
        self._ask()
        self._show_page("run")
        if self.run.can_start:  # else the page says what it needs
            self.run.start()

    def _on_state(self, _: Mapping[str, Any]) -> None:
        model = self.detector
        if model.state == "open" and model.detector is not None:
            if not self._chosen:
                self._chosen = OWN
            if self._goes_on is not None:
                act, self._goes_on = self._goes_on, None
                act()
            elif model.speed is None and self._timed is not model.detector and not model.busy():
                self._timed = model.detector  # once: a detector that cannot be timed is not tried again
                images = self._data()[0]
                model.time_pass(first_image(images) if images else None)
        elif model.state in ("failed", "closed"):
            self._goes_on = None
        self._show_chosen()

    def _on_run_state(self, _: Mapping[str, Any]) -> None:
        self.run_it.disabled = not (self._chosen and self.question) or self.run.is_active

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


def _plans_on(anatomy: Anatomy) -> tuple[Anatomy, dict[str, PlanPreview], dict[str, str]]:
    """Return what each question takes on a model, and why those that cannot be asked of it cannot."""
    plans, refused = {}, {}
    for key, one in QUESTIONS.items():
        try:
            plans[key] = one.preview(anatomy)
        except DraftError as error:  # noqa: PERF203  # four questions
            refused[key] = str(error)
    return anatomy, plans, refused


def _short(path: Path, here: Path) -> str:
    """Return a path as people write it: from the current folder, or from their home."""
    for place, begin in ((here, ""), (Path.home(), "~/")):
        if path.is_relative_to(place):
            return f"{begin}{path.relative_to(place)}"
    return str(path)
