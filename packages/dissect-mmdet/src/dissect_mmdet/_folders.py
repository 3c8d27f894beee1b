"""Folders that this package fills: never one that holds somebody else's files."""

from __future__ import annotations

from pathlib import Path

from dissect_core.storage.files import why_refused, write_whole

from .errors import DissectMMDetError

MARK = ".deep-dissect"


def claim_folder(folder: Path, option: str) -> None:
    """Make a folder, or check that it is empty or was made here before.

    Raises
    ------
    DissectMMDetError
        If it holds files and no mark of this package, or cannot be made; the message names `option`.
    """
    try:
        if folder.is_dir() and not (folder / MARK).exists() and any(folder.iterdir()):
            raise DissectMMDetError(
                f"{option} {folder} holds files that Deep Dissect did not write: choose a new or empty folder."
            )
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DissectMMDetError(f"{option} {folder} cannot be written: {why_refused(error)}.") from error
    if not (folder / MARK).exists():
        write_whole(folder / MARK, lambda _file: None, DissectMMDetError)
