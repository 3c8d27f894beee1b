"""Read files that others wrote: without waiting for a writer, and JSON only if each key is given once."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections import Counter
from pathlib import Path
from typing import Any, BinaryIO

from ._text import cut, quoted, visible
from .errors import EvalError

__all__ = ["open_regular", "read_json", "read_regular"]

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_FLAGS = ("O_NONBLOCK", "O_CLOEXEC", "O_NOCTTY", "O_BINARY")  # those that the system has


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a file to read its bytes; anything else under its name, such as a FIFO, is refused at once.

    Raises
    ------
    OSError
        If it is missing, cannot be read, or is no regular file; `strerror` says so.
    """
    _require_regular(path, Path(path).stat().st_mode)  # before it is opened: opening alone may start a device
    descriptor = os.open(path, os.O_RDONLY | sum(getattr(os, flag, 0) for flag in _FLAGS))
    file = os.fdopen(descriptor, "rb")
    try:
        _require_regular(path, os.fstat(descriptor).st_mode)
    except OSError:
        file.close()
        raise
    return file


def read_regular(path: str | os.PathLike[str]) -> bytes:
    """Return all bytes of a file; see `open_regular`."""
    with open_regular(path) as file:
        return file.read()


def read_json(path: str | os.PathLike[str], what: str, error: type[EvalError]) -> Any:
    """Return the parsed JSON file, or raise `error` that names it."""
    name = cut(visible(os.fspath(path)), 1000)
    try:
        return json.loads(read_regular(path).decode("utf-8-sig"), object_pairs_hook=_said_once)
    except OSError as exc:
        raise error(f"Cannot read the {what} file '{name}': {exc.strerror or exc}.") from exc
    except (ValueError, RecursionError) as exc:  # also for a number of too many digits, or a key given twice
        reason = cut(visible(str(exc)))
        raise error(
            f"The {what} file '{name}' is not valid JSON ({reason}). It may be cut short: fetch or export it again."
        ) from exc


def _said_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object, or refuse a key that is given twice: Python's reader would keep the last."""
    kept = dict(pairs)
    if len(kept) < len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"an object has the key {quoted(twice)} twice")
    return kept


def _require_regular(path: str | os.PathLike[str], mode: int) -> None:
    if not stat.S_ISREG(mode):
        what = next((name for is_kind, name in _KINDS if is_kind(mode)), "no file")
        raise OSError(errno.EINVAL, f"it is {what}, not a regular file", os.fspath(path))
