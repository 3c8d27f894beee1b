"""The head of a study's tables, `summary.json`: the settings they were measured with, and their checksums."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from ..._files import read_regular
from ...errors import StudyDataError

__all__ = [
    "ABOUT",
    "AlteredTablesError",
    "content_of",
    "read_about",
    "require_written",
    "sealed",
    "unreadable",
]

ABOUT = "summary.json"
_SEAL = "sha256"
_REMEDY = "Delete the file if it exists, and measure the study again with `deep-dissect report`."


class AlteredTablesError(StudyDataError):
    """Tables of a study differ from what was written."""


def sealed(about: Mapping[str, Any]) -> dict[str, Any]:
    """Return the mapping with a checksum of its content added."""
    rest = {name: value for name, value in about.items() if name != _SEAL}
    read_again = json.loads(json.dumps(rest))  # keys that are numbers become texts, and are sorted as texts
    text = json.dumps(read_again, sort_keys=True, separators=(",", ":"))
    return {**rest, _SEAL: sha256(text.encode()).hexdigest()}


def read_about(path: Path) -> dict[str, Any]:
    """Read a mapping that `sealed` has added a checksum to, and verify that; earlier versions had none.

    Raises
    ------
    StudyDataError
        If it cannot be read, or is not what was written.
    """
    try:
        about = json.loads(content_of(path))
    except (OSError, ValueError, RecursionError) as error:
        raise unreadable(path, error) from error
    if not isinstance(about, dict) or not isinstance(about.get("settings"), dict):
        raise unreadable(path, "it has no `settings`")
    if _SEAL in about and sealed(about)[_SEAL] != about[_SEAL]:
        raise _altered(path)
    about.pop(_SEAL, None)
    return about


def content_of(path: Path) -> bytes:
    """Return all bytes of a file; in an object store its path is one of universal-pathlib."""
    return read_regular(path) if isinstance(path, Path) else path.read_bytes()


def require_written(path: Path, content: bytes, sums: Any) -> None:
    """Verify that a table is what was written, by the checksums in the head; earlier versions had none.

    Raises
    ------
    AlteredTablesError
        If it is not.
    """
    if isinstance(sums, dict) and sha256(content).hexdigest() != sums.get(path.name):
        raise _altered(path)


def unreadable(path: Path, reason: object) -> StudyDataError:
    """Return an error that says that a table cannot be read, why, and what to do."""
    text = " ".join(str(reason).split()).rstrip(".")[:300]
    return StudyDataError(f"{path} cannot be read: {text}. {_REMEDY}")


def _altered(path: Path) -> AlteredTablesError:
    return AlteredTablesError(f"{path} is damaged: it is not what was written. {_REMEDY}")
