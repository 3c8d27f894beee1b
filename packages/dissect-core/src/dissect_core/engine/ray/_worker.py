"""A worker on a node of a cluster: one detector, loaded once, and one shard of images at a time."""

import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ...detectors import Detector, DetectorRequest, open_detector
from ...errors import StudyChangedError, StudyError
from ...plan import Variant
from ...progress import Stopwatch, no_bar
from ...spec import DetectorSpec
from ...store import _file_names
from ...store._facts import differences, listed
from ...store._folder import StudyFolder
from .._batches import BatchDone, BatchWork, run_batches
from .._computing import compute_with
from .._fingerprint import Described, run_facts
from .._task import Task
from ._connect import ray_module

SECONDS_BETWEEN_STEPS = 0.5
STEPS_A_SECOND = 100
"""Most reports of all workers together in a second, beside the interval of each: every report costs the driver time."""


class Step(NamedTuple):
    """A worker's report while it runs a shard.

    Attributes
    ----------
    passes : int
        Passes since the step before.
    variant : str
        Id of the last pass's variant.
    batch : int or None
        The batch that is finished with this step.
    events : tuple of (str, dict)
        Entries for the log.
    """

    passes: int
    variant: str
    batch: int | None = None
    events: tuple[tuple[str, dict[str, Any]], ...] = ()


class WorkerPlace(NamedTuple):
    """Where a worker is."""

    host: str
    pid: int
    node: str


@dataclass(frozen=True)
class Job:
    """The work that all workers of a study share.

    Attributes
    ----------
    task : Task
    variants : sequence of Variant
    facts : mapping
        Facts of the study, which those of the worker's own detector and versions must equal.
    fingerprint : str
        The study's fingerprint, by which a worker checks that it sees the same folder as the others.
    threads : int
        Threads that torch computes with on a CPU: the last bits depend on them.
    n_workers : int
        How many workers there should be.
    """

    task: Task
    variants: Sequence[Variant]
    facts: Mapping[str, Any]
    fingerprint: str
    threads: int
    n_workers: int = 1

    @property
    def seconds_between_steps(self) -> float:
        """Seconds between two reports of a worker."""
        return max(SECONDS_BETWEEN_STEPS, self.n_workers / STEPS_A_SECOND)


class Worker:
    """A worker; `_engine` makes a Ray actor of it.

    Its methods run one at a time, except for `stop`, which may be called while another one runs.

    Parameters
    ----------
    detector : list of one Detector, DetectorSpec, DetectorRequest, or Ray's reference to one
        A copy of the caller's detector, or what to open. It is in a list, so that Ray passes a reference, which is
        fetched when it is needed: a copy that cannot be read is then an error of the call.
    threads : int
        Threads for torch while the study is planned.
    """

    def __init__(self, detector: Sequence[Any], threads: int) -> None:
        self._given, self._threads = detector, threads
        self._opened: Detector | None = None
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def open(self) -> WorkerPlace:
        """Open the detector before it is needed, and return where the worker is."""
        with self._lock:
            _ = self._detector
        return _here()

    def describe(self, task: Task, truth: Any) -> Described:
        """Plan a study, and return the plan with the facts that its folder is made from."""
        with self._lock:
            detector = self._detector
            variants = task.planned(detector, truth, no_bar)
            return Described.of(task, detector, variants, no_bar)

    def gather(self, task: Task, variants: Sequence[Variant], truth: Any, threads: int) -> None:
        """Gather reference activations and fit constants, for all workers to find in the folder."""
        with self._lock:
            compute_with(threads)
            folder = StudyFolder(task.out)
            task.references(self._detector, variants, truth, folder.record, no_bar).gather()

    def join(self, job: Job) -> WorkerPlace:
        """Prepare to run a study's shards, and return where the worker is.

        Raises
        ------
        StudyError
            If the folder is not the one that the others see.
        StudyChangedError
            If the detector or the versions on this node differ.
        """
        with self._lock:
            detector, task = self._detector, job.task
            compute_with(job.threads)
            self._folder = _same_folder(job)
            if told := differences(dict(job.facts), run_facts(task, detector)):
                raise StudyChangedError(
                    f"The node {socket.gethostname()} differs from the one that planned the study: {listed(told)}. "
                    "Give all nodes the same files and packages."
                )
            self._passes = task.passes(detector)
            references = task.references(detector, job.variants, None, self._folder.record, no_bar)
            self._events: list[tuple[str, dict[str, Any]]] = []
            self._work = BatchWork(detector, self._passes, job.variants, references, task.files, self._note)
            self._ahead, self._interval = task.options.ahead, job.seconds_between_steps
            self._stop.clear()
            return _here()

    def shard(self, batches: Sequence[int], wants_effects: bool) -> Iterator[Step]:
        """Run batches of a shard, and yield how far they are."""
        with self._lock:
            yield from self._shard(batches, wants_effects)

    def _shard(self, batches: Sequence[int], wants_effects: bool) -> Iterator[Step]:
        self._passes.on_first = lambda seconds, share: self._note("estimate", seconds=seconds, share=share)
        self._passes.effects.clear()  # those of an attempt that failed
        self._passes.wants_effects = wants_effects and not self._folder.record.has(_file_names.EFFECTS)
        passes, variant, told = 0, "", time.monotonic()
        spent = dict[str, float]()
        clock, before = Stopwatch(spent), dict(self._passes.seconds)
        for step in run_batches(self._work, self._folder, batches, self._ahead, clock):
            if not isinstance(step, BatchDone):
                passes, variant = passes + 1, step
                if time.monotonic() - told < self._interval and not self._events:
                    continue
            batch = step.number if isinstance(step, BatchDone) else None
            yield Step(passes, variant, batch, self._noted())
            passes, told = 0, time.monotonic()
            if batch is not None and self._stop.is_set():
                break
        now = self._passes.seconds
        self._note("stages", **spent, **{name: now[name] - before.get(name, 0.0) for name in now})
        yield Step(0, "", None, self._noted())

    def stop(self) -> None:
        """End the shard that runs now after its current batch."""
        self._stop.set()

    @property
    def _detector(self) -> Detector:
        if self._opened is None:
            (given,) = self._given
            if type(given).__name__ == "ObjectRef":
                given = ray_module().get(given)
            is_named = isinstance(given, (DetectorSpec, DetectorRequest))
            self._opened = open_detector(given) if is_named else given
            compute_with(self._threads)
        return self._opened

    def _note(self, event: str, **fields: Any) -> None:
        self._events.append((event, fields))

    def _noted(self) -> tuple[tuple[str, dict[str, Any]], ...]:
        noted, self._events[:] = tuple(self._events), []
        return noted


def _same_folder(job: Job) -> StudyFolder:
    remedy = "Keep the study in a folder that all nodes share, or in an object store (s3://bucket/study)."
    try:
        folder = StudyFolder(job.task.out)
    except StudyError as error:
        raise StudyError(
            f"The node {socket.gethostname()} does not see the study {job.task.out}. {remedy}"
        ) from error
    if folder.fingerprint != job.fingerprint:
        raise StudyError(f"The node {socket.gethostname()} sees another study at {job.task.out}. {remedy}")
    return folder


def _here() -> WorkerPlace:
    try:
        import ray

        node = str(ray.get_runtime_context().get_node_id())
    except (ImportError, RuntimeError):  # in a test, without Ray
        node = ""
    return WorkerPlace(socket.gethostname(), os.getpid(), node)
