"""Shards, the workers that have them, and the queue of shards: new ones in order, and those that failed."""

from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass, field
from typing import Any

from ...errors import ClusterError
from ._worker import WorkerPlace

ATTEMPTS = 3
"""A shard that fails so many times, by its own fault, is given up."""


@dataclass
class Shard:
    """Batches to be run by one worker.

    Attributes
    ----------
    number : int
    batches : list of int
        Batches that are not finished.
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
    place: WorkerPlace | None = None
    shard: Shard | None = None


class Queue:
    """The shards of a study that no worker has at the moment.

    Parameters
    ----------
    shards : iterator of Shard
        Each is taken when its turn comes: no list of them is kept.
    """

    def __init__(self, shards: Iterator[Shard]) -> None:
        self._shards, self._following = shards, next(shards, None)
        self._retries: list[Shard] = []
        self._in_a_row = 0

    @property
    def is_empty(self) -> bool:
        """True if no shard is left to be handed out."""
        return self._following is None and not self._retries

    def next_for(self, worker: int, ready: Set[int]) -> Shard | None:
        """Return the shard that a worker gets: one that failed elsewhere, else the next one.

        A shard comes back to a worker that failed at it only if all workers that are ready have failed at it.
        """
        for is_fit in (lambda tried: worker not in tried, lambda tried: ready <= tried):
            for i, shard in enumerate(self._retries):
                if is_fit(shard.tried):
                    return self._retries.pop(i)
        following = self._following
        if following is not None:
            self._following = next(self._shards, None)
        return following

    def finished(self) -> None:
        """Note that a shard was finished, which ends a row of failed attempts."""
        self._in_a_row = 0

    def failed(self, shard: Shard, alive: Callable[[], Set[str]]) -> bool:
        """Take back a shard that failed, for another attempt; return True if it is given up instead.

        Parameters
        ----------
        shard : Shard
        alive : callable
            Returns the ids of the nodes that the cluster still has. It is called only where it matters: what was lost
            with a node is not the shard's fault.
        """
        self._in_a_row += 1
        # If it has no batches left, all were written before the worker was lost.
        is_given_up = bool(shard.batches) and len(shard.faults) >= ATTEMPTS and _is_to_blame(shard, alive())
        if shard.batches and not is_given_up:
            self._retries.append(shard)
        return is_given_up

    def require_success(self, n_workers: int, fault: str) -> None:
        """Check that not all attempts fail.

        Raises
        ------
        ClusterError
            If many attempts in a row have failed, whatever the shard.
        """
        if self._in_a_row >= 4 * max(ATTEMPTS, n_workers):
            raise ClusterError(
                f"{self._in_a_row} attempts in a row have failed, whatever the shard; the last one: {fault}. Nothing "
                "that was finished is lost: remove the cause, and run the study again."
            )


def _is_to_blame(shard: Shard, alive: Set[str]) -> bool:
    """Return whether enough of a shard's faults are its own, and not those of nodes that were lost."""
    own = sum(node in alive for node, _ in shard.faults)
    return own >= ATTEMPTS or len(shard.faults) >= ATTEMPTS**2
