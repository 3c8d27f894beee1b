"""Writing checkpoints whole or not at all."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ...errors import CheckpointError
from ...storage.files import write_whole


def save_checkpoint(checkpoint: Mapping[str, Any], path: str | Path) -> None:
    """Write a checkpoint with `torch.save`, so that there is never a half-written file under its name.

    The content goes to a temporary file beside `path`, reaches the disk, and takes the place of `path` in one
    step. After a failure, or a kill at any moment, `path` is what it was before.

    Parameters
    ----------
    checkpoint : mapping
        What to write: usually ``{"state_dict": ..., "meta": ...}``.
    path : str or Path
        The file, in a folder that exists. An older file is replaced, or a link itself, never what it leads to.

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
