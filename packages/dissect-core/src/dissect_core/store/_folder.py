"""A study's folder: made whole, filled shard by shard, and never with results of another study."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from ..errors import StudyChangedError, StudyError
from ..spec import StudySpec
from ..storage.files import TEMPORARY, own_folder, why_refused, write_whole
from ..storage.locations import is_remote, location_of, reached
from . import _layout
from ._changes import Behind, changes, changes_of_format_1
from ._chunks import Chunks
from ._contents import UNREAD
from ._create import Content, ImageRef, images_table, known_facts, make_folder
from ._facts import FORMAT, fingerprint, listed
from ._holder import Holder
from ._lock import locked
from ._log import Log
from ._record import Record, read_table
from ._rows import Row, rows_to_table
from ._shards import MissingShardError, ShardFile, in_parallel, write_shard

LISTINGS = 5
"""How often the folder is listed until all that is listed is there: a run that is at work joins parts."""


class StudyFolder:
    """A study's folder, to write into; `Study` reads one.

    Images come in batches of a fixed size, and some whole batches make a shard. A finished batch is kept as a part,
    and the parts of a finished shard become its file. All files are seen when they are whole.

    Parameters
    ----------
    path : Path or str
        A folder made by `create`, or the URL of one.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = path = location_of(path)
        self.record = Record.read(path)
        self.frozen = self.record.frozen
        self.fingerprint = fingerprint(self.frozen)
        self.n_variants: int = self.frozen["variants"]
        self.n_images: int = self.frozen["images"]["count"]
        self.batch_size: int = self.frozen["batch_size"]
        self.shard_batches: int = self.frozen["shard_batches"]
        self._log = Log(path)

    @classmethod
    def create(
        cls,
        path: Path | str,
        spec: StudySpec,
        facts: Mapping[str, Any],
        plan: Sequence[Mapping[str, Any]],
        images: Sequence[ImageRef],
        *,
        batch_size: int = 1,
        shard_batches: int = 32,
        digests: Sequence[str] = (),
        files: Mapping[str, bytes] | None = None,
        notes: Mapping[str, Any] | None = None,
        former: Mapping[str, Any] | None = None,
        repair: bool = False,
    ) -> "StudyFolder":
        """Make a study's folder, or open one of the same study to go on with it.

        Parameters
        ----------
        path : Path or str
            A folder that is not there, is empty, or holds this study; or such a prefix of an object store, by its URL.
        spec : StudySpec
        facts : mapping
            What else must be the same when the study goes on, as plain data: versions, checksums, the device.
        plan : sequence of mapping
            A row for each variant, as plain data, the baseline first; `id` is its name.
        images : sequence of ImageRef
        batch_size, shard_batches : int
            Images of a batch, and batches of a shard.
        digests : sequence of str, optional
            SHA-256 of each image's file, for the record; `require_files` compares them when the study goes on.
        files : mapping of str to bytes, optional
            Further files to keep in the folder, such as the truth.
        notes : mapping, optional
            Plain data that may differ when the study goes on, for the record.
        former : mapping, optional
            Facts of the detector as the first format named them, to go on with a study of that.
        repair : bool
            Write files that are damaged anew.

        Raises
        ------
        StudyChangedError
            If the folder holds a study that differs; all differences are named.
        StudyError
            If it holds something else, is damaged, or cannot be written.
        """
        frozen = {
            **known_facts(facts, spec, images, batch_size, shard_batches),
            "format": FORMAT,
            "plan": fingerprint({"rows": list(plan)}),
            "variants": len(plan),
        }
        path = location_of(path)
        content = Content(spec, frozen, plan, images, digests, files or {}, notes or {})
        if is_remote(path):
            return cls._created_remotely(path, content, former or {}, repair)
        if (path / _layout.ENVIRONMENT).is_file():
            return cls._continued(path, content, former or {}, repair)
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise StudyError(f"{path} holds files and is no study. Give a new or empty folder.")
        make_folder(path, content)
        return cls(path)

    @classmethod
    def _created_remotely(
        cls, path: Path, content: Content, former: Mapping[str, Any], repair: bool
    ) -> "StudyFolder":
        """In an object store, which moves no folders: file by file, under the lease that keeps others out."""
        mark = path / _layout.ENVIRONMENT
        with reached(path):
            if not mark.exists():
                known = {*content.names, _layout.DETECTIONS}
                left = sorted(p.name for p in path.glob("*") if p.name not in known and p.suffix != ".lock")
                if left:
                    raise StudyError(f"{path} holds {left[0]} and is no study. Give a new or empty prefix.")
                with locked(path):
                    if not mark.exists():
                        content.write(path)
                        return cls(path)
        return cls._continued(path, content, former, repair)

    @classmethod
    def _continued(
        cls, path: Path, content: Content, former: Mapping[str, Any], repair: bool
    ) -> "StudyFolder":
        folder = cls(path)
        folder.require_same(
            content.frozen, Behind(content.images, content.files.get(_layout.TRUTH), content.plan), former
        )
        folder._require_files(content, repair)
        return folder

    def _require_files(self, content: Content, repair: bool) -> None:
        """See that its files are those that were written; what is lost or damaged can be written anew."""
        if not self._faults(content, repair):
            return
        with self.locked():  # nothing is put aside under a run that is at work
            for name in self._faults(content, repair):
                self._mend(name, content)

    def _faults(self, content: Content, repair: bool) -> list[str]:
        """Names of files that are to be written anew.

        Raises
        ------
        StudyError
            If another one is damaged.
        """
        if not self.record.is_checked:
            return [name for name in content.files if not (self.path / name).exists()]
        self.record = Record.read(self.path)
        faults = {name: _fault(partial(self.record.file, name)) for name in self.record.names}
        for name, fault in faults.items():
            is_lost = name in content.files and not (self.path / name).exists()
            if fault is not None and not repair and not is_lost:
                raise fault
        return [name for name, fault in faults.items() if fault is not None]

    def _mend(self, name: str, content: Content) -> None:
        """Write a file of its beginning anew; another one is made again when it is needed."""
        whole, is_there = content.encoded(), (self.path / name).exists()
        if self.record.is_checked:
            self.log("damaged" if is_there else "lost", file=name)
        if is_there:
            self._put_aside(self.path / name)
        if name not in whole:
            self.record.forget(name)
        elif self.record.is_checked:
            self.record.keep(name, whole[name])
        else:
            write_whole(self.path / name, partial(_write, whole[name]), StudyError)

    def require_same(
        self,
        frozen: Mapping[str, Any],
        behind: Behind,
        former: Mapping[str, Any] | None = None,
        *,
        whole: bool = True,
    ) -> None:
        """See that this is the study that is meant.

        Parameters
        ----------
        frozen : mapping
            What must be the same.
        behind : Behind
            What is behind it, to say what differs.
        former : mapping, optional
            Facts of the detector as the first format named them.
        whole : bool
            Whether that is everything; else only what is named is compared.

        Raises
        ------
        StudyChangedError
            If it differs; all differences are named.
        """
        if (
            self.frozen["format"] == 2 and "format" in frozen
        ):  # what has come since is no part of what a study is
            frozen = {**frozen, "format": 2}
        if self.frozen == frozen:
            return
        mine = self.frozen if whole else {name: self.frozen[name] for name in frozen if name in self.frozen}
        if self.frozen["format"] == 1:
            told = changes_of_format_1(mine, frozen, former or {}, self._behind(), behind)
        else:
            told = changes(mine, frozen, self._behind(), behind)
        if told:
            name, wanted = (facts.get("spec", {}).get("name") for facts in (mine, frozen))
            is_same = name == wanted
            which = "another one" if is_same else f"{name!r} and not {wanted!r}"
            what = listed(told) if is_same else listed(told, at_most=3)
            raise StudyChangedError(
                f"The study in {self.path} cannot go on, since it is {which}: {what}. Restore what it was, or give "
                "another folder (`--out`, or `--force-new` for the next free one, on the command line)."
            )

    def _behind(self) -> Behind:
        """What is behind its facts."""
        images = read_table(self.record, _layout.IMAGES, ImageRef._fields, self.n_images).to_pylist()
        return Behind(
            [ImageRef(*(image[name] for name in ImageRef._fields)) for image in images],
            self.record.read_file(_layout.TRUTH),
            read_table(self.record, _layout.PLAN, ("id",), self.n_variants).to_pylist(),
        )

    def require_files(self, digests: Sequence[str], done: Sequence[bool], used: Iterable[int] = ()) -> None:
        """See that the files of its images are those that it was begun with, as far as they have been used.

        A file that no finished batch has used may be mended: its new checksum is kept then.

        Parameters
        ----------
        digests : sequence of str
            By `image_digests`, of all images.
        done : sequence of bool
            Whether each batch is finished.
        used : iterable of int
            Numbers of images that have been used otherwise.

        Raises
        ------
        StudyChangedError
            If a file that was used is another one; the first ones are named.
        """
        table = read_table(self.record, _layout.IMAGES, ImageRef._fields, self.n_images)
        if "sha256" not in table.column_names:  # of the first format
            return
        kept = table.column("sha256").to_pylist()
        differing = [i for i, (before, now) in enumerate(zip(kept, digests, strict=True)) if before != now]
        if not differing:
            return
        names = table.column("file_name").to_pylist()
        needed = set(used)
        wrong = [i for i in differing if i in needed or done[i // self.batch_size]]
        if wrong:
            each = [
                f"{names[i]} cannot be read any more" if digests[i] == UNREAD else names[i] for i in wrong[:3]
            ]
            more = f", and {len(wrong) - 3} more" if len(wrong) > 3 else ""
            raise StudyChangedError(
                f"The study in {self.path} cannot go on, since files of {len(wrong)} of its {self.n_images} images are "
                f"others than those it has used: {', '.join(each)}{more}. Restore them, or give another folder."
            )
        self.log("images mended", files=[names[i] for i in differing])
        refs = [ImageRef(*(row[name] for name in ImageRef._fields)) for row in table.to_pylist()]
        self.record.keep(_layout.IMAGES, _layout.encode_table(images_table(refs, digests)))

    @property
    def threads(self) -> int | None:
        """With how many threads torch computes in this study; None where that is not on record."""
        return self.record.threads

    @property
    def batches(self) -> Chunks:
        """Images of each batch."""
        return Chunks(self.n_images, self.batch_size)

    @property
    def shards(self) -> Chunks:
        """Batches of each shard."""
        return Chunks(len(self.batches), self.shard_batches)

    @contextmanager
    def locked(
        self, holder: Holder | None = None, say: Callable[[str], object] = lambda _text: None
    ) -> Iterator[None]:
        """Hold the folder alone, and clear away what a run that was killed has left half-written.

        Parameters
        ----------
        holder : Holder, optional
            What is told of this run meanwhile.
        say : callable, optional
            Takes messages for people.

        Raises
        ------
        StudyLockedError
            If another run holds it.
        """
        if not is_remote(self.path):
            own_folder(self.path / _layout.DETECTIONS)
        with locked(self.path, holder, say) as before:
            if before is not None:
                self.log("taken over", **{k: before[k] for k in ("host", "pid", "since") if k in before})
            if not is_remote(self.path):
                for place in (self.path, self.path / _layout.DETECTIONS):
                    for left in place.glob(f".*{TEMPORARY}"):
                        with suppress(OSError):
                            left.unlink()
            try:
                yield
            finally:
                self._log.flush()

    def done(self, *, look: bool = True) -> list[bool]:
        """Whether each batch is finished.

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
        """Which batches are finished, each file looked at; a run that is at work may join parts meanwhile."""
        for left in reversed(range(LISTINGS)):
            files = self.files()
            try:
                if look is not None:
                    in_parallel([partial(look, file) for file, _ in files], is_remote(self.path))
                break
            except MissingShardError:
                if not left:
                    raise
        return self._done(batches for _, batches in files)

    def _done(self, found: Iterable[range]) -> list[bool]:
        self.require_counts()
        done = [False] * len(self.batches)
        for batches in found:
            done[batches.start : batches.stop] = [True] * len(batches)
        return done

    def require_counts(self) -> None:
        """See that the plan and the images are as many as its facts say, before anything is made of that size.

        Raises
        ------
        StudyError
            If they are not.
        """
        read_table(self.record, _layout.IMAGES, (), self.n_images)

    def files(self) -> list[tuple[ShardFile, range]]:
        """Every file of detections with its batches, by number; parts of a shard that is there do not count.

        Raises
        ------
        StudyError
            If a file is of a shard or a batch that the study does not have.
        """
        folder = self.path / _layout.DETECTIONS
        with reached(folder):
            names = sorted(path.name for path in folder.glob("*.parquet"))
        found = {batches: name for name in names if (batches := self._batches_of(name)) is not None}
        shards = {batches.start // self.shard_batches for batches, name in found.items() if _is_shard(name)}
        return [
            (self._file(name, batches), batches)
            for batches, name in sorted(found.items(), key=lambda item: item[0].start)
            if _is_shard(name) or batches.start // self.shard_batches not in shards
        ]

    def _batches_of(self, name: str) -> range | None:
        """Batches of a file by its name; None for what is no file of detections."""
        numbers = _layout.numbers_of(name)
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
            f"{self.path / _layout.DETECTIONS / name} is none of the study's {len(self.shards):,} shards of "
            f"{self.shard_batches:,} batches. Take it out of the folder."
        )

    def _file(self, name: str, batches: range) -> ShardFile:
        images = range(self.batches[batches[0]].start, self.batches[batches[-1]].stop)
        place = self.path / _layout.DETECTIONS / name
        return ShardFile(place, self.fingerprint, self.n_variants, images, self.record.is_checked)

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
            write_shard(self._shard(number), table, self.fingerprint)
            return
        write_shard(self._part(number, batch), table, self.fingerprint)

    def join(self, number: int) -> None:
        """Make a shard of its parts, if all are there."""
        batches = self.shards[number]
        shard = self._file(_layout.shard_name(number), batches)
        parts = [self._file(_layout.part_name(number, batch), range(batch, batch + 1)) for batch in batches]
        if shard.path.exists():
            shard.check()  # before its parts go
        elif all(part.path.exists() for part in parts):
            order = [("variant", "ascending"), ("image", "ascending")]
            table = pa.concat_tables([part.read() for part in parts]).sort_by(order)
            write_shard(shard.path, table, self.fingerprint)
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
        look = ShardFile.look if is_remote(self.path) and not repair else ShardFile.check
        files = self.files()
        checks = [partial(_fault, partial(look, file)) for file, _ in files]
        faults = in_parallel(checks, is_remote(self.path))
        for (file, _), fault in zip(files, faults, strict=True):
            if fault is not None:
                if not repair:
                    raise fault
                self.log("damaged", file=file.path.name, reason=str(fault))
                self._put_aside(file.path)
        for number in sorted(self._in_parts()):
            self.join(number)
        return self._done(batches for _, batches in self.files())

    def _in_parts(self) -> set[int]:
        """Numbers of the shards of which there are parts."""
        with reached(self.path):
            names = [path.name for path in (self.path / _layout.DETECTIONS).glob("part-*.parquet")]
        return {numbers[0] for name in names if (numbers := _layout.numbers_of(name)) is not None}

    def _put_aside(self, path: Path) -> None:
        """Rename a damaged file, so that it counts no more and is not lost."""
        aside = path.with_name(f"{path.name}{_layout.DAMAGED}")
        try:
            with reached(path):
                path.rename(aside)
        except OSError as error:
            raise StudyError(
                f"{path} is damaged, and cannot be put aside as {aside.name}: {why_refused(error)}."
            ) from error

    def left_of(self, number: int) -> list[int]:
        """Batches of a shard that are not finished."""
        done = self._listed(None)
        return [batch for batch in self.shards[number] if not done[batch]]

    def span(self, batches: Sequence[int]) -> tuple[int, int]:
        """Numbers of the first and the last image of some batches, which ascend."""
        return self.batches[batches[0]].start, self.batches[batches[-1]].stop - 1

    def log(self, event: str, **fields: Any) -> None:
        """Append a line to the log."""
        self._log.append(event, **fields)

    def _shard(self, number: int) -> Path:
        return self.path / _layout.DETECTIONS / _layout.shard_name(number)

    def _part(self, number: int, batch: int) -> Path:
        return self.path / _layout.DETECTIONS / _layout.part_name(number, batch)

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


def _fault(look: Callable[[], object]) -> StudyError | None:
    """What is wrong with a file; None if nothing."""
    try:
        look()
    except StudyError as error:
        return error
    return None


def _write(content: bytes, file: BinaryIO) -> None:
    file.write(content)
