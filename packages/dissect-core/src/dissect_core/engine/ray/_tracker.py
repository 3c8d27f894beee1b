"""Progress of a study that many workers run: one bar, one log, one set of numbers."""

from collections.abc import Callable
from typing import Any

from ...progress import Bar, PassDone
from ...store._folder import StudyFolder
from .._task import Caller
from ..local import estimate
from ._queue import Shard
from ._worker import Step


class Tracker:
    """Adds up what workers report.

    Parameters
    ----------
    folder : StudyFolder
    left : int
        Batches to run.
    shown : Bar
        One step is one pass.
    caller : Caller
    n_workers : callable
        Returns how many workers are at work.
    n_expected : int
        How many workers there will be, for the estimate of time.

    Attributes
    ----------
    failed : list of Shard
        Shards that were given up.
    stages : dict of str to float
        Seconds of all workers together, by stage.
    """

    def __init__(
        self,
        folder: StudyFolder,
        left: int,
        shown: Bar,
        caller: Caller,
        n_workers: Callable[[], int],
        n_expected: int = 1,
    ) -> None:
        self._folder, self._left, self._shown = folder, left, shown
        self._caller, self._n_workers = caller, n_workers
        self._each = folder.detections.n_variants
        self._total = len(folder.detections.batches) * self._each
        self._done = self._total - left * self._each
        self._open: dict[int, int] = {}
        self._is_estimated, self._n_expected = False, n_expected
        self.failed: list[Shard] = []
        self.stages: dict[str, float] = {}

    def step(self, shard: Shard, step: Step) -> None:
        """Note how far a worker is with a shard, and show it."""
        at_hand = self._open.get(shard.number, 0)
        passes = step.passes
        if step.batch is not None:
            passes = self._each - at_hand  # also where images could not be read, or a batch was run in halves
            shard.batches.remove(step.batch)
            self._open[shard.number] = 0
        else:
            passes = min(passes, self._each - at_hand)
            self._open[shard.number] = at_hand + passes
        for event, fields in step.events:
            self._note(event, fields)
        self._advance(passes, step.variant)

    def end(self, shard: Shard, is_finished: bool) -> None:
        """Note that a shard has left its worker; if it failed, batches that the folder does not hold are run again."""
        at_hand = self._open.pop(shard.number, 0)
        if is_finished:
            return
        _, fault = shard.faults[-1]
        self._folder.log("attempt failed", shard=shard.number, attempt=len(shard.faults), error=fault)
        left = self._folder.detections.left_of(shard.number)
        # A worker may be lost after it has written a batch, but before it has reported that, or joined the parts.
        self._advance(self._each * (len(shard.batches) - len(left)) - at_hand, "")
        shard.batches[:] = left
        if not left:
            self._folder.detections.join(shard.number)

    def give_up(self, shard: Shard) -> None:
        """Note that a shard has failed for the last time."""
        self.failed.append(shard)
        self._folder.log(
            "shard failed",
            shard=shard.number,
            images=self._folder.detections.span(shard.batches),
            error=shard.faults[-1][1],
        )
        self._caller.listener.say(f"shard {shard.number} is given up: {shard.faults[-1][1]}")

    def _advance(self, passes: int, variant: str) -> None:
        self._done += passes
        now = PassDone(self._done, self._total, variant)
        self._caller.tell(
            self._shown, passes, now, engine="ray", workers=self._n_workers(), failed=len(self.failed)
        )

    def _note(self, event: str, fields: dict[str, Any]) -> None:
        if event == "stages":
            for stage, seconds in fields.items():
                self.stages[stage] = self.stages.get(stage, 0.0) + seconds
        elif event != "estimate":
            self._folder.log(event, **fields)
        elif not self._is_estimated:
            self._is_estimated = True
            text = estimate(fields["seconds"], fields["share"], self._left, self._each, self._n_expected)
            self._caller.listener.say(text)
