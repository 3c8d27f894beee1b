"""Text files that are written whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryFile

from dissect_core.storage.files import require_replaceable, why_refused, write_whole

from .errors import DissectMMDetError


def write_text_whole(path: Path, text: str) -> None:
    """Write a text file beside its place and rename it, so that nobody ever sees half of it.

    Missing folders are made. On any failure the former content stays. A link is replaced, not what it leads to.

    Raises
    ------
    DissectMMDetError
        If the folder cannot be made, there is something else than a file, or the disk refuses.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "results" / "numbers.json"
    >>> write_text_whole(file, "[1, 2]")
    >>> file.read_text(), [entry.name for entry in file.parent.iterdir()]
    ('[1, 2]', ['numbers.json'])
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DissectMMDetError(f"{path.parent} cannot be made: {why_refused(error)}.") from error
    write_whole(path, lambda file: file.write(text.encode()), DissectMMDetError)


def check_output(path: Path, option: str, *, force: bool, inputs: Iterable[Path | None] = ()) -> None:
    """Check before long work that a file can be written after it, and that nothing is lost by that.

    Raises
    ------
    DissectMMDetError
        If the file is an input, exists and `force` is not set, is a folder, FIFO or device, or its folder cannot be
        written.
    """
    if path.exists() and any(
        given is not None and given.exists() and path.samefile(given) for given in inputs
    ):
        raise DissectMMDetError(f"{option} {path} is an input of this command: choose another file.")
    if path.is_dir():
        raise DissectMMDetError(
            f"{option} {path} is a folder: give a file, for instance {path / 'detections.json'}."
        )
    if path.exists() and not force:
        raise DissectMMDetError(
            f"{option} {path} exists already: choose another file, or --force to replace it."
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=path.parent):
            require_replaceable(path, DissectMMDetError)
    except OSError as error:
        raise DissectMMDetError(f"{option} {path} cannot be written: {why_refused(error)}.") from error
