"""As much of Ray as the crew uses, in this process and in any order: workers fail when a script says so."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from dissect_core.engine.ray._worker import Step, WorkerPlace


class RayError(Exception):
    """As Ray's."""


class RayTaskError(RayError):
    """As Ray's: what a worker raised."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(str(cause))
        self.cause = cause


class OutOfMemoryError(RayError):
    """As Ray's."""


class exceptions:  # noqa: N801  # Ray's module
    """As Ray's."""

    RayError, RayTaskError, OutOfMemoryError = RayError, RayTaskError, OutOfMemoryError


class Reference:
    """A value or an error that a call will give."""

    def __init__(self, value: Any) -> None:
        self.value = value


class Steps:
    """What a worker yields while it runs a shard, with the fault that the script wants."""

    def __init__(self, actor: Actor, batches: list[int], fault: str) -> None:
        self._actor = actor
        steps: list[Any] = [Step(1, "v", batch) for batch in batches]
        if fault:
            # What raises, raises in a batch; a process may also die when it has written the last one.
            kept = actor.ray.draw.randint(0, len(steps) - (fault == "raises"))
            error = {"raises": RayTaskError(ValueError("poison")), "memory": OutOfMemoryError("oom")}
            steps = [*steps[:kept], error.get(fault, RayError("gone"))]
        self._steps: Iterator[Any] = iter(steps)

    def __next__(self) -> Reference:
        one = next(self._steps)
        if isinstance(one, Step):
            self._actor.ray.finished.append(one.batch)
        elif not isinstance(one, RayTaskError):
            self._actor.alive = False
        return Reference(one)


class _Method:
    def __init__(self, call: Any) -> None:
        self.remote = call

    def options(self, **_options: Any) -> _Method:
        return self


class Actor:
    """A worker."""

    def __init__(self, ray: FakeRay) -> None:
        self.ray, self.alive = ray, True
        self.node = f"node{ray.draw.randrange(3)}"
        self.open = _Method(lambda: Reference(None))
        self.join = _Method(self._join)
        self.shard = _Method(self._shard)
        self.stop = _Method(lambda: Reference(None))

    def _join(self, _job: Any) -> Reference:
        fault = self.ray.fault_of_join()
        if fault:
            self.alive = fault == "raises"
        errors = {"raises": RayTaskError(ValueError("another node")), "dies": RayError("gone")}
        return Reference(errors.get(fault, WorkerPlace("host", 1, self.node)))

    def _shard(self, batches: list[int], _wants_effects: bool) -> Steps:
        assert self.alive, "a dead worker gets no shard"
        self.ray.attempts.append(tuple(batches))
        return Steps(self, list(batches), self.ray.fault_of_shard(batches))


class FakeRay:
    """The module."""

    exceptions = exceptions

    def __init__(self, seed: int, poisoned: set[int], fault_rate: float, join_rate: float) -> None:
        self.draw = random.Random(seed)
        self.poisoned, self.fault_rate, self.join_rate = poisoned, fault_rate, join_rate
        self.finished: list[int | None] = []
        self.attempts: list[tuple[int, ...]] = []
        self.killed = 0

    def fault_of_join(self) -> str:
        return "dies" if self.draw.random() < self.join_rate else ""

    def fault_of_shard(self, batches: list[int]) -> str:
        if self.poisoned & set(batches):
            return self.draw.choice(["raises", "dies", "memory"])
        return "dies" if self.draw.random() < self.fault_rate else ""

    def hire(self) -> Actor:
        return Actor(self)

    def wait(self, waiting: list[Any], num_returns: int = 1, **_options: Any) -> tuple[list[Any], list[Any]]:
        ready = self.draw.sample(waiting, self.draw.randint(1, len(waiting)))
        return ready, [one for one in waiting if one not in ready]

    def get(self, reference: Reference) -> Any:
        if isinstance(reference.value, BaseException):
            raise reference.value
        return reference.value

    def kill(self, actor: Actor, *, no_restart: bool) -> None:
        assert no_restart
        actor.alive = False
        self.killed += 1

    def nodes(self) -> list[dict[str, Any]]:
        return [{"NodeID": f"node{i}", "Alive": True} for i in range(3)]
