"""One run at a time in a study's folder."""

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from ..errors import StudyError, StudyLockedError

LOCK = "run.lock"
HOLDER = "run.json"


@contextmanager
def locked(folder: Path) -> Iterator[dict[str, object] | None]:
    """Hold a folder for the length of a block.

    The system's own file lock is what excludes others: it goes with its process, however that ends. Beside it stands
    who holds it, for messages.

    Yields
    ------
    dict or None
        Who held it last and did not leave it in order, after a kill or a loss of power.

    Raises
    ------
    StudyLockedError
        If another run holds it; host and process are named.
    StudyError
        If the folder cannot be locked.
    """
    lock = FileLock(folder / LOCK, timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        raise StudyLockedError(
            f"The study {folder} is being run by {holder_of(folder)}. Wait until it ends, stop it, or give another "
            "folder."
        ) from None
    except (OSError, NotImplementedError) as error:
        raise StudyError(
            f"The folder {folder} cannot be locked: {getattr(error, 'strerror', None) or error}. Use a folder that can "
            "be written, on a file system that has locks."
        ) from error
    try:
        before = _holder(folder)
        me = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "since": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        }
        # Written in place: who reads half of it meanwhile says "another process".
        (folder / HOLDER).write_text(json.dumps(me) + "\n", encoding="utf-8")
        try:
            yield before
        finally:  # a kill leaves it there
            with suppress(OSError):
                (folder / HOLDER).unlink()
    finally:
        lock.release()


def _holder(folder: Path) -> dict[str, object] | None:
    try:
        told = json.loads((folder / HOLDER).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) else None


def is_locked(folder: Path) -> bool:
    """Whether a run is at work in a folder, of this or of another process."""
    if not (folder / LOCK).exists():
        return False
    try:
        with FileLock(folder / LOCK, timeout=0, thread_local=False):
            return False
    except Timeout:
        return True
    except (OSError, NotImplementedError):  # a folder that cannot be written can be read all the same
        return False


def holder_of(folder: Path) -> str:
    """Who holds a folder, for people."""
    told = _holder(folder)
    if told is None:
        return "another process"
    return f"process {told.get('pid')} on {told.get('host')}, since {told.get('since')}"
