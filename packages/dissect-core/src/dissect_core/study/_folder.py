"""A study's folder: made whole, filled shard by shard, and never with results of another study."""

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa

from ..errors import StudyChangedError, StudyError
from ..files import TEMPORARY
from ..spec import StudySpec
from . import _layout
from ._create import ImageRef, make_folder
from ._facts import FORMAT, differences, fingerprint, listed
from ._frozen import read_frozen
from ._lock import locked
from ._rows import Row, rows_to_table
from ._shards import is_whole, read_shard, write_shard


class StudyFolder:
    """A study's folder, to write into; `Study` reads one.

    Images come in batches of a fixed size, and some whole batches make a shard. A finished batch is kept as a part,
    and the parts of a finished shard become its file. All files are moved into place when they are whole.

    Parameters
    ----------
    path : Path
        A folder made by `create`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.frozen, self.n_variants, self.n_images = read_frozen(path)
        self.fingerprint = fingerprint(self.frozen)
        self.batch_size: int = self.frozen["batch_size"]
        self.shard_batches: int = self.frozen["shard_batches"]

    @classmethod
    def create(
        cls,
        path: Path,
        spec: StudySpec,
        facts: Mapping[str, Any],
        plan: Sequence[Mapping[str, Any]],
        images: Sequence[ImageRef],
        *,
        batch_size: int = 1,
        shard_batches: int = 32,
        files: Mapping[str, bytes] | None = None,
        notes: Mapping[str, Any] | None = None,
    ) -> "StudyFolder":
        """Make a study's folder, or open one of the same study to go on with it.

        Parameters
        ----------
        path : Path
            A folder that is not there, is empty, or holds this study.
        spec : StudySpec
        facts : mapping
            What else must be the same when the study goes on, as plain data: versions, checksums, the device.
        plan : sequence of mapping
            A row for each variant, as plain data, the baseline first; `id` is its name.
        images : sequence of ImageRef
        batch_size, shard_batches : int
            Images of a batch, and batches of a shard.
        files : mapping of str to bytes, optional
            Further files to keep in the folder, such as the truth.
        notes : mapping, optional
            Plain data that may differ when the study goes on, for the record.

        Raises
        ------
        StudyChangedError
            If the folder holds a study that differs; all differences are named.
        StudyError
            If it holds something else, or cannot be written.
        """
        frozen = {
            **facts,
            "format": FORMAT,
            "spec": spec.model_dump(mode="json"),
            "plan": fingerprint({"rows": list(plan)}),
            "variants": len(plan),
            "images": {"count": len(images), "sha256": fingerprint({"images": [list(i) for i in images]})},
            "batch_size": batch_size,
            "shard_batches": shard_batches,
        }
        # As it will be read again: tuples are lists in JSON.
        frozen = json.loads(json.dumps(frozen))
        if (path / _layout.ENVIRONMENT).is_file():
            return cls._continued(path, frozen)
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise StudyError(f"{path} holds files and is no study. Give a new or empty folder.")
        make_folder(path, spec, frozen, plan, images, files or {}, notes or {})
        return cls(path)

    @classmethod
    def _continued(cls, path: Path, frozen: Mapping[str, Any]) -> "StudyFolder":
        folder = cls(path)
        changed = differences(folder.frozen, frozen)
        # A checksum says nothing to people where the spec behind it says what has changed.
        told = [line for line in changed if not line.startswith("plan was ")]
        if changed:
            raise StudyChangedError(
                f"The study in {path} cannot go on, since it is another one: {listed(told or changed)}. Restore what "
                "it was, or start another folder (`--force-new` on the command line)."
            )
        return folder

    @property
    def batches(self) -> list[range]:
        """Images of each batch."""
        size = self.batch_size
        return [range(i, min(i + size, self.n_images)) for i in range(0, self.n_images, size)]

    @property
    def shards(self) -> list[range]:
        """Batches of each shard."""
        n, size = len(self.batches), self.shard_batches
        return [range(i, min(i + size, n)) for i in range(0, n, size)]

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder alone, and clear away what a run that was killed has left half-written.

        Raises
        ------
        StudyLockedError
            If another run holds it.
        """
        with locked(self.path) as before:
            if before is not None:
                self.log("taken over", **{k: before[k] for k in ("host", "pid", "since") if k in before})
            for place in (self.path, self.path / _layout.DETECTIONS):
                for left in place.glob(f".*{TEMPORARY}"):
                    with suppress(OSError):
                        left.unlink()
            yield

    def done(self) -> list[bool]:
        """Whether each batch is finished; files that are damaged do not count."""
        done = [False] * len(self.batches)
        for number, batches in enumerate(self.shards):
            if self._is_whole(self._shard(number), batches):
                done[batches.start : batches.stop] = [True] * len(batches)
                continue
            for batch in batches:
                done[batch] = self._is_whole(self._part(number, batch), range(batch, batch + 1))
        return done

    def write_batch(self, batch: int, rows: Iterable[Row]) -> None:
        """Keep a finished batch; with the last one of a shard, the shard.

        Raises
        ------
        StudyError
            If the rows are not one for each variant and image of the batch, or cannot be written.
        """
        table = rows_to_table(rows)
        self._require_all(table, batch)
        number = batch // self.shard_batches
        if len(self.shards[number]) == 1:
            write_shard(self._shard(number), table, self.fingerprint)
            return
        write_shard(self._part(number, batch), table, self.fingerprint)
        self.join(number)

    def join(self, number: int) -> None:
        """Make a shard of its parts, if all are there."""
        batches = self.shards[number]
        parts = [self._part(number, batch) for batch in batches]
        if not self._shard(number).exists() and all(part.exists() for part in parts):
            tables = [read_shard(part, self.fingerprint) for part in parts]
            order = [("variant", "ascending"), ("image", "ascending")]
            write_shard(self._shard(number), pa.concat_tables(tables).sort_by(order), self.fingerprint)
        if self._is_whole(self._shard(number), batches):
            for part in parts:
                with suppress(OSError):
                    part.unlink()

    def tidy(self) -> None:
        """Join what a killed run has left in parts, and drop what is damaged."""
        for number, batches in enumerate(self.shards):
            shard = self._shard(number)
            if shard.exists() and not self._is_whole(shard, batches):
                self.log("damaged", file=shard.name)
                shard.unlink()
            for batch in batches:
                part = self._part(number, batch)
                if part.exists() and not self._is_whole(part, range(batch, batch + 1)):
                    self.log("damaged", file=part.name)
                    part.unlink()
            self.join(number)

    def log(self, event: str, **fields: Any) -> None:
        """Append a line to the log."""
        entry = {"time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "event": event, **fields}
        try:
            with (self.path / _layout.LOG).open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry, ensure_ascii=False) + "\n")
        except OSError as error:
            raise StudyError(f"{self.path / _layout.LOG} cannot be written: {error.strerror}.") from error

    def _shard(self, number: int) -> Path:
        return self.path / _layout.DETECTIONS / _layout.shard_name(number)

    def _part(self, number: int, batch: int) -> Path:
        return self.path / _layout.DETECTIONS / _layout.part_name(number, batch)

    def _n_rows(self, batches: range) -> int:
        n_images = sum(len(self.batches[batch]) for batch in batches)
        return n_images * self.n_variants

    def _is_whole(self, path: Path, batches: range) -> bool:
        return is_whole(path, self.fingerprint, self._n_rows(batches))

    def _require_all(self, table: pa.Table, batch: int) -> None:
        images = self.batches[batch]
        expected = [(v, i) for v in range(self.n_variants) for i in images]
        given = list(zip(table.column("variant").to_pylist(), table.column("image").to_pylist(), strict=True))
        if given != expected:
            raise StudyError(
                f"Batch {batch} must have one row for each of {self.n_variants} variants and {len(images)} images, got "
                f"{len(given)} rows. This is a fault of the runner."
            )
