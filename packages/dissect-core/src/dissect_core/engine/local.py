"""The local engine: a study in this process."""

import itertools
import time
from typing import Any

from ..detectors import Detector
from ..progress import PassDone, Stopwatch, no_bar
from ..store import _file_names
from ..store._folder import StudyFolder
from ..store._log import is_said_finished
from ._batches import BatchDone, BatchWork, run_batches
from ._fingerprint import Described
from ._task import Caller, Task


def run_here(
    task: Task, detector: Detector, described: Described, folder: StudyFolder, truth: Any, caller: Caller
) -> None:
    """Run what is left of a study, in a folder that is held."""
    variants = described.variants
    finished = folder.detections.tidy(repair=task.options.repair)
    task.require_files(folder, described.digests, finished)
    left = [number for number, done in enumerate(finished) if not done]
    if not left and is_said_finished(folder.path):
        folder.record.finish()
        return
    references = task.references(detector, variants, truth, folder.record, caller.listener.bar)
    passes = task.passes(detector)
    passes.on_first = lambda seconds, share: caller.listener.say(
        estimate(seconds, share, len(left), len(variants))
    )
    passes.wants_effects = not folder.record.has(_file_names.EFFECTS)
    begun, seconds = time.perf_counter(), dict[str, float]()
    clock = Stopwatch(seconds)
    folder.log("started" if len(left) == len(folder.detections.batches) else "resumed", batches=len(left))
    total = len(folder.detections.batches) * len(variants)
    counter = itertools.count(total - len(left) * len(variants) + 1)
    work = BatchWork(detector, passes, variants, references, task.files, folder.log)
    with (caller.listener.bar if left else no_bar)(
        len(left) * len(variants), "pass", task.spec.name
    ) as shown:
        for step in run_batches(work, folder, left, task.options.ahead, clock):
            if isinstance(step, BatchDone):
                if caller.request.asked:
                    break
                continue
            number = min(next(counter), total)  # halves run again
            caller.tell(shown, 1, PassDone(number, total, step))
    is_finished = all(folder.detections.done())
    if is_finished:
        folder.record.finish()
    folder.log(
        "finished" if is_finished else "stopped",
        seconds=round(time.perf_counter() - begun, 3),
        stages={k: round(v, 3) for k, v in {**seconds, **passes.seconds}.items()},
        verified=passes.verified,
    )


def estimate(seconds: float, share: float, n_batches: int, n_variants: int, n_workers: int = 1) -> str:
    """Say for people how long a run will take.

    Examples
    --------
    >>> estimate(0.5, 0.8, 100, 20, n_workers=10)
    'about 5 s for 20 variants over 100 batches by 10 workers; prefix replay leaves out 80% of the operations'
    """
    total = seconds * n_batches / n_workers
    text = (
        f"{total:.0f} s"
        if total < 120
        else f"{total / 60:.0f} min"
        if total < 7200
        else f"{total / 3600:.1f} h"
    )
    replayed = f"; prefix replay leaves out {share:.0%} of the operations" if share else ""
    batches = "one batch" if n_batches == 1 else f"{n_batches:,} batches"
    workers = f" by {n_workers:,} workers" if n_workers > 1 else ""
    return f"about {text} for {n_variants:,} variants over {batches}{workers}{replayed}"
