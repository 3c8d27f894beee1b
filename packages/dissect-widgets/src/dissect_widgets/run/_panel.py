"""The run panel: begins a study, shows how far it is, stops it, and says how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ipywidgets import HTML, Button, HBox, Layout, Text
from traitlets import HasTraits

from dissect_core import DissectError
from dissect_core.spec import StudySpec
from dissect_core.text import visible

from ..base._controls import Looks, close_all, problem_html, status_html
from ..base._panel import Panel
from ..base._text import html_text
from ..builder._model import SpecModel
from ..errors import DissectWidgetsError
from ._model import Job, RunModel

_SHOWN = (
    "state",
    "done",
    "total",
    "variant",
    "elapsed",
    "remaining",
    "message",
    "error",
    "folder",
    "attached",
)

_SAID = {
    "idle": "Nothing is running.",
    "running": "Running.",
    "cancelling": "Stopping after the batch at hand.",
    "done": "Done.",
    "cancelled": "Stopped before its end; what is finished is kept.",
    "failed": "Failed.",
}


class RunPanel(Panel):
    """Panel that runs a study on a worker thread, or follows one that another process runs.

    Parameters
    ----------
    source : RunModel, SpecModel or StudySpec
        The state to show, or the study to run.
    job : callable, optional
        How to run it, such as a `StudyJob`; needed unless a `RunModel` is given.

    Attributes
    ----------
    model : RunModel
        The state.
    start, cancel : Button
        Begin, or go on; stop after the batch at hand.
    folder, attach : Text, Button
        The folder of a run to follow.
    status, progress, problem : HTML
        What is announced; the progress bar with its numbers; what went wrong, with the traceback folded away.
    """

    def __init__(self, source: RunModel | SpecModel | StudySpec, job: Job | None = None) -> None:
        self._owns = not isinstance(source, RunModel)
        if not isinstance(source, RunModel):
            if job is None:
                raise DissectWidgetsError(
                    "`job` must say how to run the study, such as a `StudyJob`, got None."
                )
            source = RunModel(source, job)
        self.model = source
        self._looks = Looks()
        self._said = ""
        self.start = self._looks.make_button("Start")
        self.cancel = self._looks.make_button("Cancel")
        self.folder = Text(
            description="Folder of a run elsewhere",
            continuous_update=False,
            layout=Layout(width="auto", max_width="36rem"),
        )
        self.folder.style.description_width = "initial"
        self.attach = self._looks.make_button("Follow it")
        self.status, self.progress, self.problem = HTML(), HTML(), HTML()
        wrap = Layout(flex_flow="row wrap", align_items="center")
        super().__init__(
            (
                HBox((self.start, self.cancel, self.progress), layout=wrap),
                self.status,
                self.problem,
                HBox((self.folder, self.attach), layout=wrap),
            ),
            layout=Layout(max_width="100%"),
        )
        self.start.on_click(self._on_start)
        self.cancel.on_click(self._on_cancel)
        self.attach.on_click(self._on_attach)
        self.model.observe(self._refresh, _SHOWN)
        self.model.study.observe(self._refresh, "draft")
        if isinstance(self.model.job, HasTraits):  # one that is filled in
            self.model.job.observe(self._refresh, "problems")
        self._is_live = True
        self._refresh()

    def snapshot(self) -> str:
        """Show how the run stands as plain HTML, which survives without a kernel and without widgets."""
        shown = "".join(part.value for part in (self.status, self.progress, self.problem))
        return f'<section aria-label="A run of a study">{shown}</section>'

    def close(self) -> None:
        """Close the panel and its widgets, stop observing, and stop the run, unless its model was given."""
        if self._is_live:
            self._is_live = False
            self.model.unobserve(self._refresh, _SHOWN)
            self.model.study.unobserve(self._refresh, "draft")
            if isinstance(self.model.job, HasTraits):
                self.model.job.unobserve(self._refresh, "problems")
            if self._owns:
                self.model.close()
            close_all(self)
            self._looks.close()
        super().close()

    def _refresh(self, _: Mapping[str, Any] | None = None) -> None:
        model = self.model
        with model.lock:
            if not self._is_live:
                return
            state = model.state
            self.start.disabled = not model.can_start
            self.start.description = "Resume" if state in ("cancelled", "failed") else "Start"
            self.cancel.disabled = not model.is_active
            self.attach.disabled = model.is_active
            self._set(self.status, status_html(self._status()))
            self._set(self.progress, self._progress())
            self._set(self.problem, problem_html(model.error, model.details))

    def _set(self, part: HTML, value: str) -> None:
        """Change what is shown only where it differs: what is announced is not to be repeated."""
        if part.value != value:
            part.value = value

    def _status(self) -> str:
        model = self.model
        text = _SAID[model.state]
        if model.attached and model.state == "running":
            text = f"Running elsewhere: {model.attached}. Stop it where it was begun."
        if model.state == "idle" and model.obstacle:
            text = f"Not ready. {model.obstacle}"
        told = (
            f" {visible(model.message[:1].upper() + model.message[1:])}."
            if model.message and model.state != "idle"
            else ""
        )
        folder = f" Folder: {visible(model.folder)}." if model.folder else ""
        stale = ""
        if model.spec is not None and model.state in ("done", "cancelled") and model.study.spec != model.spec:
            stale = " The study was changed since: this is of what it was before."
        return f"{text}{told}{folder}{stale}{self._said}"

    def _progress(self) -> str:
        model = self.model
        if model.state == "idle":
            return ""
        share = f'value="{model.done}" max="{model.total}"' if model.total else ""
        if not model.total and not model.is_active:
            share = 'value="0" max="1"'
        parts = [f"{model.done:,} of {model.total:,} passes" if model.total else "preparing"]
        if model.variant and model.is_active:
            parts.append(visible(model.variant))
        if model.elapsed:
            parts.append(f"{duration_text(model.elapsed)} elapsed")
        if model.is_active and model.remaining == model.remaining:  # NaN differs from itself
            parts.append(f"about {duration_text(model.remaining)} remaining")
        return (
            f'<div style="overflow-wrap:anywhere"><progress aria-label="Progress of the run" {share}></progress> '
            f"{html_text(', '.join(parts))}</div>"
        )

    def _on_start(self, _: Button) -> None:
        self._do(self.model.start)

    def _on_cancel(self, _: Button) -> None:
        self._do(self.model.cancel)

    def _on_attach(self, _: Button) -> None:
        self._do(lambda: self.model.attach(self.folder.value))

    def _do(self, action: Any) -> None:
        self._said = ""
        try:
            action()
        except DissectError as error:
            self._said = f" {error}"
        self._refresh()


def duration_text(seconds: float) -> str:
    """A duration for people.

    Examples
    --------
    >>> duration_text(4.26), duration_text(125), duration_text(7300)
    ('4 s', '2 min 5 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
