"""The run panel: starts a study, shows its progress, stops it, and says how it ended."""

from __future__ import annotations

from ipywidgets import HTML, Button, Text

from dissect_core.spec import StudySpec
from dissect_core.text import visible

from ..base import ModelPanel, html_text, labelled, line, problem_html, status_html
from ..builder import SpecModel
from ..errors import DissectWidgetsError
from ._model import RunModel
from ._runner import Runner

_SAID = {
    "idle": "Nothing is running.",
    "running": "Running.",
    "cancelling": "Stopping after the current batch.",
    "done": "Done.",
    "cancelled": "Stopped before its end; what is finished is kept.",
    "failed": "Failed.",
}


class RunPanel(ModelPanel):
    """Panel that runs a study on a worker thread, or follows one that another process runs.

    Closing it stops the run, unless its model was given.

    Parameters
    ----------
    source : RunModel, SpecModel or StudySpec
        The state to show, or the study to run.
    runner : callable, optional
        Runs it, such as a `StudyRunner`; needed unless a `RunModel` is given.

    Attributes
    ----------
    model : RunModel
        The state.
    start, cancel : Button
        Start or resume the run; stop it after the current batch.
    folder, attach : Text, Button
        The folder of a run to follow, and the button that does.
    status, progress, problem : HTML
        The line that is announced; the progress bar with its numbers; the error, with its traceback folded away.
    """

    _title, _pages = "A run of a study", ("status", "progress", "problem")
    _shown = (
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
        "missing",
    )

    def __init__(self, source: RunModel | SpecModel | StudySpec, runner: Runner | None = None) -> None:
        is_own = not isinstance(source, RunModel)
        if not isinstance(source, RunModel):
            if runner is None:
                raise DissectWidgetsError(
                    "`runner` must be a callable that runs the study, such as a `StudyRunner`, got None."
                )
            source = RunModel(source, runner)
        super().__init__(source)
        self.start = self._looks.make_button("Start").add_class("dd-primary")
        self.cancel = self._looks.make_button("Cancel")
        self.folder = labelled(Text, "Folder of a run elsewhere", max_width="36rem", continuous_update=False)
        self.attach = self._looks.make_button("Follow it")
        self.status, self.progress, self.problem = HTML(), HTML(), HTML()
        self._on_click(self.start, self._on_start)
        self._on_click(self.cancel, self._on_cancel)
        self._on_click(self.attach, self._on_attach)
        if is_own:
            self._own(self.model)
        self._follow(self.model.study, self._refresh, "draft")
        self._assemble(
            line(self.start, self.cancel, self.progress),
            self.status,
            self.problem,
            line(self.folder, self.attach),
        )

    def _show(self) -> None:
        model = self.model
        self.start.disabled = not model.can_start
        self.start.description = (
            "Resume" if model.state == "cancelled" or (model.state == "failed" and model.done) else "Start"
        )
        self.cancel.disabled = not (model.is_active or (model.attached and model.state == "running"))
        self.attach.disabled = model.is_active
        self.status.value = status_html(self._status())
        self.progress.value = self._progress()
        self.problem.value = problem_html(model.error, model.details)

    def _status(self) -> str:
        model = self.model
        text = _SAID[model.state]
        if model.attached and model.state == "running":
            text = f"Running elsewhere: {model.attached}."
        if model.state == "idle" and model.obstacle:
            text = f"Not ready. {model.obstacle}"
        told = f" {visible(model.message[:1].upper() + model.message[1:])}." if model.message else ""
        folder = f" Folder: {visible(model.folder)}." if model.folder else ""
        stale = ""
        if model.spec is not None and model.state in ("done", "cancelled") and model.study.spec != model.spec:
            stale = " The study was changed since: this run is of the earlier one."
        return f"{text}{told}{folder}{stale}{self._said}"

    def _progress(self) -> str:
        model = self.model
        if model.state == "idle" or (model.state == "failed" and not model.total):
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
        self._attempt(self.model.start)

    def _on_cancel(self, _: Button) -> None:
        self._attempt(self.model.cancel)

    def _on_attach(self, _: Button) -> None:
        self._attempt(lambda: self.model.attach(self.folder.value))


def duration_text(seconds: float) -> str:
    """Return a duration in words.

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
