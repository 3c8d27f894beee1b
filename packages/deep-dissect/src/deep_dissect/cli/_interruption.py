"""Make Ctrl-C end the command with one line, whatever runs at that moment: an import, a library, or the exit itself."""

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

from ..errors import FrontDoorError

__all__ = ["INTERRUPTED", "Interruption", "StoppedError", "interruptible", "leave_until_begun"]

INTERRUPTED = 130
"""Exit status of a command that was interrupted, as shells have it."""


class StoppedError(FrontDoorError):
    """Ctrl-C ended the work of a command; the message says what is kept."""


class Interruption:
    """Whether Ctrl-C has come.

    Libraries make other errors of a `KeyboardInterrupt`, or lose it: NumPy raises an `ImportError` if it comes while it
    is imported, and the deletion of an object only prints it. So it is put on record here.
    """

    came = False

    def take(self, _number: int, _frame: FrameType | None) -> None:
        """Put it on record, and raise it as Python does."""
        self.came = True
        raise KeyboardInterrupt

    def take_lost(self, lost: Any) -> None:
        """Raise again an interruption that no code could catch; print anything else as Python does."""
        if issubclass(lost.exc_type, KeyboardInterrupt):
            _thread.interrupt_main()
        else:
            sys.__unraisablehook__(lost)


@contextmanager
def interruptible(*, own_process: bool) -> Iterator[Interruption]:
    """Turn Ctrl-C, SIGTERM and SIGHUP in a block into one line on standard error, whatever error they become.

    Parameters
    ----------
    own_process : bool
        Whether the process ends after the block: another Ctrl-C then ends it at once. Otherwise the handlers are put
        back as they were.

    Yields
    ------
    Interruption
    """
    interruption = Interruption()
    # Python handles signals in the main thread only; one that is ignored, or handled by other code, stays so.
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
    """End a process that is ending already at once, without running or printing anything more."""
    os.write(2, b"interrupted\n")
    os._exit(INTERRUPTED)
