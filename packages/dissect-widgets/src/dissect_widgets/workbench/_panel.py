"""The workbench: all panels in one, connected."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ipywidgets import HTML, Button, Layout, Tab, Text, VBox, Widget
from traitlets import dlink

from dissect_core import DissectError
from dissect_core.detectors import Detector
from dissect_core.spec import DetectorSpec, StudySpec
from dissect_core.storage.locations import is_remote, location_of
from dissect_core.store import Study, differences, listed

from ..base import Panel, Selection, html_text, labelled, line, status_html
from ..builder import SpecModel, StudyBuilder
from ..detector import DetectorModel
from ..errors import DissectWidgetsError, StudyFolderError
from ..images import ImageBrowser, ImagesModel
from ..queries import QueriesModel, QueryPanel
from ..results import ResultsExplorer, ResultsModel
from ..run import RunInputsModel, RunModel
from ..start import StartPanel, remember_study
from ._steps import ModelStep, RunStep

STEPS = {
    "start": "Start",
    "model": "Model",
    "study": "Study",
    "run": "Run",
    "results": "Results",
    "images": "Images",
    "queries": "Queries",
}


def stored_spec(folder: Path) -> StudySpec:
    """Return the specification of the study in a folder.

    Raises
    ------
    StudyFolderError
        If it holds no study.
    """
    try:
        return Study.open(folder).spec
    except DissectError as error:
        raise StudyFolderError(str(error)) from error


class Workbench(Panel):
    """All panels in one, connected; each is made when it is first shown.

    Selected components can be added to the study; the study is planned for the open detector; a study that was run
    opens in the results; a point chosen there opens in the images. Closing the workbench stops its run.

    Parameters
    ----------
    folder : Path or str, optional
        Folder of a study that was run, to look at.
    detector : Detector or DetectorSpec, optional
        A detector, or what to open.
    study : StudySpec, mapping, Path or str, optional
        The study to begin with in the builder.
    images, annotations, out : Path or str, optional
        Inputs of a run; see `RunInputsModel`.

    Attributes
    ----------
    detector : DetectorModel
    spec : SpecModel
    inputs : RunInputsModel
    run : RunModel
    selection : Selection
        What is chosen in results, images and queries: one choice.
    step : str
        Which panel is shown: one of `STEPS`.
    panels : dict of str to Widget
        The panels that were made, by step.
    tabs : Tab
        A page for each step, made when it is first shown.
    folder, open_folder : Text, Button
        The folder of a study to look at, and the button that opens it.
    title, status : HTML

    Examples
    --------
    >>> workbench = Workbench()
    >>> workbench.tabs.selected_index = 2  # as a click on the tab
    >>> workbench.step, sorted(workbench.panels)
    ('study', ['start', 'study'])
    >>> workbench.close()
    """

    def __init__(
        self,
        folder: Path | str | None = None,
        *,
        detector: Detector | DetectorSpec | None = None,
        study: StudySpec | Mapping[str, Any] | Path | str | None = None,
        images: Path | str = "",
        annotations: Path | str = "",
        out: Path | str = "",
    ) -> None:
        super().__init__()
        self.spec = SpecModel(study)
        named = self.spec.spec.detector if self.spec.spec else None
        self.detector = DetectorModel(detector if detector is not None else named)
        self.inputs = RunInputsModel(self.detector, images=images, annotations=annotations, out=out)
        self.run = RunModel(self.spec, self.inputs)
        self.detector.busy = lambda: self.run.is_active
        link = dlink(
            (self.inputs, "problems"), (self.run, "missing"), lambda found: found[0][1] if found else ""
        )
        self.selection = Selection()
        self.panels: dict[str, Widget] = {}
        self.step = ""
        self._said = ""
        self._results: ResultsModel | None = None
        self._images: ImagesModel | None = None
        self.folder = labelled(
            Text, "Look at the study in", max_width="36rem", value=str(folder or ""), continuous_update=False
        )
        self.open_folder = self._looks.make_button("Look at it")
        self.title, self.status = HTML(), HTML()
        self._pages_of = {step: VBox(layout=Layout(max_width="100%")) for step in STEPS}
        self.tabs = Tab(tuple(self._pages_of.values()), titles=tuple(STEPS.values())).add_class("dd-tabs")
        self._why = HTML()  # of a page that cannot be made
        self._close_all_of(self._why)
        self._follow(self.tabs, self._on_tab, "selected_index")
        self._on_click(self.open_folder, self._on_open)
        self._undo += [link.unlink, self.inputs.close, self._drop_all, self.run.close]
        self._follow(self.detector, self._on_detector, "detector")
        self._follow(self.run, self._on_run, "state")
        self._follow(self.spec, self._tell_outdated, "spec")
        self._assemble(
            self.title,
            self.tabs,
            self.status,
            line(self.folder, self.open_folder),
        )
        if folder and study is None:  # the builder begins with the study of the folder
            with suppress(StudyFolderError):
                self.spec.load(stored_spec(location_of(folder)))
        self._on_detector()
        self.show("results" if folder else "start" if detector is None and study is None else "model")

    def show(self, step: str) -> None:
        """Show the panel of a step; make it first if need be.

        Raises
        ------
        DissectWidgetsError
            If there is no such step.
        """
        if step not in STEPS:
            raise DissectWidgetsError(f"`step` must be one of {', '.join(STEPS)}, got {step!r}.")
        self._said = ""
        if step not in self.panels:
            try:
                self.panels[step] = self._made(step)
            except StudyFolderError as error:
                self._said = f" {error}"
                self.panels.pop(step, None)
        self.step = step
        panel = self.panels.get(step)
        page = self._pages_of[step]
        self._why.value = f"<p>{html_text(self._said.strip())}</p>"
        shown = (panel,) if panel is not None else (self._why,)
        if page.children != shown:
            page.children = shown
        with self._quietly():
            self.tabs.selected_index = list(STEPS).index(step)
        self.title.value = (
            f'<div><strong style="font-size:19px">Deep Dissect</strong> {self._context()}</div>'
        )
        self.status.value = status_html(f"{STEPS[step]}.{self._said}")

    def _context(self) -> str:
        """Return which study and detector the pages are about, as HTML."""
        spec, folder = self.spec.spec, self.folder.value.strip()
        is_open = self.detector.detector is not None
        words = [spec.name if spec is not None else "", self.detector.label if is_open else "", folder]
        return f'<span class="dd-sub">{html_text(f" {chr(183)} ".join(filter(None, words)))}</span>'

    def look_at(self, folder: Path | str) -> None:
        """Open a study's folder in the results, the images and the queries."""
        self.folder.value = str(folder)
        self._remember(folder)
        for step in ("results", "images", "queries"):
            self._drop(step)
        self._results = self._images = None
        self.selection.choose(variant="", category="", image=None, query=None)
        self.show("results")

    def _remember(self, folder: Path | str) -> None:
        """Keep a study among the recent ones, if it is one of this machine."""
        place = location_of(str(folder))
        if not is_remote(place) and (place.expanduser() / "spec.yaml").is_file():
            remember_study(place.expanduser())

    def snapshot(self) -> str:
        """Return what the shown panel shows as plain HTML."""
        panel: Any = self.panels.get(self.step)
        steps = " · ".join(f"<strong>{STEPS[s]}</strong>" if s == self.step else STEPS[s] for s in STEPS)
        return f"<p>{steps}</p>{self.status.value if panel is None else panel.snapshot()}"

    def _made(self, step: str) -> Widget:
        make: dict[str, Callable[[], Widget]] = {
            "start": lambda: StartPanel(
                self.detector, self.spec, self.inputs, self.run, show=self.show, look_at=self.look_at
            ),
            "model": lambda: ModelStep(self.detector, self.spec),
            "study": lambda: StudyBuilder(
                self.spec,
                run=self._run_study,
                chosen=self._chosen_parts,
                detector=self.detector,
                inputs=self.inputs,
            ),
            "run": lambda: RunStep(self.inputs, self.run),
            "results": lambda: ResultsExplorer(
                self._results_model(),
                show_images=lambda: self.show("images"),
                select=self._select_in_model,
                images=self.inputs.images,
            ),
            "images": lambda: ImageBrowser(self._images_model(), show_query=lambda: self.show("queries")),
            "queries": lambda: QueryPanel(QueriesModel(self._folder(), selection=self.selection)),
        }
        return make[step]()

    def _run_study(self) -> None:
        """Show the run, and begin it unless it still needs something, which then stands there."""
        self._keep_apart()
        self.show("run")
        if self.run.can_start:
            self.run.start()

    def _keep_apart(self) -> None:
        """Name the next free folder for the run if the one that is named holds another study."""
        out = self.inputs.out
        if not out or is_remote(location_of(out)):
            return
        place = Path(out).expanduser()
        with suppress(StudyFolderError):
            if stored_spec(place) != self.spec.spec:
                begin = re.sub(r"-\d+$", "", place.name)
                free = (place.with_name(f"{begin}-{i}") for i in range(2, 10_000))
                self.inputs.out = str(next(one for one in free if not one.exists()))

    def _select_in_model(self, variant: str) -> str:
        """Select on the page of the model what a variant of the results removes; return what to say."""
        if "model" not in self.panels:
            self.panels["model"] = self._made("model")
        panel = self.panels["model"]
        row = next(row for row in self._results_model().tables.summary if row["id"] == variant)
        removed = {part["path"]: part["units"] for part in row["removed"] or ()}
        return panel.select(row["unit"], removed) if isinstance(panel, ModelStep) else ""

    def _chosen_parts(self) -> tuple[Sequence[str], Mapping[str, Sequence[int]]]:
        """Return what is selected on the page of the model: components, and heads by block."""
        panel = self.panels.get("model")
        return panel.chosen() if isinstance(panel, ModelStep) else ((), {})

    def _folder(self) -> Path:
        if not self.folder.value.strip():
            raise StudyFolderError("Give the folder of a study, or run one.")
        folder = location_of(self.folder.value.strip())
        return folder if is_remote(folder) else folder.expanduser()

    def _results_model(self) -> ResultsModel:
        if self._results is None:
            self._results = ResultsModel(self._folder(), selection=self.selection)
            self._tell_outdated()
            if not self.selection.variant and (points := self._results.points()):
                self.selection.choose(variant=points[0].variant)  # the largest loss: what the answer is about
        return self._results

    def _images_model(self) -> ImagesModel:
        if self._images is None:
            self._images = ImagesModel(
                self._folder(), images=self.inputs.images or None, selection=self.selection
            )
        return self._images

    def _drop_all(self) -> None:
        for step in list(self.panels):
            self._drop(step)

    def _drop(self, step: str) -> None:
        panel = self.panels.pop(step, None)
        if panel is not None:
            self._pages_of[step].children = ()
            panel.close()
            if isinstance(model := getattr(panel, "model", None), (ResultsModel, ImagesModel, QueriesModel)):
                model.close()

    def _on_tab(self, change: Mapping[str, Any]) -> None:
        if not self._is_refreshing and change["new"] is not None:
            self.show(list(STEPS)[change["new"]])

    def _on_open(self, _: Button) -> None:
        self.look_at(self.folder.value)

    def _on_detector(self, _: Mapping[str, Any] | None = None) -> None:
        detector = self.detector.detector
        self.spec.anatomy = detector.anatomy if detector is not None else None

    def _tell_outdated(self, _: Mapping[str, Any] | None = None) -> None:
        """Set `outdated` of the results if they are of another study than the one in the builder."""
        results, now = self._results, self.spec.spec
        if results is None:
            return
        try:
            before = stored_spec(self._folder())
        except StudyFolderError:
            before = None  # the folder holds tables alone
        changes = differences(_whole(before), _whole(now)) if before and now else []
        results.outdated = (
            f"These results are of another study than the one in the builder: {listed(changes)}. Run that one to see "
            "its own."
            if changes
            else ""
        )

    def _on_run(self, change: Mapping[str, Any]) -> None:
        if change["new"] in ("done", "cancelled") and self.run.folder:
            self.folder.value = self.run.folder
            self._remember(self.run.folder)
            for step in ("results", "images", "queries"):
                if self.step != step:
                    self._drop(step)
            self._results = self._images = None
            self.selection.choose(variant="", category="", image=None, query=None)
            if change["new"] == "done" and self.step == "run":
                self.show("results")


def _whole(spec: StudySpec) -> dict[str, Any]:
    """Return a spec as plain data, with its detector but without where it is executed."""
    return spec.model_dump(mode="json", exclude={"execution"})
