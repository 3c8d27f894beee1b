"""SIGTERM and SIGHUP, by which a scheduler, a `kill` or a closed terminal end a program: as Ctrl-C does."""

from __future__ import annotations

import os
import signal
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

__all__ = ["ENDING", "HANGUP", "ended_as_by_ctrl_c", "leave_terminal"]

HANGUP: int | None = getattr(signal, "SIGHUP", None)
"""The signal of a terminal that goes away; Windows has none."""
ENDING = tuple(number for number in (signal.SIGINT, signal.SIGTERM, HANGUP) if number is not None)
"""Signals that ask a program to end."""


@contextmanager
def ended_as_by_ctrl_c() -> Iterator[None]:
    """Have SIGTERM and SIGHUP raise `KeyboardInterrupt` in a block.

    What is ignored, as SIGHUP below nohup, or handled by somebody, stays so; and outside of the main thread, where
    Python gives no signals, nothing is changed.

    Examples
    --------
    >>> try:
    ...     with ended_as_by_ctrl_c():
    ...         signal.raise_signal(signal.SIGTERM)
    ... except KeyboardInterrupt:
    ...     print("interrupted")
    interrupted
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    taken = [
        number for number in ENDING if number != signal.SIGINT and signal.getsignal(number) == signal.SIG_DFL
    ]
    for number in taken:
        signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


def leave_terminal() -> None:
    """Write to nowhere what would go to a terminal that is gone, where each further word would be an error."""
    for number in (1, 2):
        with suppress(OSError):
            if stat.S_ISCHR(os.fstat(number).st_mode) and not os.isatty(number):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, number)
                os.close(nowhere)


def _interrupt(number: int, _frame: FrameType | None) -> None:
    if number == HANGUP:
        leave_terminal()
    raise KeyboardInterrupt
