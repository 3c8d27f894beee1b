"""Ctrl-C ends the command with one line, whatever runs at that moment: an import, a library, the end itself."""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

__all__ = ["INTERRUPTED", "Interruption", "interruptible", "leave_until_begun"]

INTERRUPTED = 130
"""Exit status of a command that was interrupted, as shells have it."""


class Interruption:
    """Whether Ctrl-C has come.

    Libraries make other errors of a `KeyboardInterrupt`, or lose it: NumPy raises an `ImportError` if it comes while it
    is imported, and an object that is deleted at that moment only prints it. So it is put on record here.
    """

    came = False

    def take(self, _number: int, _frame: FrameType | None) -> None:
        """Put it on record, and raise it as Python does."""
        self.came = True
        raise KeyboardInterrupt

    def take_lost(self, lost: Any) -> None:
        """Raise an interruption again that nobody could catch; anything else is printed as always."""
        if issubclass(lost.exc_type, KeyboardInterrupt):
            _thread.interrupt_main()
        else:
            sys.__unraisablehook__(lost)


@contextmanager
def interruptible(*, own_process: bool) -> Iterator[Interruption]:
    """Turn Ctrl-C, SIGTERM and SIGHUP in a block into a line on standard error, whatever they end up as.

    Parameters
    ----------
    own_process : bool
        Whether the process ends after the block: it is then left at once if another Ctrl-C comes while it ends.
        Otherwise all is put back as it was.

    Yields
    ------
    Interruption
    """
    interruption = Interruption()
    # Outside of the main thread Python gives no signals; one that is ignored, or handled by somebody else, stays so.
    ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) in (
        signal.default_int_handler,
        _leave,
    )
    hook = sys.unraisablehook
    from dissect_core.ending import ended_as_by_ctrl_c

    try:
        if ours:
            signal.signal(signal.SIGINT, interruption.take)
            sys.unraisablehook = interruption.take_lost
        with ended_as_by_ctrl_c():
            yield interruption
    except KeyboardInterrupt:
        interruption.came = True
        _say()
    except Exception:
        if not interruption.came:
            raise
        _say()
    finally:
        if ours:
            signal.signal(signal.SIGINT, _leave if own_process else signal.default_int_handler)
            sys.unraisablehook = hook


def leave_until_begun() -> None:
    """Have Ctrl-C end this process at once with a line, until `interruptible` takes over: nothing is begun yet."""
    if (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    ):
        signal.signal(signal.SIGINT, _leave)


def _say() -> None:
    print("interrupted", file=sys.stderr)


def _leave(_number: int, _frame: FrameType | None) -> None:
    """End a process that is ending already, without what else would be done, and printed, on the way."""
    os.write(2, b"interrupted\n")
    os._exit(INTERRUPTED)
