"""Files and folders for results: checked before long work, so that nothing of somebody else's is lost by it."""

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryFile

from ..errors import DissectError, StudyError
from .files import require_replaceable, why_refused, write_bytes_whole

MARK = ".deep-dissect"
"""Name of the empty file that marks a folder as filled by Deep Dissect."""


def check_output(
    path: Path,
    option: str,
    *,
    force: bool,
    inputs: Iterable[Path | None] = (),
    error: type[DissectError] = StudyError,
) -> None:
    """Check before long work that its result can be written to a file, and that nothing is lost by that.

    Parameters
    ----------
    path : Path
        The file. Missing folders above it are made.
    option : str
        What the file was given as, for messages.
    force : bool
        Whether a file that is there may be replaced.
    inputs : iterable of (Path or None)
        Files that the work reads, which must not be replaced.
    error : type
        Class of the errors.

    Raises
    ------
    StudyError, or the `error` given
        If the file is an input, exists and `force` is not set, is a folder, FIFO or device, or its folder cannot be
        written.

    Examples
    --------
    >>> check_output(Path("/"), "--out", force=True)
    Traceback (most recent call last):
    dissect_core.errors.StudyError: --out / is a folder: give a file, for instance /detections.json.
    """
    if path.exists() and any(
        given is not None and given.exists() and path.samefile(given) for given in inputs
    ):
        raise error(f"{option} {path} is an input of this command: choose another file.")
    if path.is_dir():
        raise error(f"{option} {path} is a folder: give a file, for instance {path / 'detections.json'}.")
    if path.exists() and not force:
        raise error(f"{option} {path} exists already: choose another file, or --force to replace it.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=path.parent):
            require_replaceable(path, error)
    except OSError as cause:
        raise error(f"{option} {path} cannot be written: {why_refused(cause)}.") from cause


def claim_folder(folder: Path, option: str, error: type[DissectError] = StudyError) -> None:
    """Make a folder that is to be filled, or check that it is empty or was filled by Deep Dissect before.

    Parameters
    ----------
    folder : Path
    option : str
        What the folder was given as, for messages.
    error : type
        Class of the errors.

    Raises
    ------
    StudyError, or the `error` given
        If it holds files and no mark of Deep Dissect, or cannot be made.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp()) / "images"
    >>> claim_folder(folder, "--out")
    >>> [entry.name for entry in folder.iterdir()]
    ['.deep-dissect']
    """
    try:
        if folder.is_dir() and not (folder / MARK).exists() and any(folder.iterdir()):
            raise error(
                f"{option} {folder} holds files that Deep Dissect did not write: choose a new or empty folder."
            )
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as cause:
        raise error(f"{option} {folder} cannot be written: {why_refused(cause)}.") from cause
    if not (folder / MARK).exists():
        write_bytes_whole(folder / MARK, b"", error)
