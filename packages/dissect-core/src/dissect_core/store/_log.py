"""The log of a study: events of its runs, as lines of JSON."""

import json
import os
import secrets
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ..errors import StudyError
from ..storage.files import append_whole, open_regular, read_regular, why_refused
from ..storage.locations import is_remote, reached
from ..text import cut
from . import _file_names, _small_files

SECONDS_BETWEEN_WRITES = 5.0
BYTES_AT_MOST = 2**26
CHARACTERS_OF_A_LINE = 2**20


class Log:
    """The log of a study's folder, to append to.

    An object store cannot append: there, a run has an object of its own, which is written anew now and then.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lines: list[str] = []
        self._written, self._at = 0, 0.0
        # By name they are in the order of the runs; two may begin within a second.
        begun = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S.%fZ")
        self._name = f"log-{begun}-{secrets.token_hex(3)}.jsonl"

    def append(self, event: str, **fields: Any) -> None:
        """Append a line.

        Raises
        ------
        StudyError
            If it cannot be written.
        """
        entry = {"time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "event": event, **fields}
        line = json.dumps(entry, ensure_ascii=False) + "\n"
        if is_remote(self._folder):
            self._lines.append(line)
            if time.monotonic() - self._at > SECONDS_BETWEEN_WRITES:
                self.flush()
            return
        path = self._folder / _file_names.LOG
        try:
            append_whole(path, line.encode(errors="backslashreplace"))  # names of files need not be Unicode
        except OSError as error:
            raise StudyError(f"{path} cannot be written: {why_refused(error)}.") from error

    def flush(self) -> None:
        """Write what is not written yet."""
        if len(self._lines) > self._written:
            with reached(self._folder):
                (self._folder / self._name).write_bytes("".join(self._lines).encode())
            self._written, self._at = len(self._lines), time.monotonic()


def read_log(folder: Path) -> list[dict[str, Any]]:
    """Return all entries in order; lines that a kill cut short, and lines that are no entries, are left out.

    Of a log beyond all measure only its end is read.
    """
    if is_remote(folder):
        with reached(folder):
            parts = sorted(folder.glob("log-*.jsonl"), key=lambda part: part.name)
            texts = [read_regular(part).decode(errors="replace") for part in parts]
    else:
        try:
            with open_regular(folder / _file_names.LOG) as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - BYTES_AT_MOST))
                texts = [file.read(BYTES_AT_MOST).decode(errors="replace")]
        except FileNotFoundError:
            texts = []
        except OSError as error:
            raise StudyError(
                f"{folder / _file_names.LOG} cannot be read: {error.strerror or error}."
            ) from error
    entries = [_entry(line) for text in texts for line in text.splitlines()]
    return [entry for entry in entries if entry is not None]


def is_said_finished(folder: Path) -> bool:
    """Return whether the log says that a run has finished the study."""
    return any(entry["event"] == "finished" for entry in read_log(folder))


def _entry(line: str) -> dict[str, Any] | None:
    if len(line) > CHARACTERS_OF_A_LINE:
        return None
    try:
        entry = _small_files.parse_json(line.encode(errors="replace"))
    except (ValueError, RecursionError):
        return None
    is_entry = isinstance(entry, dict) and all(isinstance(entry.get(name), str) for name in ("event", "time"))
    return {**entry, "event": cut(entry["event"]), "time": cut(entry["time"])} if is_entry else None
