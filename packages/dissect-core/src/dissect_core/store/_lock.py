"""One run at a time in a study's folder."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ..errors import IrregularFileError, StudyError, StudyLockedError
from ..storage.files import require_own
from ..storage.locations import is_remote, reached
from . import _lease, _small_files, _stopping
from ._holder import Holder, every, say_who

LOCK = "run.lock"
HOLDER = "run.json"


@contextmanager
def locked(
    folder: Path, holder: Holder | None = None, say: Callable[[str], object] = lambda _text: None
) -> Iterator[dict[str, Any] | None]:
    """Hold a folder for the length of a block.

    On a file system, a file lock excludes others: the system frees it when the process ends, however that ends. A
    file beside it says who holds it, for messages. In an object store a lease is used; see `_lease`.

    Yields
    ------
    dict or None
        What the last run wrote about itself, if it was killed or lost power; None if it ended in order.

    Raises
    ------
    StudyLockedError
        If another run holds it; host and process are named.
    StudyError
        If the folder cannot be locked.
    """
    holder = holder or Holder()
    if is_remote(folder):
        with _lease.leased(folder, holder, say) as before:
            yield before
        return
    from filelock import FileLock, Timeout  # a tenth of a second, which reading a finished study saves

    try:
        require_own(folder / LOCK)  # locking a file empties it
        lock = FileLock(folder / LOCK, timeout=0, thread_local=False)
        lock.acquire()
    except Timeout:
        raise StudyLockedError(
            f"The study {folder} is being run by {holder_of(folder)}. Wait until it ends, stop it, or give another "
            "folder."
        ) from None
    except (OSError, NotImplementedError) as error:
        why = getattr(error, "strerror", None) or error
        raise StudyError(
            f"The folder {folder} cannot be locked by its file {LOCK}: {why}. Use a folder that can be written, on a "
            "file system that has locks."
        ) from error
    try:
        before = _told(folder)
        with _telling(folder, holder):
            yield before
    finally:
        lock.release()


@contextmanager
def _telling(folder: Path, holder: Holder) -> Iterator[None]:
    """Keep a file beside a lock that says who holds it and how far that run is; a kill leaves it there."""
    file = folder / HOLDER
    _small_files.write_json(file, holder.told())

    def tell() -> None:
        holder.beat += 1
        _small_files.write_json(file, holder.told())

    try:
        with every(_lease.SECONDS_BETWEEN_BEATS, tell, "dissect-holder"), _listening(folder, holder):
            yield
    finally:
        with suppress(OSError):
            file.unlink()


@contextmanager
def _listening(folder: Path, holder: Holder) -> Iterator[None]:
    """Pass on what another process asks of the run; what was asked of an earlier one does not count."""

    def look() -> None:
        if _stopping.is_asked(folder):
            holder.on_stop()

    _stopping.forget(folder)
    try:
        with every(_stopping.SECONDS_BETWEEN_LOOKS, look, "dissect-stop"):
            yield
    finally:
        _stopping.forget(folder)


def _told(folder: Path) -> dict[str, Any] | None:
    try:
        told = _small_files.read_json(folder / HOLDER)
    except StudyError:
        return None
    if not isinstance(told, dict):
        return None
    news = told.get("news")
    counts = [news.get(name) for name in ("passes", "total")] if isinstance(news, dict) else []
    is_news = bool(counts) and all(isinstance(count, int) for count in counts)
    return told if is_news else {**told, "news": {}}


def at_work(folder: Path) -> dict[str, Any] | None:
    """Return what the run in a folder has written about itself, in any process; None if nothing runs.

    In an object store a run counts as running if its lease was renewed lately, by this machine's clock.
    """
    if is_remote(folder):
        lease = _lease.newest(folder)
        if (
            lease is None
            or lease[1].get("released")
            or _age(folder, lease[0]) > 2 * _lease.SECONDS_OF_SILENCE
        ):
            return None
        return lease[1]
    if not (folder / LOCK).exists():
        return None
    try:
        require_own(folder / LOCK)  # locking a file empties it
    except IrregularFileError as error:
        raise StudyError(str(error)) from error
    from filelock import FileLock, Timeout

    try:
        with FileLock(folder / LOCK, timeout=0, thread_local=False):
            return None
    except Timeout:
        return _told(folder) or {}
    except (OSError, NotImplementedError):  # a folder that cannot be written counts as not running
        return None


def _age(folder: Path, number: int) -> float:
    """Return how many seconds ago a lease was renewed."""
    file: Any = folder / _lease.NAME.format(number)
    with reached(folder):
        return time.time() - float(file.stat().st_mtime)


def holder_of(folder: Path) -> str:
    """Describe the run that holds a folder, to print."""
    return say_who(_told(folder))
