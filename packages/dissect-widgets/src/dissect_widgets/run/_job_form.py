"""The form of a run: images, truth, folder, and how large a bite to take at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ipywidgets import HTML, BoundedIntText, Layout, Text, VBox
from traitlets import Bool, HasTraits, Int, Tuple, Unicode, observe

from dissect_core import UntrustedError
from dissect_core.detectors.trust import agreed_execution
from dissect_core.engine import PassDone, StopRequest
from dissect_core.spec import StudySpec
from dissect_eval.study import REPLICATES

from ..base._controls import Looks, close_all
from ..base._text import html_text
from ..detector._model import DetectorModel
from ..detector._question import Question
from ..errors import JobError
from ._job import StudyJob
from ._model import Ended

_TEXTS = {
    "images": ("Folder of the images", "images"),
    "annotations": ("Their truth, a COCO instances file", "annotations.json"),
    "out": ("Keep the run in the folder", "a new one, or one that holds a part of this study"),
}
_NUMBERS = {
    "limit": ("Only the first images (0: all)", 0),
    "batch_size": ("Images a batch", 1),
    "n_replicates": ("Resamples for intervals (0: none)", 0),
}


class JobModel(HasTraits):
    """What a study runs over, to be filled in; a job for `RunModel`. `JobForm` shows it.

    Parameters
    ----------
    detector : DetectorModel
        Whose detector is run.
    images, annotations, out : str, optional
        Folder of the images, their truth, and the study's folder.

    Attributes
    ----------
    images, annotations, out : str
        Traits.
    limit, batch_size, n_replicates : int
        Traits: only the first images (0 for all), images a batch, and resamples for intervals.
    trust : bool
        Trait: whether the user lets the study join the cluster that it names; another question takes it back.
    question : str
        Trait: what the study asks for that only the user can allow, with `trust`; empty if nothing.
    problems : tuple of (str, str)
        Trait: name of a field, and what is wrong with it.

    Examples
    --------
    >>> job = JobModel(DetectorModel(), images="no/such/folder")
    >>> dict(job.problems)["images"]
    'There is no folder no/such/folder.'
    """

    images = Unicode()
    annotations = Unicode()
    out = Unicode()
    limit = Int(0)
    batch_size = Int(1)
    n_replicates = Int(REPLICATES)
    trust = Bool(False)
    question = Unicode()
    problems = Tuple()

    def __init__(self, detector: DetectorModel, **fields: Any) -> None:
        super().__init__(**{name: str(value) for name, value in fields.items()})
        self.detector = detector
        self.detector.observe(self._check, "detector")
        self._check()

    def __call__(
        self,
        spec: StudySpec,
        watch: Callable[[PassDone], object],
        stop: StopRequest,
        say: Callable[[str], object],
    ) -> Ended:
        """Run a study; see `RunModel`."""
        if self.problems:
            raise JobError(f"The run is not complete: {' '.join(text for _, text in self.problems)}")
        self._ask(spec)
        job = StudyJob(
            self.images,
            self.annotations,
            self.out,
            self.detector.detector,
            limit=self.limit or None,
            batch_size=self.batch_size,
            # Of its own number p-values may take more: as many as their correction needs.
            n_replicates=None if self.n_replicates == REPLICATES else self.n_replicates,
            trust=self.trust,
        )
        return job(spec, watch, stop, say)

    def _ask(self, spec: StudySpec) -> None:
        """Ask what the study needs; what was allowed to one cluster is not allowed to the next."""
        try:
            agreed_execution(spec.execution)
        except UntrustedError as error:
            if error.asked != self.question:
                self.trust, self.question = False, error.asked
        else:
            self.trust, self.question = False, ""

    def close(self) -> None:
        """Stop observing the detector."""
        self.detector.unobserve(self._check, "detector")

    @observe("images", "annotations", "out", "limit", "batch_size", "n_replicates")
    def _check(self, _: Mapping[str, Any] | None = None) -> None:
        if not hasattr(self, "detector"):
            return
        found: list[tuple[str, str]] = []
        if self.detector.detector is None:
            found.append(("detector", "No detector is open."))
        for name, is_there in (("images", Path.is_dir), ("annotations", Path.is_file)):
            given, noun = getattr(self, name), "folder" if name == "images" else "file"
            if not given:
                found.append((name, f"Give the {'folder of the images' if name == 'images' else 'truth'}."))
            elif not is_there(Path(given).expanduser()):
                found.append((name, f"There is no {noun} {given}."))
        if not self.out:
            found.append(("out", "Give a folder for the study."))
        elif Path(self.out).is_file():
            found.append(("out", f"{self.out} is a file."))
        found += [
            (name, f"Must be {least} or more, got {getattr(self, name)}.")
            for name, least in (("limit", 0), ("batch_size", 1), ("n_replicates", 0))
            if getattr(self, name) < least
        ]
        self.problems = tuple(found)


class JobForm(VBox):  # type: ignore[misc]  # ipywidgets has no types
    """Panel in which is said what a study runs over, with what is wrong beside each field.

    Parameters
    ----------
    model : JobModel

    Attributes
    ----------
    images, annotations, out : Text
    limit, batch_size, n_replicates : BoundedIntText
    question : Question
        Shown once a run would join a cluster that the study names.
    notes : dict of str to HTML
        What is wrong, by field; `detector` too.
    """

    _is_live = False

    def __init__(self, model: JobModel) -> None:
        self.model = model
        self._looks = Looks()
        self._is_refreshing = False
        self.notes = {name: HTML() for name in ("detector", *_TEXTS, *_NUMBERS)}
        wide = Layout(width="auto", max_width="40rem")
        for name, (text, hint) in _TEXTS.items():
            setattr(
                self,
                name,
                Text(description=text, placeholder=hint, continuous_update=False, layout=wide),
            )
        for name, (text, least) in _NUMBERS.items():
            number = BoundedIntText(
                description=text, min=least, max=10**9, value=max(least, getattr(model, name)), layout=wide
            )
            setattr(self, name, number)
        rows = [self.notes["detector"]]
        for name in (*_TEXTS, *_NUMBERS):
            getattr(self, name).style.description_width = "initial"
            getattr(self, name).observe(self._on_field, "value")
            rows += [getattr(self, name), self.notes[name]]
        self.question = Question(self._on_agreed)
        rows.append(self.question)
        super().__init__(rows, layout=Layout(max_width="100%"))
        self.model.observe(self._refresh)
        self._is_live = True
        self._refresh()

    def close(self) -> None:
        """Close the form and all of its widgets, and stop observing the model, which stays as it is."""
        if self._is_live:
            self._is_live = False
            self.model.unobserve(self._refresh)
            for name in (*_TEXTS, *_NUMBERS):
                getattr(self, name).unobserve_all()
            self.question.close()
            close_all(self)
            self._looks.close()
        super().close()

    def _refresh(self, _: Mapping[str, Any] | None = None) -> None:
        if not self._is_live:
            return
        self._is_refreshing = True
        try:
            for name in (*_TEXTS, *_NUMBERS):
                getattr(self, name).value = getattr(self.model, name)
            self.question.show(self.model.question, self.model.trust)
            wrong = dict(self.model.problems)
            for name, note in self.notes.items():
                text = f"<strong>Missing:</strong> {html_text(wrong[name])}" if name in wrong else ""
                note.value = f'<div style="overflow-wrap:anywhere">{text}</div>' if text else ""
        finally:
            self._is_refreshing = False

    def _on_agreed(self, agrees: bool) -> None:
        self.model.trust = agrees

    def _on_field(self, change: Mapping[str, Any]) -> None:
        if not self._is_refreshing:
            name = next(n for n in (*_TEXTS, *_NUMBERS) if getattr(self, n) is change["owner"])
            setattr(self.model, name, change["new"])
