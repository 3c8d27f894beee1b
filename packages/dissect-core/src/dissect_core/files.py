"""Files that are written whole or not at all."""

import io
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from .errors import CheckpointError, DissectError
from .places import is_remote, place_of, reached

TEMPORARY = ".tmp"
"""How the names of files end that are not whole yet; they begin with a dot."""


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
