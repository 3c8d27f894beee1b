"""Ctrl-C that lets the batch at hand end."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class StopRequest:
    """A wish, from any thread, that a run stops."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._again = threading.Event()

    def ask(self) -> None:
        """Ask the run to stop after the batch at hand, from any thread."""
        if self.asked:
            self._again.set()
        self._event.set()

    @property
    def asked(self) -> bool:
        """Whether somebody has."""
        return self._event.is_set()

    @property
    def is_urgent(self) -> bool:
        """Whether somebody has asked again: what would still be done with a run's finished part is to be left out."""
        return self._again.is_set()


@contextmanager
def stop_on_interrupt(request: StopRequest, say: Callable[[str], object]) -> Iterator[None]:
    """Turn the first Ctrl-C of a block into a request; the second one interrupts at once.

    Outside of the main thread, where Python gives no signals, nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def first(_number: int, _frame: FrameType | None) -> None:
        request.ask()
        signal.signal(signal.SIGINT, before)
        say("stopping after this batch; Ctrl-C again stops at once")

    before = signal.signal(signal.SIGINT, first)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
