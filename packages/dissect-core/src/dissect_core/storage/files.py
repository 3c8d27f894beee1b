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

from ..errors import CheckpointError, DissectError, IrregularFileError, StudyError
from .locations import is_remote, location_of, reached

TEMPORARY = ".tmp"
"""How the names of files end that are not whole yet; they begin with a dot."""

_KINDS = (
    (stat.S_ISREG, "a file"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISLNK, "a link"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
# As far as the system has them.
_FLAGS = sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_CLOEXEC", "O_NOCTTY", "O_BINARY"))


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a file to read its bytes, without ever waiting for somebody who would write them.

    What reads files that others made opens them by this: a FIFO or a device under the name of a file would make a
    reader wait for ever. Links are followed.

    Parameters
    ----------
    path : str or path
        Path of a file, or URL of an object.

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
    path = location_of(path)
    if is_remote(path):
        return cast("BinaryIO", path.open("rb"))
    require_regular(path)  # before it is opened, which alone may set a device off
    file = os.fdopen(os.open(path, os.O_RDONLY | _FLAGS), "rb")
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
    path = location_of(path)
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
        code = errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL
        raise IrregularFileError(code, f"it is {_kind(mode)}, not a regular file", os.fspath(path))


def _kind(mode: int) -> str:
    return next((name for is_kind, name in _KINDS if is_kind(mode)), "something else")


def write_whole(
    path: str | Path, write: Callable[[BinaryIO], object], error: type[DissectError] = CheckpointError
) -> None:
    """Write a file beside its place, and move it there in one step once it has reached the disk.

    Only a regular file is replaced. A link is replaced itself, and what it leads to stays as it is: in a folder that
    somebody sent, it may lead anywhere. In an object store the file is sent in one piece, and seen when all of it has
    arrived.

    Raises
    ------
    CheckpointError, or the `error` given
        If the folder is missing, `path` is a folder, FIFO or device, or the disk refuses. Errors of `write` pass
        through; `path` is then what it was before.
    """
    path = location_of(path)
    if is_remote(path):
        _send(path, write, error)
        return
    temporary = path.parent / f".{path.name}.{secrets.token_hex(4)}{TEMPORARY}"
    file: _Noting | None = None
    try:
        require_replaceable(path, error)
        file = _Noting(io.FileIO(temporary, "x"))
        with file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as cause:
        if file is not None:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
        refused = cause if isinstance(cause, OSError) else file and file.refused
        if refused and not isinstance(cause, (error, KeyboardInterrupt, SystemExit)):
            raise error(f"{path} cannot be written: {why_refused(refused)}.") from cause
        raise
    sync_folder(path.parent)


def write_bytes_whole(path: str | Path, content: bytes, error: type[DissectError] = StudyError) -> None:
    """Write bytes as a file, whole or not at all; see `write_whole`."""
    write_whole(path, lambda file: file.write(content), error)


def write_text_whole(path: Path, text: str, error: type[DissectError] = StudyError) -> None:
    """Write a text as a file in UTF-8, whole or not at all; see `write_whole`. Missing folders are made.

    Raises
    ------
    StudyError, or the `error` given
        If the folder cannot be made, there is something else than a file, or the disk refuses.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "results" / "numbers.json"
    >>> write_text_whole(file, "[1, 2]")
    >>> file.read_text(), [entry.name for entry in file.parent.iterdir()]
    ('[1, 2]', ['numbers.json'])
    """
    if not is_remote(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as cause:
            raise error(f"{path.parent} cannot be made: {why_refused(cause)}.") from cause
    write_bytes_whole(path, text.encode(), error)


class _Noting(io.BufferedWriter):
    """A file that notes what the disk refused: some libraries raise an error of their own instead."""

    refused: OSError | None = None

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            self.refused = error
            raise


def require_replaceable(path: Path, error: type[DissectError] = CheckpointError) -> None:
    """See that a file can be put at a place: in a folder that is there, and over nothing but a file or a link to one.

    Raises
    ------
    CheckpointError, or the `error` given
        If the folder is missing, or there is a folder, FIFO, socket or device.
    """
    if not path.parent.is_dir():
        raise error(f"{path} cannot be written: its folder does not exist. Create {path.parent} first.")
    try:
        mode = path.stat().st_mode
    except OSError:  # nothing is there, or a link that leads to nothing
        return
    if stat.S_ISDIR(mode):
        raise error(f"{path} cannot be written: it is a folder. Give the name of a file in it.")
    if not stat.S_ISREG(mode):
        raise error(f"{path} cannot be written: it is {_kind(mode)}, not a regular file. Give another name.")


def append_whole(path: Path, content: bytes) -> None:
    """Append to a file of a folder, all or nothing; it is made if it is missing.

    Raises
    ------
    IrregularFileError
        If it is a link, has another name (a hard link), or is no regular file: what is appended would go elsewhere.
    OSError
        If the disk refuses; the file is then what it was before.
    """
    require_own(path)
    descriptor = os.open(
        path, os.O_RDWR | os.O_APPEND | os.O_CREAT | _FLAGS | getattr(os, "O_NOFOLLOW", 0), 0o666
    )
    with os.fdopen(descriptor, "r+b", buffering=0) as file:
        _require_own(path, os.fstat(descriptor))
        size = file.seek(0, os.SEEK_END)
        if size:  # a kill may have torn the last line
            file.seek(size - 1)
            content = content if file.read(1) == b"\n" else b"\n" + content
        try:
            while content:
                content = content[file.write(content) :]
        except OSError:
            with suppress(OSError):
                file.truncate(size)
            raise


def require_own(path: Path) -> None:
    """See that a file, if it is there, is its folder's own, so that writing into it changes nothing elsewhere.

    Raises
    ------
    IrregularFileError
        If it is a link, has another name (a hard link), or is no regular file.
    """
    with suppress(FileNotFoundError):
        _require_own(path, path.lstat())


def _require_own(path: Path, found: os.stat_result) -> None:
    _require_regular(path, found.st_mode)
    if found.st_nlink > 1:
        why = "it has a second name (a hard link), whose content would change, too"
        raise IrregularFileError(errno.EMLINK, why, os.fspath(path))


def own_folder(path: Path, error: type[DissectError] = StudyError) -> None:
    """Make a folder inside another one, or see that it is one there, and no link that leads elsewhere.

    Raises
    ------
    StudyError, or the `error` given
        If it is a link or no folder, or cannot be made.
    """
    try:
        with suppress(FileExistsError):
            path.mkdir()
        mode = path.lstat().st_mode
    except OSError as cause:
        raise error(f"{path} cannot be made: {why_refused(cause)}.") from cause
    if not stat.S_ISDIR(mode):
        raise error(
            f"{path} cannot be written into: it is {_kind(mode)}, not a folder of {path.parent}. Put a folder there."
        )


FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
"""Numbers of the errors by which a disk says that it takes nothing more."""
_WHY = {
    errno.ENOSPC: "the disk is full. Make room on it, then do the same again",
    errno.EDQUOT: "your quota of the disk is used up. Make room in it, then do the same again",
    errno.EFBIG: "it would be larger than a file may be (see `ulimit -f`). Raise the limit, then do the same again",
    errno.EROFS: "the disk can only be read. Choose another folder",
    errno.EACCES: "permission denied. Choose another folder, or change who may write there",
    errno.EPERM: "permission denied. Choose another folder, or change who may write there",
}


def why_refused(cause: OSError) -> str:
    """Say for people why the disk refuses to write, with the remedy; without a full stop.

    Examples
    --------
    >>> why_refused(OSError(errno.ENOSPC, "No space left on device"))
    'the disk is full. Make room on it, then do the same again'
    """
    return _WHY.get(cause.errno or 0) or (cause.strerror or str(cause)).rstrip(".")


def _send(place: Path, write: Callable[[BinaryIO], object], error: type[DissectError]) -> None:
    content = io.BytesIO()
    write(content)
    try:
        with reached(place, error):
            place.write_bytes(content.getvalue())
    except OSError as cause:
        raise error(f"{place} cannot be written: {why_refused(cause)}.") from cause


def sync_folder(folder: Path) -> None:
    """Make the new name itself durable, where the system can (Windows cannot open folders)."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
