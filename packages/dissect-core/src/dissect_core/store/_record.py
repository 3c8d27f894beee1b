"""The record of a study's folder, `environment.json`: its facts, and checksums of its files and of itself."""

import hashlib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from ..errors import StudyError
from ..storage.files import open_regular, write_whole
from ..storage.locations import is_remote, reached
from . import _file_names, _small_files
from ._facts import FIRST_CHECKED, FORMAT, fingerprint

_SEAL, _FILES, _FINISHED = "sha256", "files", "finished"
_MOST = 2**31 - 1
"""Most variants, and most images: their numbers are kept in 32 bits."""
_BLOCK = 2**20


class UncheckedStudyWarning(UserWarning):
    """A study's folder holds no checksums, as those of earlier versions do not."""


@dataclass(frozen=True)
class Record:
    """What stands in `environment.json`, once it is known to be whole.

    Attributes
    ----------
    folder : Path
    content : mapping
        `frozen`: what must be the same whenever the study goes on; `incidental`: what may differ; `files`: checksums.
    """

    folder: Path
    content: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path) -> "Record":
        """Read a folder's record.

        Raises
        ------
        StudyError
            If there is no study, it is damaged, or of a newer format.
        """
        if not is_remote(folder) and not folder.is_dir():
            raise StudyError(f"{folder} is no study: there is no such folder.")
        path = folder / _file_names.ENVIRONMENT
        content = _small_files.read_json(path)
        frozen = content.get("frozen") if isinstance(content, dict) else None
        if not isinstance(frozen, dict) or not _is_count(frozen.get("format"), 1):
            raise _damaged(path, "it holds no facts of a study")
        if frozen["format"] > FORMAT:
            raise StudyError(
                f"The study {folder} has the format {str(frozen['format'])[:20]}, this Deep Dissect knows up to "
                f"{FORMAT}. Install a newer one."
            )
        record = cls(folder, content)
        if (record.is_checked or _SEAL in content) and content.get(_SEAL) != _sealed(content)[_SEAL]:
            raise _damaged(path, "it is not what was written")
        if wrong := _wrong_fact(content, frozen):
            raise _damaged(path, wrong)
        return record

    @classmethod
    def write(
        cls, folder: Path, frozen: Mapping[str, Any], incidental: Mapping[str, Any], files: Mapping[str, str]
    ) -> "Record":
        """Write the record of a new folder, by which it is known as a study."""
        record = cls(folder, {"frozen": frozen, "incidental": incidental, _FILES: dict(files)})
        record._write(record.content)
        return record

    @cached_property
    def frozen(self) -> dict[str, Any]:
        """Facts that must stay the same whenever the study goes on."""
        return dict(self.content["frozen"])

    @property
    def is_checked(self) -> bool:
        """True if its files have checksums."""
        return int(self.content["frozen"]["format"]) >= FIRST_CHECKED

    @property
    def is_finished(self) -> bool:
        """True if a run has found all its shards there."""
        return self.is_checked and self.content.get(_FINISHED) is True

    @property
    def threads(self) -> int | None:
        """Number of threads that torch computes with in this study; None where that is not on record."""
        threads = self.content.get("incidental", {}).get("threads")
        return threads if _is_count(threads, 1) else None

    @property
    def names(self) -> list[str]:
        """Files that have checksums."""
        return list(self.content.get(_FILES, {})) if self.is_checked else []

    def has(self, name: str) -> bool:
        """Return whether a file is there and on record; one that is not on record was left by a killed run."""
        with reached(self.folder):
            there = (self.folder / name).exists()
        return there and (not self.is_checked or name in Record.read(self.folder).names)

    def read_file(self, name: str) -> bytes | None:
        """Return the content of a file, checked against its checksum; None if there is no such file.

        Raises
        ------
        StudyError
            If it is missing or another one.
        """
        content: list[bytes] = []

        def take(path: Path) -> str:
            content[:] = [_small_files.read_small(path)]
            return hashlib.sha256(content[0]).hexdigest()

        return content[0] if self._is_there(name, take) else None

    def file(self, name: str) -> Path | None:
        """Return the path of a file, once its content is checked; None if there is no such file. See `read_file`."""
        return self.folder / name if self._is_there(name, _sha256) else None

    def _is_there(self, name: str, digest_of: Any) -> bool:
        path, record = self.folder / name, self
        for is_last in (False, True):
            wanted = record._wanted(name)
            try:
                with reached(path):
                    found = digest_of(path)
            except FileNotFoundError:
                if not wanted:
                    return False
                found = None
            except OSError as error:
                raise StudyError(f"{path} cannot be read: {error.strerror or error}.") from error
            except MemoryError as error:
                raise _small_files.damaged(path, "it is too large to be read") from error
            if not record.is_checked or found in wanted:
                return True
            if is_last:
                break
            record = Record.read(self.folder)  # a run that is at work may have written both meanwhile
        if not wanted:  # not on record: left by a run that was killed
            return False
        if found is None:
            raise StudyError(
                f"The study {self.folder} is damaged: its {name} is missing. Restore it, or run the study again with "
                "`repair` (--repair)."
            )
        raise _small_files.damaged(path, "it is not what was written")

    def _wanted(self, name: str) -> list[str]:
        wanted = self.content.get(_FILES, {}).get(name, []) if self.is_checked else []
        return [wanted] if isinstance(wanted, str) else list(wanted)

    def keep(self, name: str, content: bytes) -> None:
        """Write a file, and its checksum; whoever reads meanwhile finds the old or the new one."""
        digest, path = hashlib.sha256(content).hexdigest(), self.folder / name
        now = Record.read(self.folder)
        if now._wanted(name):
            now._with_files({name: [digest, *now._wanted(name)]})
        write_whole(path, lambda file: file.write(content), StudyError)
        self.note(name, digest)

    def note(self, name: str, digest: str | None = None) -> None:
        """Put the checksum of a file that was written on record."""
        if self.is_checked:
            Record.read(self.folder)._with_files({name: digest or _sha256(self.folder / name)})

    def forget(self, name: str) -> None:
        """Take a file off the record."""
        now = Record.read(self.folder)
        files = {key: value for key, value in now.content.get(_FILES, {}).items() if key != name}
        self._write({**now.content, _FILES: files})

    def finish(self) -> None:
        """Put on record that all shards are there: one that is missing later is missed."""
        now = Record.read(self.folder)
        if now.is_checked and not now.is_finished:
            self._write({**now.content, _FINISHED: True})

    def warn_if_unchecked(self) -> None:
        """Say that a folder of an earlier version has no checksums, so that its files are trusted."""
        if not self.is_checked:
            warnings.warn(
                f"The study {self.folder} cannot be checked: it was begun by an earlier version, which kept no "
                "checksums. Damage to its files may go unseen.",
                UncheckedStudyWarning,
                stacklevel=2,
            )

    def _with_files(self, files: Mapping[str, Any]) -> None:
        self._write({**self.content, _FILES: {**self.content.get(_FILES, {}), **files}})

    def _write(self, content: Mapping[str, Any]) -> None:
        _small_files.write_json(self.folder / _file_names.ENVIRONMENT, _sealed(content))


def read_table(record: Record, name: str, columns: tuple[str, ...], n_rows: int) -> pa.Table:
    """Read a small table of a study.

    Raises
    ------
    StudyError
        If it is missing, damaged, or has other than so many rows.
    """
    content = record.read_file(name)
    if content is None:
        raise StudyError(f"The study {record.folder} is damaged: it holds no {name}.")
    return _small_files.decode_table(content, record.folder / name, columns, n_rows)


def _sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record with the checksum of everything in it."""
    rest = {name: value for name, value in content.items() if name != _SEAL}
    return {**rest, _SEAL: fingerprint(rest)}


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open_regular(path) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _damaged(path: Path, reason: str) -> StudyError:
    return StudyError(f"{path} is damaged: {reason}. Restore it from a copy, or begin the study anew.")


def _is_count(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= _MOST


def _wrong_fact(content: Mapping[str, Any], frozen: Mapping[str, Any]) -> str:
    """Say which entries of a record are impossible, of those used without another check; empty if none is."""
    images, detector, scoring = (frozen.get(name) for name in ("images", "detector", "scoring"))
    counts = {
        "`variants`": (frozen.get("variants"), 1),
        "`images.count`": (images.get("count") if isinstance(images, dict) else None, 1),
        "`batch_size`": (frozen.get("batch_size"), 1),
        "`shard_batches`": (frozen.get("shard_batches"), 1),
    }
    for name, (value, least) in counts.items():
        if not _is_count(value, least):
            return f"its {name} must be a number from {least} to {_MOST:,}, got {str(value)[:50]!r}"
    names = detector.get("class_names") if isinstance(detector, dict) else None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return "its `detector.class_names` must be a list of names"
    if not isinstance(frozen.get("spec"), dict):
        return "its `spec` must be a mapping"
    if not isinstance(content.get("incidental", {}), dict):
        return "its `incidental` must be a mapping"
    if scoring is not None and not _is_scoring(scoring):
        return "its `scoring` must be `common_classes` and a `class_map` of names"
    files = content.get(_FILES, {})
    if not isinstance(files, dict) or not all(map(_is_kept, files.items())):
        return "its `files` must be names and checksums"
    return ""


def _is_scoring(scoring: Any) -> bool:
    pairs = scoring.get("class_map", {}) if isinstance(scoring, dict) else None
    return (
        isinstance(pairs, dict)
        and isinstance(scoring.get("common_classes", False), bool)
        and all(isinstance(name, (str, type(None))) for name in pairs.values())
    )


def _is_kept(item: tuple[str, Any]) -> bool:
    """Return whether a name stays in the folder, and has one checksum, or two while its file is written anew."""
    name, digests = item
    parts = name.split("/")
    is_name = all(part not in ("", ".", "..") for part in parts) and "\\" not in name
    return is_name and (
        isinstance(digests, str)
        or (isinstance(digests, list) and all(isinstance(one, str) for one in digests))
    )
