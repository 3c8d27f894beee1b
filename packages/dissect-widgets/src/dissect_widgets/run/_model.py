"""State of the run panel: a job on a worker thread, how far it is, and how it ended. No widgets in here."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

from traitlets import Float, HasTraits, Int, TraitError, Unicode, validate

from dissect_core import StudyError
from dissect_core.engine import PassDone, StopRequest
from dissect_core.spec import StudySpec
from dissect_core.store import Study

from ..builder._model import SpecModel
from ..errors import RunStateError, StudyFolderError

STATES = ("idle", "running", "cancelling", "done", "cancelled", "failed")
SECONDS_BETWEEN_UPDATES = 0.1
SECONDS_BETWEEN_LOOKS = 0.5


class Ended(NamedTuple):
    """How a job ended without an error.

    Attributes
    ----------
    folder : Path
        The study's.
    is_finished : bool
        Whether all was done; False after it was asked to stop.
    """

    folder: Path
    is_finished: bool


class Job(Protocol):
    """What a run does: `StudyJob`, or a callable of your own."""

    def __call__(
        self,
        spec: StudySpec,
        watch: Callable[[PassDone], object],
        stop: StopRequest,
        say: Callable[[str], object],
        /,
    ) -> Ended:
        """Run a study, tell `watch` of each pass and `say` what people read; end early once `stop` is asked."""
        ...


class RunModel(HasTraits):
    """A run of a study: works without a notebook; `RunPanel` shows it.

    Parameters
    ----------
    study : SpecModel or StudySpec
        What to run; of a `SpecModel`, the spec at the moment of the start.
    job : callable
        How to run it, such as a `StudyJob`.

    Attributes
    ----------
    state : {"idle", "running", "cancelling", "done", "cancelled", "failed"}
        Trait.
    done, total : int
        Traits: passes that are finished, and passes in all; 0 while they are not known.
    variant : str
        Trait: id of the variant that was run last.
    elapsed, remaining : float
        Traits: seconds since the start, and the estimate of what is left; NaN while it is not known.
    message : str
        Trait: what was told last.
    error, details : str
        Traits: type and message of what made a run fail, and its traceback.
    folder : str
        Trait: the study's folder, once it is known.
    attached : str
        Trait: who runs it, where that is another process.

    Notes
    -----
    Traits are set on the worker's thread, at most ten times a second. `close` asks a run to stop and waits for it.
    """

    state = Unicode("idle")
    done = Int(0)
    total = Int(0)
    variant = Unicode("")
    elapsed = Float(0.0)
    remaining = Float(float("nan"))
    message = Unicode("")
    error = Unicode("")
    details = Unicode("")
    folder = Unicode("")
    attached = Unicode("")

    def __init__(self, study: SpecModel | StudySpec, job: Job) -> None:
        super().__init__()
        self.lock = threading.RLock()
        self.study = study if isinstance(study, SpecModel) else SpecModel(study)
        self.job = job
        self.spec: StudySpec | None = None
        self._stop = StopRequest()
        self._end = threading.Event()
        self._worker: threading.Thread | None = None
        self._told = 0.0

    @validate("state")
    def _known_state(self, proposal: dict[str, str]) -> str:
        if proposal["value"] not in STATES:
            raise TraitError(f"`state` must be one of {', '.join(STATES)}, got {proposal['value']!r}.")
        return proposal["value"]

    @property
    def is_active(self) -> bool:
        """Whether a run is at work here."""
        return self.state in ("running", "cancelling") and not self.attached

    @property
    def obstacle(self) -> str:
        """What keeps the study from being run: the first of its problems, or of the job's; empty if nothing does."""
        if self.study.spec is None:
            return f"The study must be valid to be run: {self.study.problems[0]}."
        for _, text in getattr(self.job, "problems", ()):
            return str(text)
        return ""

    @property
    def can_start(self) -> bool:
        """Whether nothing keeps the study from being run, and nothing is running."""
        return not self.obstacle and self.state not in ("running", "cancelling")

    def start(self) -> None:
        """Begin the study, or go on with it where its folder holds a part of it; returns at once.

        Raises
        ------
        RunStateError
            If the study is not valid yet, or a run is at work.
        """
        with self.lock:
            if self.state in ("running", "cancelling"):
                raise RunStateError("A run is at work already. Cancel it, or wait until it ends.")
            if self.obstacle or self.study.spec is None:
                raise RunStateError(self.obstacle)
            self._join()
            self.spec, self._stop = self.study.spec, StopRequest()
            with self.hold_trait_notifications():
                self.state, self.error, self.details, self.message, self.variant = "running", "", "", "", ""
                self.done, self.total, self.elapsed, self.remaining = 0, 0, 0.0, float("nan")
                self.attached = ""
            self._worker = threading.Thread(
                target=self._work, args=(self.spec, self._stop), name="dissect-run", daemon=True
            )
            self._worker.start()

    def cancel(self) -> None:
        """Ask the run to stop after the batch at hand; what is finished is kept. Without a run, nothing happens.

        Asked again, it does not measure what is finished either.
        """
        with self.lock:
            if self.is_active:
                self.state = "cancelling"
                self._stop.ask()

    def attach(self, folder: Path | str) -> None:
        """Follow a study that another process runs, by its folder; returns at once.

        Raises
        ------
        RunStateError
            If a run is at work here.
        StudyFolderError
            If the folder holds no study.
        """
        with self.lock:
            if self.is_active:
                raise RunStateError("A run is at work already. Cancel it, or wait until it ends.")
            self._join()
            try:
                study = Study.open(folder)
                holder = study.held_by
            except StudyError as error:
                raise StudyFolderError(str(error)) from error
            self.spec, self._end = study.spec, threading.Event()
            with self.hold_trait_notifications():
                self.folder, self.error, self.details, self.message = str(folder), "", "", ""
                self.attached = holder or "nobody"
                self._look(study)
            if self.state == "running":
                self._worker = threading.Thread(
                    target=self._follow, args=(study, self._end), name="dissect-follow", daemon=True
                )
                self._worker.start()

    def wait(self, timeout: float | None = None) -> str:
        """Block until the run has ended, for notebooks that show nothing from other threads; gives the state."""
        worker = self._worker
        if worker is not None:
            worker.join(timeout)
        return self.state

    def close(self) -> None:
        """Ask the run to stop, wait until it has, and follow no other one any more."""
        with self.lock:
            self.cancel()
            self.cancel()
        self._join()

    def _join(self) -> None:
        worker, self._worker = self._worker, None
        self._end.set()
        if worker is not None and worker is not threading.current_thread():
            worker.join()

    def _work(self, spec: StudySpec, stop: StopRequest) -> None:
        begun = time.perf_counter()
        first: list[tuple[float, int]] = []

        def watch(passed: PassDone) -> None:
            now = time.perf_counter()
            first.append((now, passed.done)) if not first else None
            if passed.done < passed.total and now - self._told < SECONDS_BETWEEN_UPDATES:
                return
            self._told = now
            # From the first pass on: before it, the detector was opened and the study planned.
            since, counted = now - first[0][0], passed.done - first[0][1]
            left = since / counted * (passed.total - passed.done) if counted else float("nan")
            with self.lock, self.hold_trait_notifications():
                self.done, self.total, self.variant = passed
                self.elapsed, self.remaining = now - begun, left

        def say(text: str) -> None:
            with self.lock:
                self.message = text

        try:
            ended = self.job(spec, watch, stop, say)
        except Exception as error:
            with self.lock, self.hold_trait_notifications():
                self.error = f"{type(error).__name__}: {error}"
                self.details = traceback.format_exc()
                self.state = "failed"
        else:
            with self.lock, self.hold_trait_notifications():
                self.folder = str(ended.folder)
                self.elapsed, self.remaining = time.perf_counter() - begun, 0.0
                self.state = "done" if ended.is_finished else "cancelled"

    def _follow(self, study: Study, end: threading.Event) -> None:
        try:
            while not end.wait(SECONDS_BETWEEN_LOOKS) and self.state == "running":
                with self.lock, self.hold_trait_notifications():
                    self._look(study)
        except StudyError as error:  # the folder was moved or deleted meanwhile
            with self.lock, self.hold_trait_notifications():
                self.state, self.error = "failed", f"{type(error).__name__}: {error}"

    def _look(self, study: Study) -> None:
        """Read from the folder how far the run is."""
        running = study.running
        done, total = study.progress()
        n_variants = len(study.variants)
        self.done, self.total = done * n_variants, total * n_variants
        news = (running or {}).get("news")
        if isinstance(news, dict) and isinstance(news.get("passes"), int):
            self.done = max(self.done, min(news["passes"], self.total))
            if "workers" in news:
                self.message = f"{news['workers']} workers of a cluster"
        self.state = "running" if running is not None else "done" if done == total else "cancelled"
