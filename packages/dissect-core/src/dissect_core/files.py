"""Files that are read without waiting, and written whole or not at all."""

import errno
import io
import os
import secrets
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, cast

from .errors import CheckpointError, DissectError, IrregularFileError
from .places import is_remote, place_of, reached

TEMPORARY = ".tmp"
"""How the names of files end that are not whole yet; they begin with a dot."""

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_FLAGS = ("O_NONBLOCK", "O_CLOEXEC", "O_NOCTTY", "O_BINARY")  # as far as the system has them


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a file to read its bytes, without ever waiting for somebody who would write them.

    What reads files that others made opens them by this: a FIFO or a device under the name of a file would make a
    reader wait for ever. Links are followed.

    Parameters
    ----------
    path : str or path
        Of a file, or the URL of an object.

    Returns
    -------
    binary file
        To be closed; a context manager.

    Raises
    ------
    IrregularFileError
        If it is a folder, FIFO, socket or device.
    OSError
        If it is missing or cannot be read.

    Examples
    --------
    >>> with open_regular(__file__) as file:
    ...     len(file.read(3))
    3
    >>> open_regular(os.devnull)
    Traceback (most recent call last):
    dissect_core.errors.IrregularFileError: /dev/null cannot be used: it is a device, not a regular file. ...
    """
    path = place_of(path)
    if is_remote(path):
        return cast("BinaryIO", path.open("rb"))
    require_regular(path)  # before it is opened, which alone may set a device off
    file = os.fdopen(os.open(path, os.O_RDONLY | sum(getattr(os, flag, 0) for flag in _FLAGS)), "rb")
    try:
        _require_regular(path, os.fstat(file.fileno()).st_mode)
    except BaseException:
        file.close()
        raise
    return file


def read_regular(path: str | os.PathLike[str]) -> bytes:
    """Read all of a file, without ever waiting for somebody who would write it; see `open_regular`.

    An object is read in one request, so that one that is being replaced is read whole, old or new.

    Raises
    ------
    IrregularFileError
        If it is a folder, FIFO, socket or device.
    OSError
        If it is missing or cannot be read.
    """
    path = place_of(path)
    if not is_remote(path):
        with open_regular(path) as file:
            return file.read()
    store: Any = path
    with reached(path):
        return bytes(store.fs.cat_file(store.path))


def require_regular(path: str | os.PathLike[str]) -> None:
    """Refuse a path where there is something else than a regular file, before a library opens it by its name.

    Raises
    ------
    IrregularFileError
        If it is a folder, FIFO, socket or device.
    OSError
        If it is missing.
    """
    _require_regular(path, Path(path).stat().st_mode)


def _require_regular(path: str | os.PathLike[str], mode: int) -> None:
    if not stat.S_ISREG(mode):
        what = next((name for is_kind, name in _KINDS if is_kind(mode)), "no file")
        code = errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL
        raise IrregularFileError(code, f"it is {what}, not a regular file", os.fspath(path))


def write_whole(
    path: str | Path, write: Callable[[BinaryIO], object], error: type[DissectError] = CheckpointError
) -> None:
    """Write a file beside its place, and move it there in one step once it has reached the disk.

    In an object store it is sent in one piece, and seen when all of it has arrived.

    Raises
    ------
    CheckpointError, or the `error` given
        If the folder is missing, `path` is a folder, or the disk refuses. Errors of `write` pass through;
        `path` is then what it was before.
    """
    path = place_of(path)
    if is_remote(path):
        _send(path, write, error)
        return
    path = path.resolve()
    if not path.parent.is_dir():
        raise error(f"{path} cannot be written: its folder does not exist. Create {path.parent} first.")
    if path.is_dir():
        raise error(f"{path} cannot be written: it is a folder. Give the name of a file in it.")
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{TEMPORARY}")
    try:
        with temporary.open("xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as cause:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(cause, OSError):
            raise error(f"{path} cannot be written: {cause.strerror or cause}.") from cause
        raise
    sync_folder(path.parent)


def _send(place: Path, write: Callable[[BinaryIO], object], error: type[DissectError]) -> None:
    content = io.BytesIO()
    write(content)
    try:
        with reached(place, error):
            place.write_bytes(content.getvalue())
    except OSError as cause:
        raise error(f"{place} cannot be written: {cause.strerror or cause}.") from cause


def sync_folder(folder: Path) -> None:
    """Make the new name itself durable, where the system can (Windows cannot open folders)."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
