"""The Ray engine: many workers run a study, one of them plans it, and this process leads them."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...detectors import Detector, DetectorRequest
from ...errors import ClusterError, ShardsFailedError
from ...spec import DetectorSpec, RayExecution
from ...storage.locations import is_remote, reached
from ...store import _file_names
from ...store._folder import StudyFolder
from ...store._log import is_said_finished
from .._fingerprint import Described, Known, open_folder
from .._stop import stop_on_interrupt
from .._task import Caller, Task
from ._connect import capacity, connected
from ._crew import Crew
from ._queue import ATTEMPTS, Shard
from ._tracker import Tracker
from ._worker import Job, Worker


def run_on_cluster(
    task: Task,
    detector: Detector | DetectorSpec | DetectorRequest,
    execution: RayExecution,
    known: Known,
    truth: Any,
    caller: Caller,
) -> None:
    """Run a study on a cluster; `dissect_core.engine.run` calls this, and says more.

    Raises
    ------
    ClusterError
        If there is no such cluster, or no worker that could do the work.
    ShardsFailedError
        If shards were given up; all others are finished then.
    """
    # Workers do not run in this process's folder: relative paths would lead elsewhere.
    paths = [path.absolute() for path in task.paths]
    task = replace(task, paths=paths, out=task.out if is_remote(task.out) else task.out.absolute())
    with ExitStack() as stack:
        begun = _begun(task.out)
        if begun is not None:  # before workers are asked for: another run may hold the folder
            stack.enter_context(begun.locked(caller.holder, caller.listener.say))
            known.require_same(begun, task)
        ray = stack.enter_context(connected(execution, caller.listener.say))
        n_shards = math.ceil(len(paths) / task.options.shard_images)
        crew = Crew(
            ray,
            _hiring(ray, detector, execution),
            lambda: min(execution.workers or capacity(ray, execution), n_shards),
            caller.listener.say,
        )
        stack.callback(crew.dismiss_all)
        crew.fill()
        shared, true = ray.put(task), ray.put(truth)
        described = crew.lead(lambda worker: worker.describe.remote(shared, true))
        for note in described.variants.notes:
            caller.listener.say(f"note: {note}")
        described.say_what_is_missing(caller.listener.say)
        folder = open_folder(task, known, described, _threads(execution))
        if begun is None:
            stack.enter_context(folder.locked(caller.holder, caller.listener.say))
        else:
            folder = begun  # the locked one, whose log is written out at the end
        with stop_on_interrupt(caller.request, caller.listener.say):
            done, threads = (
                folder.detections.tidy(repair=task.options.repair),
                folder.threads or _threads(execution),
            )
            task.require_files(folder, described.digests, done)
            if not all(done):
                plan = ray.put(described.variants)
                crew.lead(lambda worker: worker.gather.remote(shared, plan, true, threads))
            failed = _run(crew, ray, task, described, folder, done, threads, caller)
    if failed:
        raise ShardsFailedError(_told(failed, folder))


def _begun(place: Path) -> StudyFolder | None:
    """Return the study's folder if it has been begun, else None."""
    with reached(place):
        return StudyFolder(place) if (place / _file_names.ENVIRONMENT).is_file() else None


def _run(
    crew: Crew,
    ray: Any,
    task: Task,
    described: Described,
    folder: StudyFolder,
    done: list[bool],
    threads: int,
    caller: Caller,
) -> list[Shard]:
    left = len(done) - sum(done)
    if not left and is_said_finished(folder.path):
        folder.record.finish()
        return []
    begun = time.perf_counter()
    folder.log("started" if left == len(done) else "resumed", batches=left, engine="ray")
    failed: list[Shard] = []
    stages: dict[str, float] = {}
    if left:
        job = Job(task, described.variants, described.facts, folder.fingerprint, threads, crew.n_wanted)
        if not folder.record.has(_file_names.EFFECTS):
            crew.effects_of = done.index(False) // folder.detections.shard_batches
        with caller.listener.bar(left * folder.detections.n_variants, "pass", task.spec.name) as shown:
            n_expected = max(1, min(crew.n_wanted, sum(1 for _ in _shards(folder, done))))
            tracker = Tracker(folder, left, shown, caller, lambda: crew.n_ready, n_expected)
            crew.on_step, crew.on_end, crew.on_failed = tracker.step, tracker.end, tracker.give_up
            crew.run(ray.put(job), _shards(folder, done), lambda: caller.request.asked)
            failed, stages = tracker.failed, {k: round(v, 3) for k, v in tracker.stages.items()}
    is_finished = all(folder.detections.done(look=not is_remote(folder.path)))
    if is_finished:
        folder.record.finish()
    folder.log(
        "finished" if is_finished else "stopped",
        seconds=round(time.perf_counter() - begun, 3),
        failed=len(failed),
        stages=stages,
    )
    return failed


def _shards(folder: StudyFolder, done: Sequence[bool]) -> Iterator[Shard]:
    """Yield the shards that are not finished, with the batches that are left; each is made when its turn comes."""
    for number, batches in enumerate(folder.detections.shards):
        left = [batch for batch in batches if not done[batch]]
        if left:
            yield Shard(number, left)


def _hiring(
    ray: Any, detector: Detector | DetectorSpec | DetectorRequest, execution: RayExecution
) -> Callable[[], Any]:
    """Return a function that starts a worker; the detector is handed to Ray once, for all of them."""
    try:
        given = ray.put(detector)
    except Exception as error:  # a detector can refuse to be copied in any way
        reason = " ".join(str(error.__cause__ or error).split())[:300]
        raise ClusterError(
            f"The detector cannot be copied to workers: {reason}. Pass a `DetectorSpec` instead, so that each worker "
            "opens its own."
        ) from error
    actor = ray.remote(Worker).options(
        num_cpus=execution.cpus_per_worker,
        num_gpus=execution.gpus_per_worker,
        max_restarts=0,
        max_concurrency=2,
        scheduling_strategy="SPREAD",
    )
    return lambda: actor.remote([given], _threads(execution))


def _threads(execution: RayExecution) -> int:
    return max(1, round(execution.cpus_per_worker))


def _told(failed: Sequence[Shard], folder: StudyFolder) -> str:
    """Return a message that says which shards were given up."""
    lines = []
    for shard in failed[:5]:
        first, last = folder.detections.span(shard.batches)
        lines.append(f"shard {shard.number} (images {first} to {last}): {shard.faults[-1][1].rstrip('.')}")
    more = f"; and {len(failed) - 5} more" if len(failed) > 5 else ""
    which = "One shard" if len(failed) == 1 else f"{len(failed)} shards"
    return (
        f"{which} of {len(folder.detections.shards)} failed {ATTEMPTS} times; all others are finished. "
        f"{'; '.join(lines)}{more}. Remove the cause, and run the study again: only these are run."
    )
