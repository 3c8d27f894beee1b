"""Asking a run to stop from another process, by a file in the study's folder that the run looks for."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from ..errors import StudyError
from ..storage import write_bytes_whole
from ..storage.locations import reached

__all__ = ["SECONDS_BETWEEN_LOOKS", "ask", "forget", "is_asked"]

STOP = "run.stop"
SECONDS_BETWEEN_LOOKS = 1.0


def ask(folder: Path) -> None:
    """Ask the run in a folder to stop after the batch at hand.

    Raises
    ------
    StudyError
        If the folder cannot be written.
    """
    write_bytes_whole(folder / STOP, b"", StudyError)


def is_asked(folder: Path) -> bool:
    """Return whether somebody asks, once for each time: the file is taken away."""
    with reached(folder):
        there = (folder / STOP).exists()
    if there:
        forget(folder)
    return there


def forget(folder: Path) -> None:
    """Take a request away, such as one for a run that has ended before it was seen."""
    with suppress(OSError, StudyError), reached(folder):
        (folder / STOP).unlink(missing_ok=True)
