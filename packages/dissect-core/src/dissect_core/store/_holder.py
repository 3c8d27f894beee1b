"""The run that holds a study, and its progress: for messages, and for `status` in another process."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from ..errors import StudyError


@dataclass
class Holder:
    """A run that holds a study's folder.

    Attributes
    ----------
    news : dict
        How far it is, as plain data; the run changes it, and it is written now and then.
    beat : int
        Counts up while the run lives.
    is_lost : bool
        Whether another run has taken the folder over, because this one gave no sign of life for too long.
    on_lost : callable
        Called when that happens.
    on_stop : callable
        Called when another process asks the run to stop.
    """

    news: dict[str, Any] = field(default_factory=dict)
    beat: int = 0
    is_lost: bool = False
    taken_by: str = ""
    on_lost: Callable[[], object] = lambda: None
    on_stop: Callable[[], object] = lambda: None
    _since: str = field(default_factory=lambda: time.strftime("%Y-%m-%d %H:%M:%S %z"))

    def told(self) -> dict[str, Any]:
        """Return what the run writes about itself in the folder."""
        return {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "since": self._since,
            "beat": self.beat,
            "news": dict(self.news),
        }

    def lose(self, to: str) -> None:
        """Note that another run has taken over."""
        self.is_lost, self.taken_by = True, to
        self.on_lost()


@contextmanager
def every(seconds: float, do: Callable[[], object], name: str) -> Iterator[None]:
    """Do something now and then, on a thread, for the length of a block; what the storage refuses is tried again."""
    end = threading.Event()

    def again() -> None:
        while not end.wait(seconds):
            with suppress(StudyError):  # a store that is away for a moment, a disk that is full
                do()

    doing = threading.Thread(target=again, name=name, daemon=True)
    doing.start()
    try:
        yield
    finally:
        end.set()
        doing.join()


def say_who(told: Mapping[str, Any] | None) -> str:
    """Say for people who holds a folder.

    Examples
    --------
    >>> say_who({"host": "lab3", "pid": 12, "since": "2026-11-30 09:00:00"})
    'process 12 on lab3, since 2026-11-30 09:00:00'
    >>> say_who(None)
    'another process'
    """
    if not told or "pid" not in told:
        return "another process"
    return f"process {told.get('pid')} on {told.get('host')}, since {told.get('since')}"
