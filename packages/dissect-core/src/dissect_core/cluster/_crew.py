"""Workers that come and go, each with one shard at a time.

Ray places them, restarts nothing by itself, and tells when one is gone: a shard of a lost worker is given to another
one, and a new worker asks for the room. A worker gets its next shard when it has finished the one before, so that
nothing piles up, however many shards there are.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ..errors import ClusterError
from ._worker import Place, Step

ATTEMPTS = 3
SECONDS_BETWEEN_COUNTS = 10.0
SECONDS_WITHOUT_ANYBODY = 20.0


@dataclass
class Shard:
    """Batches to be run by one worker.

    Attributes
    ----------
    number : int
    batches : list of int
        Those that are not finished.
    faults : list of (str, str)
        What went wrong, with the node where it did.
    tried : set of int
        Numbers of the workers that failed at it.
    """

    number: int
    batches: list[int]
    faults: list[tuple[str, str]] = field(default_factory=list)
    tried: set[int] = field(default_factory=set)


@dataclass
class Member:
    """A worker of the crew: on its way, idle, or with a shard."""

    number: int
    actor: Any
    waiting_for: Any = None
    place: Place | None = None
    shard: Shard | None = None


class Crew:
    """See the module.

    Parameters
    ----------
    ray : module
    hire : callable
        Starts a worker: gives its actor, before it has found room.
    size : callable
        How many workers there should be.
    say : callable
        Takes messages for people.

    Attributes
    ----------
    on_step : callable
        Called with a shard and each `Step` of it.
    on_end : callable
        Called with a shard that has left a worker, and whether it is finished.
    on_failed : callable
        Called with a shard that is given up.
    effects_of : int or None
        The shard whose worker also measures what variants change in the outputs of what they ablate.
    retries : list of Shard
        Those that have failed, and will be tried again.
    """

    def __init__(
        self, ray: Any, hire: Callable[[], Any], size: Callable[[], int], say: Callable[[str], object]
    ) -> None:
        self._ray, self._hire, self._size, self._say = ray, hire, size, say
        self._members: list[Member] = []
        self._hired, self._retired, self._deaths, self._in_a_row = 0, 0, 0, 0
        self._job: Any = None
        self._counted = self._seen = float("-inf")
        self._target = 0
        self._refusals: list[BaseException] = []
        self.on_step: Callable[[Shard, Step], object] = lambda _shard, _step: None
        self.on_end: Callable[[Shard, bool], object] = lambda _shard, _finished: None
        self.on_failed: Callable[[Shard], object] = lambda _shard: None
        self.effects_of: int | None = None
        self.retries: list[Shard] = []

    @property
    def n_ready(self) -> int:
        """Workers that have joined."""
        return sum(member.place is not None for member in self._members)

    @property
    def n_wanted(self) -> int:
        """Workers that there should be."""
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
            if self._job is not None:
                member.waiting_for = member.actor.join.remote(self._job)
            else:
                member.actor.open.remote()

    def lead(self, call: Callable[[Any], Any]) -> Any:
        """Let one worker do something before the others begin; another one, if that is lost on the way.

        Raises
        ------
        ClusterError
            If three are lost.
        Exception
            As the worker raises.
        """
        for _ in range(ATTEMPTS):
            self.fill()
            member = self._members[0]
            try:
                return self._first_result(call(member.actor))
            except self._ray.exceptions.RayTaskError as error:
                raise cause_of(error) from None
            except self._ray.exceptions.RayError:
                self._dismiss(member)
        raise ClusterError(
            f"{ATTEMPTS} workers died while they planned the study: out of memory, or a crash. See Ray's logs."
        )

    def run(self, job: Any, shards: Iterator[Shard], is_stopped: Callable[[], bool]) -> None:
        """Have all shards run, until they are finished or given up, or until somebody asks to stop.

        Raises
        ------
        ClusterError
            If no worker is left that could do it.
        Exception
            As all of the workers raise when they join.
        """
        self._job, self._seen = job, time.monotonic()
        for member in self._members:
            member.waiting_for = member.actor.join.remote(job)
        following, told = next(shards, None), False
        while True:
            stopping = is_stopped()
            if stopping and not told:
                told = True
                for member in self._members:
                    if member.shard is not None:
                        member.actor.stop.remote()
            if not stopping:
                self.fill()
                for member in self._members:
                    if member.place is None or member.waiting_for is not None:
                        continue
                    shard = self._retry_for(member)
                    if shard is None and following is not None:
                        shard, following = following, next(shards, None)
                    if shard is not None:
                        member.shard = shard
                        member.waiting_for = member.actor.shard.options(num_returns="streaming").remote(
                            shard.batches, shard.number == self.effects_of
                        )
            running = [member for member in self._members if member.shard is not None]
            if not running and (stopping or (following is None and not self.retries)):
                return
            self._require_somebody()
            self._wait()

    def dismiss_all(self) -> None:
        """End all workers at once."""
        for member in list(self._members):
            self._dismiss(member)

    def _retry_for(self, member: Member) -> Shard | None:
        """A shard that failed elsewhere; one that failed here only if there is nobody else."""
        alone = self.n_ready == 1
        for i, shard in enumerate(self.retries):
            if alone or member.number not in shard.tried:
                return self.retries.pop(i)
        # All that are ready have failed at it already.
        ready = {each.number for each in self._members if each.place is not None}
        for i, shard in enumerate(self.retries):
            if ready <= shard.tried:
                return self.retries.pop(i)
        return None

    def _wait(self) -> None:
        waiting = {member.waiting_for: member for member in self._members if member.waiting_for is not None}
        if not waiting:
            time.sleep(0.1)
            return
        if not self._ready(list(waiting), 1, timeout=1.0):
            return
        ready = self._ready(list(waiting), len(waiting), timeout=0)
        for one in ready:
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

    def _joined(self, member: Member, place: Place) -> None:
        member.place, member.waiting_for = place, None
        self._deaths, self._seen = 0, time.monotonic()

    def _stepped(self, member: Member, steps: Any) -> None:
        assert member.shard is not None
        try:
            one = next(steps)
        except StopIteration:
            shard, member.shard, member.waiting_for = member.shard, None, None
            self._in_a_row = 0
            self.on_end(shard, True)
            return
        self.on_step(member.shard, self._ray.get(one))

    def _raised(self, member: Member, error: BaseException) -> None:
        """A worker is well, and what it was to do is not."""
        if member.shard is None:
            self._refusals.append(error)
            self._retired += 1
            self._say(f"a worker cannot help: {' '.join(str(error).split())}")
            self._dismiss(member)
            return
        shard, member.shard, member.waiting_for = member.shard, None, None
        self._failed(member, shard, f"{type(error).__name__}: {' '.join(str(error).split())}")

    def _lost(self, member: Member, error: Any) -> None:
        """A worker is gone: killed, crashed, out of memory, or with its node."""
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
        self._in_a_row += 1
        self.on_end(shard, False)
        if len(shard.faults) >= ATTEMPTS and self._is_to_blame(shard):
            self.on_failed(shard)
        elif shard.batches:
            self.retries.append(shard)
        if self._in_a_row >= 4 * max(ATTEMPTS, self._target):
            raise ClusterError(
                f"{self._in_a_row} attempts in a row have failed, of different shards; the last one: {fault}. Nothing "
                "that was finished is lost; mend this, and run the study again."
            )

    def _is_to_blame(self, shard: Shard) -> bool:
        """Whether enough of its faults are its own, and not those of nodes that were lost."""
        alive = {node["NodeID"] for node in self._ray.nodes() if node["Alive"]}
        own = sum(node in alive for node, _ in shard.faults)
        return own >= ATTEMPTS or len(shard.faults) >= ATTEMPTS**2

    def _require_somebody(self) -> None:
        if not self._members and self._refusals:
            raise self._refusals[-1]
        if self.n_ready:
            self._seen = time.monotonic()
        elif time.monotonic() - self._seen > SECONDS_WITHOUT_ANYBODY:
            self._seen = float("inf")  # said once
            self._say(
                "no worker yet: the cluster has no room for one, or it is still starting. Ctrl-C stops."
            )

    def _dismiss(self, member: Member) -> None:
        self._members.remove(member)
        self._ray.kill(member.actor, no_restart=True)

    def _first_result(self, call: Any) -> Any:
        """Wait for a call's result, and say so where there is no room for the worker."""
        said, begun = False, time.monotonic()
        while not self._ready([call], 1, timeout=1.0):
            if not said and time.monotonic() - begun > SECONDS_WITHOUT_ANYBODY:
                said = True
                self._say("waiting for the first worker: it has no room yet, or opens the detector and plans")
        return self._ray.get(call)

    def _ready(self, waiting: list[Any], n: int, timeout: float) -> list[Any]:
        """Which of some calls have something to give."""
        try:
            ready, _ = self._ray.wait(waiting, num_returns=n, timeout=timeout, fetch_local=False)
        except SystemError as error:  # Ray's way to pass on what a signal's handler raised
            if isinstance(error.__cause__, KeyboardInterrupt):
                raise error.__cause__ from None
            raise
        return list(ready)


def cause_of(error: Any) -> BaseException:
    """What a worker raised."""
    cause = getattr(error, "cause", None)
    return cause if isinstance(cause, BaseException) else error
