"""Which studies were run or looked at on this machine last, wherever they lie. No widgets in here."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

from platformdirs import user_state_path

from dissect_core import StudyError
from dissect_core.storage import write_bytes_whole

__all__ = ["PLACE", "recent_studies", "remember_study"]

PLACE = "DEEP_DISSECT_STATE"
"""Environment variable that names another folder than the user's own; if it is empty, nothing is remembered."""
KEPT = 20
FILE = "recent-studies.json"
LARGEST = 2**18

_LOCK = threading.Lock()


def remember_study(folder: Path) -> None:
    """Put a study's folder first in the list of recent ones; where that cannot be written, nothing happens."""
    file = _file()
    if file is None:
        return
    with _LOCK:
        others = [one for one in recent_studies() if one != folder.absolute()]
        kept = [str(one) for one in (folder.absolute(), *others)][:KEPT]
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_bytes_whole(file, json.dumps(kept, indent=1).encode(), StudyError)
        except (OSError, StudyError, UnicodeEncodeError):
            return  # a convenience: no reason to fail


def recent_studies() -> list[Path]:
    """Return the folders of recent studies, the latest first; what is no longer there is left out.

    Examples
    --------
    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     os.environ["DEEP_DISSECT_STATE"] = folder
    ...     remember_study(Path(folder))
    ...     recent_studies() == [Path(folder)]
    ...     del os.environ["DEEP_DISSECT_STATE"]
    True
    """
    file = _file()
    try:
        if file is None or file.stat().st_size > LARGEST:
            return []
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return []
    named = [one for one in content if isinstance(one, str)] if isinstance(content, list) else []
    return [path for one in named if "\0" not in one and (path := Path(one)).is_absolute() and path.is_dir()]


def _file() -> Path | None:
    named = os.environ.get(PLACE)
    if named == "":
        return None
    folder = Path(named).absolute() if named else user_state_path("deep-dissect", appauthor=False)
    return folder / FILE
