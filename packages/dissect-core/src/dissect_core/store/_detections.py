"""A study's files of detections: a part for each finished batch, which become the file of their shard."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import overload

import pyarrow as pa

from ..errors import StudyError
from ..storage import is_remote
from ..storage.locations import reached
from . import _file_names
from ._facts import fingerprint
from ._log import Log
from ._record import Record, read_table
from ._rows import Row, rows_to_table
from ._shards import MissingShardError, ShardFile, in_parallel, write_shard
from ._small_files import fault_of, put_aside

LISTINGS = 5
"""How often the folder is listed until all that is listed is there: a run that is at work joins parts."""


class Chunks(Sequence[range]):
    """The numbers from 0 to `total` in chunks of `size`, the last one shorter.

    However many there are, nothing is kept of them.

    Examples
    --------
    >>> list(Chunks(5, 2)), Chunks(5, 2)[-1]
    ([range(0, 2), range(2, 4), range(4, 5)], range(4, 5))
    """

    def __init__(self, total: int, size: int) -> None:
        self._total, self._size = total, size

    def __len__(self) -> int:
        return -(-self._total // self._size)

    @overload
    def __getitem__(self, index: int) -> range: ...

    @overload
    def __getitem__(self, index: slice) -> list[range]: ...

    def __getitem__(self, index: int | slice) -> "range | list[range]":
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        number = range(len(self))[index]
        return range(number * self._size, min((number + 1) * self._size, self._total))

    def __iter__(self) -> Iterator[range]:
        return (self[i] for i in range(len(self)))


class DetectionFiles:
    """The files of detections in a study's folder.

    Images come in batches of a fixed size, and some whole batches make a shard. A finished batch is kept as a part,
    and the parts of a finished shard become its file. Every file appears when it is whole.

    Parameters
    ----------
    record : Record
        Of the study.
    log : Log, optional
        Where damage is noted; the study's own.

    Attributes
    ----------
    folder : Path
    n_variants, n_images : int
    batch_size, shard_batches : int
        Images of a batch, and batches of a shard.
    """

    def __init__(self, record: Record, log: Log | None = None) -> None:
        self._record, self._log = record, log or Log(record.folder)
        self._study, self._fingerprint = record.folder, fingerprint(record.frozen)
        self.folder = record.folder / _file_names.DETECTIONS
        self.n_variants: int = record.frozen["variants"]
        self.n_images: int = record.frozen["images"]["count"]
        self.batch_size: int = record.frozen["batch_size"]
        self.shard_batches: int = record.frozen["shard_batches"]

    @property
    def batches(self) -> Chunks:
        """Images of each batch."""
        return Chunks(self.n_images, self.batch_size)

    @property
    def shards(self) -> Chunks:
        """Batches of each shard."""
        return Chunks(len(self.batches), self.shard_batches)

    def done(self, *, look: bool = True) -> list[bool]:
        """Return for each batch whether it is finished.

        Parameters
        ----------
        look : bool
            Look at every file's footer. Without it, what is listed counts, which is enough in an object store, where
            nothing is half there.

        Raises
        ------
        StudyError
            If a file is damaged.
        """
        return self._listed(ShardFile.look if look else None)

    def _listed(self, look: Callable[[ShardFile], None] | None) -> list[bool]:
        """Return which batches are finished, after a look at each file; a running study may join parts meanwhile."""
        for left in reversed(range(LISTINGS)):
            files = self.files()
            try:
                if look is not None:
                    in_parallel([partial(look, file) for file, _ in files], is_remote(self.folder))
                break
            except MissingShardError:
                if not left:
                    raise
        return self._done(batches for _, batches in files)

    def _done(self, found: Iterable[range]) -> list[bool]:
        self._require_counts()
        done = [False] * len(self.batches)
        for batches in found:
            done[batches.start : batches.stop] = [True] * len(batches)
        return done

    def _require_counts(self) -> None:
        """See that the plan and the images are as many as its facts say, before anything is made of that size.

        Raises
        ------
        StudyError
            If they are not.
        """
        read_table(self._record, _file_names.IMAGES, (), self.n_images)

    def files(self) -> list[tuple[ShardFile, range]]:
        """Return every file of detections with its batches, in order; parts of a shard that is there do not count.

        Raises
        ------
        StudyError
            If a file is of a shard or a batch that the study does not have.
        """
        with reached(self.folder):
            names = sorted(path.name for path in self.folder.glob("*.parquet"))
        found = {batches: name for name in names if (batches := self._batches_of(name)) is not None}
        shards = {batches.start // self.shard_batches for batches, name in found.items() if _is_shard(name)}
        return [
            (self._file(name, batches), batches)
            for batches, name in sorted(found.items(), key=lambda item: item[0].start)
            if _is_shard(name) or batches.start // self.shard_batches not in shards
        ]

    def _batches_of(self, name: str) -> range | None:
        """Return the batches of a file by its name; None if it is no file of detections."""
        numbers = _file_names.numbers_of(name)
        if numbers is None:
            return None
        shard, batch = numbers
        if shard < len(self.shards):
            batches = self.shards[shard]
            if batch is None:
                return batches
            if batch in batches:
                return range(batch, batch + 1)
        raise StudyError(
            f"{self.folder / name} is none of the study's {len(self.shards):,} shards of "
            f"{self.shard_batches:,} batches. Take it out of the folder."
        )

    def _file(self, name: str, batches: range) -> ShardFile:
        images = range(self.batches[batches[0]].start, self.batches[batches[-1]].stop)
        place = self.folder / name
        return ShardFile(place, self._fingerprint, self.n_variants, images, self._record.is_checked)

    def write_batch(self, batch: int, rows: Iterable[Row]) -> None:
        """Keep a finished batch: as a part of its shard, which `join` makes of all of them.

        Raises
        ------
        StudyError
            If the rows are not one for each variant and image of the batch, or cannot be written.
        """
        table = rows_to_table(rows)
        self._require_all(table, batch)
        number = batch // self.shard_batches
        batches = self.shards[number]
        if len(batches) == 1:
            write_shard(self._shard(number), table, self._fingerprint)
            return
        write_shard(self._part(number, batch), table, self._fingerprint)

    def join(self, number: int) -> None:
        """Make a shard of its parts, if all are there."""
        batches = self.shards[number]
        shard = self._file(_file_names.shard_name(number), batches)
        parts = [
            self._file(_file_names.part_name(number, batch), range(batch, batch + 1)) for batch in batches
        ]
        if shard.path.exists():
            shard.check()  # before its parts go
        elif all(part.path.exists() for part in parts):
            order = [("variant", "ascending"), ("image", "ascending")]
            table = pa.concat_tables([part.read() for part in parts]).sort_by(order)
            write_shard(shard.path, table, self._fingerprint)
        else:
            return
        for part in parts:
            with suppress(OSError):
                part.path.unlink()

    def tidy(self, *, repair: bool = False) -> list[bool]:
        """See that what is there is what was written, and join what a killed run has left in parts.

        Gives which batches are finished. In an object store, where that would fetch all of it, only footers are looked
        at; whoever reads detections finds damage all the same.

        Parameters
        ----------
        repair : bool
            Put files aside that are damaged, so that their batches count as not finished.

        Raises
        ------
        StudyError
            If a file is damaged, unless it is to be repaired.
        """
        look = ShardFile.look if is_remote(self.folder) and not repair else ShardFile.check
        files = self.files()
        checks = [partial(fault_of, partial(look, file)) for file, _ in files]
        faults = in_parallel(checks, is_remote(self.folder))
        for (file, _), fault in zip(files, faults, strict=True):
            if fault is not None:
                if not repair:
                    raise fault
                self._log.append("damaged", file=file.path.name, reason=str(fault))
                put_aside(file.path)
        for number in sorted(self._in_parts()):
            self.join(number)
        return self._done(batches for _, batches in self.files())

    def _in_parts(self) -> set[int]:
        """Return the numbers of the shards that have parts."""
        with reached(self.folder):
            names = [path.name for path in self.folder.glob("part-*.parquet")]
        return {numbers[0] for name in names if (numbers := _file_names.numbers_of(name)) is not None}

    def left_of(self, number: int) -> list[int]:
        """Return the batches of a shard that are not finished."""
        done = self._listed(None)
        return [batch for batch in self.shards[number] if not done[batch]]

    def span(self, batches: Sequence[int]) -> tuple[int, int]:
        """Return the numbers of the first and the last image of some batches, which ascend."""
        return self.batches[batches[0]].start, self.batches[batches[-1]].stop - 1

    def _shard(self, number: int) -> Path:
        return self.folder / _file_names.shard_name(number)

    def _part(self, number: int, batch: int) -> Path:
        return self.folder / _file_names.part_name(number, batch)

    def _require_all(self, table: pa.Table, batch: int) -> None:
        images = self.batches[batch]
        expected = [(v, i) for v in range(self.n_variants) for i in images]
        given = list(zip(table.column("variant").to_pylist(), table.column("image").to_pylist(), strict=True))
        if given != expected:
            raise StudyError(
                f"Batch {batch} must have one row for each of {self.n_variants} variants and {len(images)} images, got "
                f"{len(given)} rows. This is a fault of the runner."
            )


def _is_shard(name: str) -> bool:
    return name.startswith("shard-")
