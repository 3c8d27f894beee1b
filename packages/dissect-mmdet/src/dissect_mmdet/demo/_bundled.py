"""What this package brings along: files of trained detectors, and scenes, drawn once into a folder for caches."""

from __future__ import annotations

import json
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from dissect_core.names import near_matches
from dissect_core.storage import claim_folder, own_folder, read_regular, why_refused, write_text_whole

from .._cache import CACHE, cache_folder
from ..errors import DissectMMDetError, UnknownDemoError
from ._data import FORMAT_VERSION, write_split
from ._scenes import file_name, image_ids

DEMO_DETECTORS: dict[str, str] = {
    "detr": "DETR",
    "deformable_detr": "Deformable DETR",
    "dino": "DINO",
}
"""Name of each bundled detector and how to write it in a title."""

_FOLDER = Path(__file__).parent

N_SCENES = 200
SPLIT = "test"
LONGEST_S = 600
"""Seconds to wait for another process that draws them, which takes a few."""
_CHECKSUMS = "checksums.json"


class DemoFiles(NamedTuple):
    """Where a bundled detector lies.

    Attributes
    ----------
    config, checkpoint : Path
        An MMDetection config and a checkpoint for it.
    """

    config: Path
    checkpoint: Path


def demo_files(name: str) -> DemoFiles:
    """Return config and checkpoint of a bundled detector.

    Parameters
    ----------
    name : {"detr", "deformable_detr", "dino"}

    Raises
    ------
    UnknownDemoError
        If there is no such detector; near matches are named.

    Examples
    --------
    >>> demo_files("dino").config.name
    'dino.py'
    """
    if name not in DEMO_DETECTORS:
        near = near_matches(name, DEMO_DETECTORS)
        raise UnknownDemoError(
            f"`name` must be one of {', '.join(DEMO_DETECTORS)}, got {name!r}."
            + (f" Near matches: {', '.join(near)}." if near else "")
        )
    return DemoFiles(_FOLDER / "configs" / f"{name}.py", _FOLDER / "weights" / f"{name}.pth")


def scenes() -> tuple[Path, Path]:
    """Return the annotation file and the image folder of the demo scenes, which are ``demo:scenes``.

    The first call on a machine draws them into the user's folder for caches, or into the one that the environment
    variable ``DEEP_DISSECT_CACHE`` names; later ones look whether all is as it was written, and mend what is not. Any
    number of processes may do so at the same time.

    Returns
    -------
    annotations, images : Path
        What ``write_split(folder, "test", 200)`` writes, byte for byte.

    Raises
    ------
    DissectMMDetError
        If the folder holds somebody else's files, is a link, or cannot be written.
    """
    folder = cache_folder() / f"scenes-{FORMAT_VERSION}-opencv-{_opencv()}"
    annotations, images = folder / "annotations" / f"instances_{SPLIT}.json", folder / SPLIT
    if not _is_whole(folder):
        _write(folder)
    return annotations, images


def _opencv() -> str:
    """Return the version of OpenCV: another one may compress the same picture to other bytes."""
    import cv2

    return str(cv2.__version__)


def _names() -> list[str]:
    """Return the names of all files, below the folder."""
    pictures = [f"{SPLIT}/{file_name(int(number))}" for number in image_ids(SPLIT, N_SCENES)]
    return [*pictures, f"annotations/instances_{SPLIT}.json"]


def _is_whole(folder: Path) -> bool:
    """Return whether a folder holds all files with the content that was written."""
    if folder.is_symlink():
        return False
    try:
        checksums = json.loads(read_regular(folder / _CHECKSUMS))
        return all(_checksum(folder / name) == checksums[name] for name in _names())
    except (OSError, ValueError, LookupError, TypeError, RecursionError):  # missing or damaged
        return False


def _checksum(path: Path) -> str:
    return sha256(read_regular(path)).hexdigest()


def _write(folder: Path) -> None:
    """Draw the scenes, unless another process does so: then wait until it has."""
    from filelock import FileLock

    remedy = f"the environment variable {CACHE} name another folder."
    if folder.is_symlink():
        raise DissectMMDetError(
            f"the folder of the demo scenes {folder} is a link. Remove it, or let {remedy}"
        )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder.parent):
            pass  # where no file can be made, the lock would be waited for in vain
        with FileLock(folder.with_name(f".{folder.name}.lock"), timeout=LONGEST_S):
            if not _is_whole(folder):
                _mend(folder)
    except OSError as error:
        raise DissectMMDetError(
            f"the demo scenes cannot be written to {folder}: {why_refused(error)}. Let {remedy}"
        ) from error
    except DissectMMDetError as error:
        raise DissectMMDetError(f"{error} Let {remedy}") from error


def _mend(folder: Path) -> None:
    """Draw the scenes beside their place, then move each file there that is missing or differs.

    Whoever reads the folder meanwhile sees each file whole. The checksums come last: without them it is drawn again.
    """
    claim_folder(folder, "the folder of the demo scenes", DissectMMDetError)
    for part in (folder / SPLIT, folder / "annotations"):
        own_folder(part, DissectMMDetError)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as name:
        beside = Path(name)
        write_split(beside, SPLIT, N_SCENES)
        checksums = {name: _checksum(beside / name) for name in _names()}
        for name, checksum in checksums.items():
            if not _holds(folder / name, checksum):
                (beside / name).replace(folder / name)
    write_text_whole(folder / _CHECKSUMS, json.dumps(checksums), DissectMMDetError)


def _holds(path: Path, checksum: str) -> bool:
    """Return whether there is a file of its own, no link, with this content."""
    try:
        return not path.is_symlink() and _checksum(path) == checksum
    except OSError:
        return False
