"""Writing checkpoints whole or not at all."""

import os
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import torch

from ..errors import CheckpointError


def save_checkpoint(checkpoint: Mapping[str, Any], path: str | Path) -> None:
    """Write a checkpoint with `torch.save`, so that there is never a half-written file under its name.

    The content goes to a temporary file beside `path`, reaches the disk, and takes the place of `path` in one
    step. After a failure, or a kill at any moment, `path` is what it was before.

    Parameters
    ----------
    checkpoint : mapping
        What to write: usually ``{"state_dict": ..., "meta": ...}``.
    path : str or Path
        The file, in a folder that exists. An older file is replaced; of a symbolic link, the file
        it leads to.

    Raises
    ------
    CheckpointError
        If the folder is missing, `path` is a folder, the disk refuses, or the content cannot be pickled.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_checkpoint({"state_dict": {"weight": torch.ones(2)}}, Path(folder) / "model.pth")
    ...     [file.name for file in Path(folder).iterdir()]
    ['model.pth']
    """
    try:
        write_whole(path, lambda file: torch.save(checkpoint, file))
    except Exception as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(
            f"{Path(path).resolve()} cannot be written: {error}. "
            "A checkpoint may hold tensors, and objects that can be pickled."
        ) from error


def write_whole(path: str | Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file beside its place, and move it there in one step once it has reached the disk.

    Raises
    ------
    CheckpointError
        If the folder is missing, `path` is a folder, or the disk refuses. Errors of `write` pass through;
        `path` is then what it was before.
    """
    path = Path(path).resolve()
    if not path.parent.is_dir():
        raise CheckpointError(
            f"{path} cannot be written: its folder does not exist. Create {path.parent} first."
        )
    if path.is_dir():
        raise CheckpointError(f"{path} cannot be written: it is a folder. Give the name of a file in it.")
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise CheckpointError(f"{path} cannot be written: {error.strerror or error}.") from error
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make the new name itself durable, where the system can (Windows cannot open folders)."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
