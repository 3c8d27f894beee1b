"""Detectors in a folder and below it: checkpoints of MMDetection and folders of Transformers. No widgets in here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ..detector import CHECKPOINTS

__all__ = ["FoundDetector", "detectors_below"]

DEPTH = 2
FILES_LOOKED_AT = 20_000
"""Files and folders that are looked at; a home directory must not keep the page waiting."""
LARGEST_CONFIG = 2**20
WEIGHTS = ("model*.safetensors", "pytorch_model*.bin")


class FoundDetector(NamedTuple):
    """A detector that was found.

    Attributes
    ----------
    path : Path
        A checkpoint, or a folder of Transformers.
    about : str
        What it is, for people.
    """

    path: Path
    about: str


def detectors_below(folder: Path) -> list[FoundDetector]:
    """Return the detectors in a folder and two levels below it, the latest first; nothing is opened or run.

    Folders of Transformers that say that they detect objects and hold weights, and checkpoint files of MMDetection,
    which may turn out to be something else once they are opened.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "detr.pth").write_bytes(bytes(2_000_000))
    ...     [(one.path.name, one.about) for one in detectors_below(Path(folder))]
    [('detr.pth', 'checkpoint, 2 MB')]
    """
    found = []
    for number, path in enumerate(_walk(folder, DEPTH)):
        if number >= FILES_LOOKED_AT:
            break
        about = _about(path)
        if about:
            found.append((_changed(path), FoundDetector(path, about)))
    return [one for _, one in sorted(found, key=lambda pair: (-pair[0], str(pair[1].path)))]


def _walk(folder: Path, depth: int) -> Iterator[Path]:
    """Yield what lies in a folder and so many levels below, hidden things left out, links not followed."""
    try:
        inside = sorted(folder.iterdir())
    except OSError:
        return
    for path in inside:
        if path.name.startswith("."):
            continue
        yield path
        if depth and path.is_dir() and not path.is_symlink():
            yield from _walk(path, depth - 1)


def _about(path: Path) -> str:
    """Return what a file or folder is, if it is a detector by its looks; else an empty text."""
    try:
        if path.is_dir():
            return _about_folder(path)
        if path.suffix.lower() in CHECKPOINTS and path.suffix.lower() != ".safetensors":
            return f"checkpoint, {_megabytes(path.stat().st_size)}"
    except OSError:
        pass
    return ""


def _about_folder(path: Path) -> str:
    config = path / "config.json"
    if not config.is_file() or config.stat().st_size > LARGEST_CONFIG:
        return ""
    try:
        content = json.loads(config.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        return ""
    classes = content.get("architectures") if isinstance(content, dict) else None
    if not isinstance(classes, list) or not any(str(one).endswith("ForObjectDetection") for one in classes):
        return ""
    sizes = [file.stat().st_size for pattern in WEIGHTS for file in path.glob(pattern)]
    if not sizes:
        return ""
    kind = content.get("model_type")
    return f"Transformers, {kind if isinstance(kind, str) else 'of no named type'}, {_megabytes(sum(sizes))}"


def _megabytes(size: int) -> str:
    return f"{max(1, round(size / 1e6)):,} MB"


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
