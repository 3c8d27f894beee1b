"""Stopping a run after the batch at hand: by request, or by Ctrl-C, SIGTERM and SIGHUP."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from ..ending import ENDING, HANGUP, leave_terminal


class StopRequest:
    """Asks a run to stop, from any thread."""

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
        """True once somebody has asked."""
        return self._event.is_set()

    @property
    def is_urgent(self) -> bool:
        """True once somebody has asked again: nothing more is to be done with the finished part of the run."""
        return self._again.is_set()


@contextmanager
def stop_on_interrupt(request: StopRequest, say: Callable[[str], object]) -> Iterator[None]:
    """Turn the first Ctrl-C, SIGTERM or SIGHUP of a block into a request; the second one interrupts at once.

    SIGTERM and SIGHUP stay ignored where they are, as below nohup. Outside of the main thread, where Python gives no
    signals, nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in ENDING}
    taken = [number for number, handler in before.items() if _is_ours_to_take(number, handler)]

    def first(number: int, _frame: FrameType | None) -> None:
        request.ask()
        for each in taken:
            # Of a terminal that goes away, both the shell and the system tell.
            signal.signal(each, before[each] if each != HANGUP else _nothing_more)
        if number == HANGUP:
            leave_terminal()
        with suppress(OSError):  # nobody reads it any more
            say("stopping after this batch; Ctrl-C again stops at once")

    for number in taken:
        signal.signal(number, first)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, before[number])


def _is_ours_to_take(number: int, handler: object) -> bool:
    """Return whether a signal may be handled: not if other code in C does, nor if it is ignored, but for Ctrl-C."""
    return handler is not None and (handler != signal.SIG_IGN or number == signal.SIGINT)


def _nothing_more(_number: int, _frame: FrameType | None) -> None:
    pass
