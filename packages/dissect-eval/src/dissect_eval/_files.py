"""Reading a file without ever waiting for somebody who would write it."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_FLAGS = ("O_NONBLOCK", "O_CLOEXEC", "O_NOCTTY", "O_BINARY")  # as far as the system has them


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a file to read its bytes; anything else under its name, such as a FIFO, is refused at once.

    Raises
    ------
    OSError
        If it is missing, cannot be read, or is no regular file; `strerror` says so.
    """
    _require_regular(path, Path(path).stat().st_mode)  # before it is opened, which alone may set a device off
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


def _require_regular(path: str | os.PathLike[str], mode: int) -> None:
    if not stat.S_ISREG(mode):
        what = next((name for is_kind, name in _KINDS if is_kind(mode)), "no file")
        raise OSError(errno.EINVAL, f"it is {what}, not a regular file", os.fspath(path))
