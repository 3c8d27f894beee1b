"""Bundled detectors and images by name, as entry points offer them: ``demo:detr``, ``demo:scenes`` …

Nothing that takes long is imported here: whoever looks for a name needs no torch.
"""

from __future__ import annotations

import json
import os
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from platformdirs import user_cache_path

from dissect_core.names import near_matches
from dissect_core.spec import DetectorSpec
from dissect_core.storage import claim_folder, own_folder, read_regular, why_refused, write_text_whole

from .errors import DissectMMDetError

CACHE = "DEEP_DISSECT_CACHE"
"""Environment variable that names another folder for scenes than the user's folder for caches."""
N_SCENES = 200
SPLIT = "test"
_CHECKSUMS = "checksums.json"


DEMO_DETECTORS: dict[str, str] = {
    "detr": "DETR",
    "deformable_detr": "Deformable DETR",
    "dino": "DINO",
}
"""Name of each bundled detector and how to write it in a title."""

_FOLDER = Path(__file__).with_name("demo")


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
    ValueError
        If there is no such detector.

    Examples
    --------
    >>> demo_files("dino").config.name
    'dino.py'
    """
    if name not in DEMO_DETECTORS:
        raise ValueError(f"name must be one of {', '.join(DEMO_DETECTORS)}, got {name!r}")
    return DemoFiles(_FOLDER / "configs" / f"{name}.py", _FOLDER / "weights" / f"{name}.pth")


BUNDLED = "demo:"
"""What a checkpoint's name begins with if it stands for a bundled one."""


def real_checkpoint(path: Path | str) -> Path:
    """Return the file of a checkpoint; ``demo:detr`` stands for a bundled one.

    Raises
    ------
    DissectMMDetError
        If no bundled detector has the name.

    Examples
    --------
    >>> real_checkpoint("demo:dino").name, real_checkpoint("mine.pth").name
    ('dino.pth', 'mine.pth')
    """
    if not str(path).startswith(BUNDLED):
        return Path(path)
    name = str(path).removeprefix(BUNDLED)
    if name not in DEMO_DETECTORS:
        known = [f"{BUNDLED}{known}" for known in DEMO_DETECTORS]
        near = near_matches(str(path), known)
        raise DissectMMDetError(
            f"the checkpoint {path} must be one of the bundled ones, {', '.join(known)}, or a file."
            + (f" Near matches: {', '.join(near)}." if near else "")
        )
    return demo_files(name).checkpoint


def detr() -> DetectorSpec:
    """Return how to open the bundled DETR, which is ``demo:detr``.

    Examples
    --------
    >>> detr().adapter, detr().options
    ('mmdet', {'checkpoint': 'demo:detr'})
    """
    return _spec("detr")


def deformable_detr() -> DetectorSpec:
    """Return how to open the bundled Deformable DETR, which is ``demo:deformable_detr``."""
    return _spec("deformable_detr")


def dino() -> DetectorSpec:
    """Return how to open the bundled DINO, which is ``demo:dino``."""
    return _spec("dino")


def _spec(name: str) -> DetectorSpec:
    return DetectorSpec(adapter="mmdet", options={"checkpoint": f"demo:{name}"})


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
    from .demo import FORMAT_VERSION

    folder = _cache_folder() / f"scenes-{FORMAT_VERSION}-opencv-{_opencv()}"
    annotations, images = folder / "annotations" / f"instances_{SPLIT}.json", folder / SPLIT
    if not _is_whole(folder):
        _write(folder)
    return annotations, images


def _cache_folder() -> Path:
    named = os.environ.get(CACHE)
    return Path(named).absolute() if named else user_cache_path("deep-dissect", appauthor=False)


def _opencv() -> str:
    """Return the version of OpenCV: another one may compress the same picture to other bytes."""
    import cv2

    return str(cv2.__version__)


def _names() -> list[str]:
    """Return the names of all files, below the folder."""
    from .demo._scenes import file_name, image_ids

    pictures = [f"{SPLIT}/{file_name(int(number))}" for number in image_ids(SPLIT, N_SCENES)]
    return [*pictures, f"annotations/instances_{SPLIT}.json"]


def _is_whole(folder: Path) -> bool:
    """Return whether a folder holds all files with the content that was written."""
    if folder.is_symlink():
        return False
    try:
        checksums = json.loads(read_regular(folder / _CHECKSUMS))
        return all(_checksum(folder / name) == checksums[name] for name in _names())
    except (OSError, ValueError, LookupError, TypeError):  # missing or damaged
        return False


def _checksum(path: Path) -> str:
    return sha256(read_regular(path)).hexdigest()


def _write(folder: Path) -> None:
    """Draw the scenes beside their place, then move each file there that is missing or differs.

    Whoever reads or writes the same folder meanwhile sees each file whole, with the same content.
    """
    from .demo import write_split

    remedy = f"Remove it, or let the environment variable {CACHE} name another folder."
    if folder.is_symlink():
        raise DissectMMDetError(f"the folder of the demo scenes {folder} is a link. {remedy}")
    try:
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
    except OSError as error:
        raise DissectMMDetError(
            f"the demo scenes cannot be written to {folder}: {why_refused(error)}. {remedy}"
        ) from error
    except DissectMMDetError as error:
        raise DissectMMDetError(f"{error} {remedy}") from error


def _holds(path: Path, checksum: str) -> bool:
    """Return whether there is a file of its own, no link, with this content."""
    try:
        return not path.is_symlink() and _checksum(path) == checksum
    except OSError:
        return False
