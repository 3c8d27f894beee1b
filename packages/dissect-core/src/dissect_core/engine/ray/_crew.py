"""Workers that come and go, each with one shard at a time.

Ray places them, restarts nothing by itself, and reports a worker that is lost: its shard is given to another one, and a
new worker takes its room. A worker gets its next shard when it has finished the one before, so that nothing piles up,
however many shards there are.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

from ...errors import ClusterError
from ._connect import cause_of, ready, result
from ._queue import ATTEMPTS, Member, Queue, Shard
from ._worker import Step, WorkerPlace

SECONDS_BETWEEN_COUNTS = 10.0
SECONDS_WITHOUT_ANYBODY = 20.0


class Crew:
    """The workers of a study: starts them, hands out shards, and replaces workers that are lost.

    Parameters
    ----------
    ray : module
    hire : callable
        Starts a worker and returns its actor, which may still have to wait for room.
    size : callable
        Returns how many workers there should be.
    say : callable
        Called with messages for the user.

    Attributes
    ----------
    on_step : callable
        Called with a shard and each `Step` of it.
    on_end : callable
        Called with a shard that has left a worker, and whether it is finished.
    on_failed : callable
        Called with a shard that is given up.
    effects_of : int or None
        Number of the shard whose worker also measures how variants change the outputs of the modules that they ablate.
    """

    def __init__(
        self, ray: Any, hire: Callable[[], Any], size: Callable[[], int], say: Callable[[str], object]
    ) -> None:
        self._ray, self._hire, self._size, self._say = ray, hire, size, say
        self._members: list[Member] = []
        self._hired, self._retired, self._deaths = 0, 0, 0
        self._job: Any = None
        self._counted = self._seen = float("-inf")
        self._target = 0
        self._refusals: list[BaseException] = []
        self.on_step: Callable[[Shard, Step], object] = lambda _shard, _step: None
        self.on_end: Callable[[Shard, bool], object] = lambda _shard, _finished: None
        self.on_failed: Callable[[Shard], object] = lambda _shard: None
        self.effects_of: int | None = None
        self._queue = Queue(iter(()))

    @property
    def n_ready(self) -> int:
        """Number of workers that have joined."""
        return sum(member.place is not None for member in self._members)

    @property
    def n_wanted(self) -> int:
        """Number of workers that there should be."""
        return self._target

    def fill(self) -> None:
        """Start as many workers as there should be; those that find no room wait for it."""
        now = time.monotonic()
        if now - self._counted > SECONDS_BETWEEN_COUNTS:
            self._counted, self._target = now, max(1, self._size())
        while len(self._members) < self._target - self._retired:
            member = Member(self._hired, self._hire())
            self._hired += 1
            self._members.append(member)
            actor, job = member.actor, self._job
            member.waiting_for = actor.open.remote() if job is None else actor.join.remote(job)

    def lead(self, call: Callable[[Any], Any]) -> Any:
        """Return the result of a call of one worker before the others begin; if it is lost, another worker is called.

        Raises
        ------
        ClusterError
            If one worker after the other is lost.
        Exception
            What the worker raises.
        """
        for _ in range(ATTEMPTS):
            member = self._first_there()
            try:
                return result(self._ray, call(member.actor))
            except self._ray.exceptions.RayTaskError as error:
                raise cause_of(error) from None
            except self._ray.exceptions.RayError:
                self._dismiss(member)
        raise ClusterError(
            f"{ATTEMPTS} workers died while they prepared the study: out of memory, or a crash. See Ray's logs."
        )

    def run(self, job: Any, shards: Iterator[Shard], is_stopped: Callable[[], bool]) -> None:
        """Let workers run all shards, until these are finished or given up, or until `is_stopped` says so.

        Raises
        ------
        ClusterError
            If too many workers die before they begin, or too many attempts in a row fail.
        Exception
            What the last worker raised when it joined, if none could join.
        """
        self._job, self._seen = job, time.monotonic()
        for member in self._members:
            member.waiting_for = member.actor.join.remote(job)
        self._queue = Queue(shards)
        told = False
        while True:
            stopping = is_stopped()
            if not stopping:
                self.fill()
                self._hand_out()
            elif not told:
                told = True
                self._tell_to_stop()
            is_busy = any(member.shard is not None for member in self._members)
            if not is_busy and (stopping or self._queue.is_empty):
                return
            self._require_somebody()
            self._wait()

    def _hand_out(self) -> None:
        """Give each worker that has nothing to do a shard."""
        there = {member.number for member in self._members if member.place is not None}
        for member in self._members:
            if member.place is None or member.waiting_for is not None:
                continue
            if shard := self._queue.next_for(member.number, there):
                member.shard = shard
                run = member.actor.shard.options(num_returns="streaming")
                member.waiting_for = run.remote(shard.batches, shard.number == self.effects_of)

    def _tell_to_stop(self) -> None:
        """Tell all workers to stop after the batch that they run now."""
        for member in self._members:
            if member.shard is not None:
                member.actor.stop.remote()

    def dismiss_all(self) -> None:
        """End all workers at once."""
        for member in list(self._members):
            self._dismiss(member)

    def _wait(self) -> None:
        waiting = {member.waiting_for: member for member in self._members if member.waiting_for is not None}
        if not waiting:
            time.sleep(0.1)
            return
        if not ready(self._ray, list(waiting), 1, timeout=1.0):
            return
        for one in ready(self._ray, list(waiting), len(waiting), timeout=0):
            member = waiting[one]
            try:
                if member.shard is None:
                    self._joined(member, self._ray.get(one))
                else:
                    self._stepped(member, one)
            except self._ray.exceptions.RayTaskError as error:
                self._raised(member, cause_of(error))
            except self._ray.exceptions.RayError as error:
                self._lost(member, error)

    def _joined(self, member: Member, place: WorkerPlace) -> None:
        member.place, member.waiting_for = place, None
        self._deaths, self._seen = 0, time.monotonic()

    def _stepped(self, member: Member, steps: Any) -> None:
        assert member.shard is not None
        try:
            one = next(steps)
        except StopIteration:
            shard, member.shard, member.waiting_for = member.shard, None, None
            self._queue.finished()
            self.on_end(shard, True)
            return
        self.on_step(member.shard, self._ray.get(one))

    def _raised(self, member: Member, error: BaseException) -> None:
        """Handle an error that a worker raised: a worker that cannot join is dismissed, else its shard has failed."""
        if member.shard is None:
            self._refusals.append(error)
            self._retired += 1
            self._say(f"a worker cannot join: {' '.join(str(error).split())}")
            self._dismiss(member)
            return
        shard, member.shard, member.waiting_for = member.shard, None, None
        self._failed(member, shard, f"{type(error).__name__}: {' '.join(str(error).split())}")

    def _lost(self, member: Member, error: Any) -> None:
        """Handle a worker that was lost: killed, crashed, out of memory, or lost with its node."""
        shard = member.shard
        self._dismiss(member)
        if shard is None:
            self._deaths += 1
            if self._deaths >= ATTEMPTS * max(1, self._target):
                raise ClusterError(
                    f"{self._deaths} workers in a row died before they could begin: out of memory, or a crash. "
                    "See Ray's logs."
                ) from error
            return
        memory = isinstance(error, self._ray.exceptions.OutOfMemoryError) or "running low on memory" in str(
            error
        )
        host = member.place.host if member.place else "?"
        what = f"Ray killed the worker on {host}: out of memory" if memory else f"the worker on {host} died"
        self._failed(member, shard, what)

    def _failed(self, member: Member, shard: Shard, fault: str) -> None:
        shard.faults.append((member.place.node if member.place else "", fault))
        shard.tried.add(member.number)
        self.on_end(shard, False)
        if self._queue.failed(shard, self._alive):
            self.on_failed(shard)
        self._queue.require_success(self._target, fault)

    def _alive(self) -> set[str]:
        return {node["NodeID"] for node in self._ray.nodes() if node["Alive"]}

    def _require_somebody(self) -> None:
        if not self._members and self._refusals:
            raise self._refusals[-1]
        if self.n_ready:
            self._seen = time.monotonic()
        elif time.monotonic() - self._seen > SECONDS_WITHOUT_ANYBODY:
            self._seen = float("inf")  # so that it is said once
            self._say(
                "no worker yet: the cluster has no room for one, or it is still starting. Ctrl-C stops."
            )

    def _dismiss(self, member: Member) -> None:
        self._members.remove(member)
        self._ray.kill(member.actor, no_restart=True)

    def _first_there(self) -> Member:
        """Return the first worker that has opened the detector, or failed to; wait for it."""
        said, begun = False, time.monotonic()
        while True:
            self.fill()
            opening = {member.waiting_for: member for member in self._members}
            if there := ready(self._ray, list(opening), 1, timeout=1.0):
                return opening[there[0]]
            if not said and time.monotonic() - begun > SECONDS_WITHOUT_ANYBODY:
                said = True
                self._say("waiting for the first worker: it has no room yet, or is still starting")
