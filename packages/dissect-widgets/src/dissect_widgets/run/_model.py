"""State of the run panel: a run on a worker thread, its progress, and how it ended. No widgets in here."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from traitlets import Float, Int, Unicode

from dissect_core import StudyError
from dissect_core.engine import PassDone, StopRequest
from dissect_core.errors import StudyLockedError
from dissect_core.spec import StudySpec
from dissect_core.store import Study

from ..base import OneOf, WorkerModel
from ..builder import SpecModel
from ..errors import RunStateError, StudyFolderError
from ._runner import Runner

STATES = ("idle", "running", "cancelling", "done", "cancelled", "failed")
SECONDS_BETWEEN_UPDATES = 0.1
SECONDS_BETWEEN_LOOKS = 0.5


class RunModel(WorkerModel):
    """A run of a study: works without a notebook; `RunPanel` shows it.

    Parameters
    ----------
    study : SpecModel or StudySpec
        What to run; of a `SpecModel`, its spec when the run starts.
    runner : callable
        Runs it, such as a `StudyRunner`.

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
        Trait: the last message of the run.
    error, details : str
        Traits: type and message of the error that made the run fail, and its traceback.
    folder : str
        Trait: the study's folder, once it is known.
    attached : str
        Trait: the process that runs the study, if it is another one; else empty.
    missing : str
        Trait: what the run still needs, set by the `Workbench`; the run can start only if it is empty.

    Notes
    -----
    Traits are set on the worker's thread, at most ten times a second. `close` asks a run to stop and waits for it.
    """

    state = OneOf(STATES, "idle")
    done = Int(0)
    total = Int(0)
    variant = Unicode("")
    elapsed = Float(0.0)
    remaining = Float(float("nan"))
    message = Unicode("")
    folder = Unicode("")
    attached = Unicode("")
    missing = Unicode("")

    def __init__(self, study: SpecModel | StudySpec, runner: Runner) -> None:
        super().__init__()
        self.study = study if isinstance(study, SpecModel) else SpecModel(study)
        self.runner = runner
        self.spec: StudySpec | None = None
        self._stop = StopRequest()
        self._end = threading.Event()
        self._told = 0.0

    @property
    def is_active(self) -> bool:
        """Return whether a run is active in this process."""
        return self.state in ("running", "cancelling") and not self.attached

    @property
    def obstacle(self) -> str:
        """Return what keeps the study from being run: its first problem, or `missing`; empty if nothing does."""
        if self.study.spec is None:
            return f"The study must be valid to be run: {self.study.problems[0]}."
        return str(self.missing)

    @property
    def can_start(self) -> bool:
        """Return whether the study can be run, and nothing is running."""
        return not self.obstacle and self.state not in ("running", "cancelling")

    def start(self) -> None:
        """Start the study, or resume it if its folder holds a part of it; return at once.

        Raises
        ------
        RunStateError
            If the study is not valid, something is missing, or a run is active.
        """
        with self.lock:
            if self.state in ("running", "cancelling"):
                raise RunStateError("A run is active already. Cancel it, or wait until it ends.")
            if self.obstacle or self.study.spec is None:
                raise RunStateError(self.obstacle)
            self._join()
            self.spec, self._stop = self.study.spec, StopRequest()
            with self.hold_trait_notifications():
                self.state, self.error, self.details, self.message, self.variant = "running", "", "", "", ""
                self.folder = ""  # until this run has told its own
                self.done, self.total, self.elapsed, self.remaining = 0, 0, 0.0, float("nan")
                self.attached = ""
            self._begin("dissect-run", self._work, self.spec, self._stop)

    def cancel(self) -> None:
        """Ask the run to stop after the current batch; what is finished is kept. Without a run, nothing happens.

        A second call keeps it from measuring what is finished. A run of another process, which is followed, is asked by
        its folder.

        Raises
        ------
        StudyFolderError
            If the other run has ended meanwhile, or its folder cannot be written.
        """
        with self.lock:
            if self.is_active:
                self.state = "cancelling"
                self._stop.ask()
            elif self.attached and self.state == "running":
                try:
                    asked = Study.open(self.folder).ask_to_stop()
                except StudyError as error:
                    raise StudyFolderError(str(error)) from error
                self.message = f"asked to stop: {asked}"

    def attach(self, folder: Path | str) -> None:
        """Follow a study that another process runs, by its folder; return at once.

        Raises
        ------
        RunStateError
            If a run is active in this process.
        StudyFolderError
            If the folder holds no study.
        """
        with self.lock:
            if self.is_active:
                raise RunStateError("A run is active already. Cancel it, or wait until it ends.")
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
                self._begin("dissect-follow", self._follow, study, self._end)

    def close(self) -> None:
        """Stop the run, and wait until it has ended; stop following another process."""
        with self.lock:
            self.cancel()
            self.cancel()  # twice, to leave out measuring
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
            # The estimate starts at the first pass: before it, the detector was opened and the study planned.
            since, counted = now - first[0][0], passed.done - first[0][1]
            left = since / counted * (passed.total - passed.done) if counted else float("nan")
            with self.lock, self.hold_trait_notifications():
                self.done, self.total, self.variant = passed
                self.elapsed, self.remaining = now - begun, left

        def say(text: str) -> None:
            with self.lock:
                self.message = text

        try:
            outcome = self.runner(spec, watch, stop, say)
        except StudyLockedError as error:  # nothing was begun, and nothing failed
            with self.lock, self.hold_trait_notifications():
                self.message, self.state = str(error).removesuffix("."), "idle"
        except Exception as error:
            self._fail(error)
        else:
            with self.lock, self.hold_trait_notifications():
                self.folder = str(outcome.folder)
                self.elapsed, self.remaining = time.perf_counter() - begun, 0.0
                self.state = "done" if outcome.is_finished else "cancelled"

    def _follow(self, study: Study, end: threading.Event) -> None:
        try:
            while not end.wait(SECONDS_BETWEEN_LOOKS) and self.state == "running":
                with self.lock, self.hold_trait_notifications():
                    self._look(study)
        except StudyError as error:  # the folder was moved or deleted meanwhile
            with self.lock, self.hold_trait_notifications():
                self.state, self.error = "failed", f"{type(error).__name__}: {error}"

    def _look(self, study: Study) -> None:
        """Read the run's progress and state from its folder."""
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
