"""A worker of a crew, and the shard that it has."""

from dataclasses import dataclass, field
from typing import Any

from ._worker import Place


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
