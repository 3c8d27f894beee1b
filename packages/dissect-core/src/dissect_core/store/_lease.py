"""One run at a time in an object store, which has no locks: a lease that its holder renews.

An object store offers one operation to build on: make an object unless there is one of its name. So a lease is an
object with a number in its name, and the run that made the highest number holds the study.

- The holder counts `beat` up in its lease every few seconds, and writes `released` into it when it ends in order.
- A run that finds a lease not released watches it. If `beat` changes, the holder is alive: the new run is refused. If
  it stays the same for `SECONDS_OF_SILENCE`, the holder was killed: the new run makes the next number.
- A holder that was only slow finds a higher number at its next beat, sets `is_lost`, and stops.

Only this process's own clock is used, for how long a lease stays unchanged: clocks of two machines may differ.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ..errors import StudyError, StudyLockedError
from ..storage.files import read_regular
from ..storage.locations import create, reached
from . import _small_files, _stopping
from ._holder import Holder, every, say_who

SECONDS_BETWEEN_BEATS = 5.0
SECONDS_OF_SILENCE = 30.0
"""A holder that has not renewed for this long is taken for dead."""
SECONDS_BETWEEN_LOOKS = 1.0
NAME = "run-{:06d}.lock"


@contextmanager
def leased(folder: Path, holder: Holder, say: Callable[[str], object]) -> Iterator[dict[str, Any] | None]:
    """Hold a study in an object store for the length of a block; see `_lock.locked`."""
    number, before = _acquired(folder, holder, say)
    mine = folder / NAME.format(number)
    try:
        with every(SECONDS_BETWEEN_BEATS, lambda: _beat(folder, number, holder), "dissect-lease"):
            yield before
    finally:
        if not holder.is_lost:
            with suppress(StudyError):
                _small_files.write_json(mine, {**holder.told(), "released": True})


def newest(folder: Path) -> tuple[int, dict[str, Any]] | None:
    """Return number and content of the lease that counts, the highest one; None if the study has never been run.

    Raises
    ------
    StudyError
        If the store cannot be reached.
    """
    for _ in range(5):
        numbers = _numbers(folder)
        if not numbers:
            return None
        content = _read(folder / NAME.format(numbers[-1]))
        if content is not None:
            return numbers[-1], content
    raise StudyError(
        f"The leases of {folder} change too fast to be read: several runs are starting. Try again."
    )


def _acquired(
    folder: Path, holder: Holder, say: Callable[[str], object]
) -> tuple[int, dict[str, Any] | None]:
    """Make the next lease once the last one is released or silent; return its number, and the silent one's content."""
    while True:
        last = newest(folder)
        if last is not None and not last[1].get("released"):
            _wait_for_silence(folder, last, say)
        number = 1 + (last[0] if last else 0)
        # Of all that try this number at once, the store lets one succeed. The others start over with its lease.
        if not create(folder / NAME.format(number), _encoded(holder.told())):
            continue
        # Reading the leases and making ours are two steps. Between them another run may have taken the number that we
        # saw free, ended, and had its lease removed by a third one with a still higher number. Then our lease is not
        # the highest, and has never held the study: take it back.
        if _numbers(folder)[-1] != number:
            _forget(folder, number)
            continue
        # From here on this run is the holder. Leases before it say nothing any more.
        for older in _numbers(folder)[:-1]:
            _forget(folder, older)
        return number, None if last is None or last[1].get("released") else last[1]


def _wait_for_silence(folder: Path, lease: tuple[int, dict[str, Any]], say: Callable[[str], object]) -> None:
    """Wait until a lease was not renewed for so long that its holder must be dead.

    Raises
    ------
    StudyLockedError
        As soon as it is renewed.
    """
    begun = time.monotonic()
    while time.monotonic() - begun < SECONDS_OF_SILENCE:
        time.sleep(SECONDS_BETWEEN_LOOKS)
        now = newest(folder)
        if now is None or now[1].get("released") or now[0] != lease[0]:
            return
        if now[1].get("beat") != lease[1].get("beat"):  # alive
            raise StudyLockedError(
                f"The study {folder} is being run by {say_who(now[1])}. Wait until it ends, stop it, or give another "
                "folder."
            )
        if time.monotonic() - begun > 1.5 * SECONDS_BETWEEN_BEATS and say is not _silent:
            say(f"waiting {SECONDS_OF_SILENCE:.0f} s to see whether {say_who(now[1])} is still at work")
            say = _silent


def _silent(_text: str) -> None:
    """Say nothing: takes the place of `say` once that was called."""


def _beat(folder: Path, number: int, holder: Holder) -> None:
    """Renew a lease, unless another run has taken over."""
    if holder.is_lost:
        return
    last = newest(folder)
    if last is None or last[0] != number:
        holder.lose(say_who(last[1]) if last else "somebody who deleted its lease")
        return
    holder.beat += 1
    _small_files.write_json(folder / NAME.format(number), holder.told())
    if _stopping.is_asked(folder):
        holder.on_stop()


def _numbers(folder: Path) -> list[int]:
    """Return the numbers of the leases that are there, ascending."""
    with reached(folder):
        names = [path.name for path in folder.glob("run-*.lock")]
    return sorted(int(name[4:-5]) for name in names if name[4:-5].isdigit())


def _read(file: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(read_regular(file))
    except FileNotFoundError:
        return None
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _forget(folder: Path, number: int) -> None:
    with suppress(OSError), reached(folder):
        (folder / NAME.format(number)).unlink(missing_ok=True)


def _encoded(content: dict[str, Any]) -> bytes:
    return (json.dumps(content) + "\n").encode()
