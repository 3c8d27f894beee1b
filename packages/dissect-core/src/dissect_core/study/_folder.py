"""A study's folder: made whole, filled shard by shard, and never with results of another study."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from ..errors import StudyChangedError, StudyError
from ..files import TEMPORARY, own_folder, read_regular
from ..places import is_remote, place_of, reached
from ..spec import StudySpec
from . import _layout
from ._changes import Behind, changes, changes_of_format_1
from ._chunks import Chunks
from ._contents import UNREAD
from ._create import Content, ImageRef, images_table, known_facts, make_folder
from ._facts import FORMAT, fingerprint, listed
from ._frozen import read_frozen, read_threads
from ._holder import Holder
from ._lock import locked
from ._log import Log
from ._rows import Row, rows_to_table
from ._shards import in_parallel, is_whole, read_shard, write_shard


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
        self.path = path = place_of(path)
        self.frozen, self.n_variants, self.n_images = read_frozen(path)
        self.fingerprint = fingerprint(self.frozen)
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

        Raises
        ------
        StudyChangedError
            If the folder holds a study that differs; all differences are named.
        StudyError
            If it holds something else, or cannot be written.
        """
        frozen = {
            **known_facts(facts, spec, images, batch_size, shard_batches),
            "format": FORMAT,
            "plan": fingerprint({"rows": list(plan)}),
            "variants": len(plan),
        }
        path = place_of(path)
        content = Content(spec, frozen, plan, images, digests, files or {}, notes or {})
        if is_remote(path):
            return cls._created_remotely(path, content, former or {})
        if (path / _layout.ENVIRONMENT).is_file():
            return cls._continued(path, content, former or {})
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise StudyError(f"{path} holds files and is no study. Give a new or empty folder.")
        make_folder(path, content)
        return cls(path)

    @classmethod
    def _created_remotely(cls, path: Path, content: Content, former: Mapping[str, Any]) -> "StudyFolder":
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
        return cls._continued(path, content, former)

    @classmethod
    def _continued(cls, path: Path, content: Content, former: Mapping[str, Any]) -> "StudyFolder":
        folder = cls(path)
        folder.require_same(
            content.frozen, Behind(content.images, content.files.get(_layout.TRUTH), content.plan), former
        )
        if folder.frozen == content.frozen:  # a truth that got lost is the one on record
            content.write_files(path)
        return folder

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
        images = _layout.read_table(self.path / _layout.IMAGES, ImageRef._fields).to_pylist()
        truth = self.path / _layout.TRUTH
        return Behind(
            [ImageRef(*(image[name] for name in ImageRef._fields)) for image in images],
            read_regular(truth) if truth.is_file() else None,
            _layout.read_table(self.path / _layout.PLAN, ("id",)).to_pylist(),
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
        table = _layout.read_table(self.path / _layout.IMAGES, ImageRef._fields)
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
        _layout.write_table(self.path / _layout.IMAGES, images_table(refs, digests))

    @cached_property
    def threads(self) -> int | None:
        """With how many threads torch computes in this study; None where that is not on record."""
        return read_threads(self.path)

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
            Look into every file: those that are damaged do not count. Without it, what is listed counts, which is
            enough in an object store, where nothing is half there.
        """
        done = [False] * len(self.batches)
        for _, batches, good in self._checked(look=look):
            if good:
                done[batches.start : batches.stop] = [True] * len(batches)
        return done

    def _checked(self, *, look: bool = True, drop: bool = False) -> Iterator[tuple[str, range, bool]]:
        """Every file of detections: its name, its batches, and whether it is whole."""
        with reached(self.path):
            names = {path.name for path in (self.path / _layout.DETECTIONS).glob("*.parquet")}
        files = [
            (name, batches)
            for number, each in enumerate(self.shards)
            for name, batches in (
                (_layout.shard_name(number), each),
                *((_layout.part_name(number, batch), range(batch, batch + 1)) for batch in each),
            )
            if name in names
        ]
        folder = self.path / _layout.DETECTIONS
        checks = [partial(self._is_whole, folder / name, batches) for name, batches in files if look]
        whole = in_parallel(checks, is_remote(self.path)) if look else [True] * len(files)
        for (name, batches), good in zip(files, whole, strict=True):
            if drop and not good:
                self.log("damaged", file=name)
                (folder / name).unlink()
            yield name, batches, good

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
        parts = [self._part(number, batch) for batch in batches]
        if not self._shard(number).exists() and all(part.exists() for part in parts):
            tables = [read_shard(part, self.fingerprint) for part in parts]
            order = [("variant", "ascending"), ("image", "ascending")]
            write_shard(self._shard(number), pa.concat_tables(tables).sort_by(order), self.fingerprint)
        if self._is_whole(self._shard(number), batches):
            for part in parts:
                with suppress(OSError):
                    part.unlink()

    def tidy(self) -> list[bool]:
        """Drop what is damaged, and join what a killed run has left in parts; gives which batches are finished."""
        done, in_parts = [False] * len(self.batches), set[int]()
        for name, batches, good in self._checked(drop=True):
            if good:
                done[batches.start : batches.stop] = [True] * len(batches)
            if name.startswith("part-"):
                in_parts.add(batches.start // self.shard_batches)
        for number in sorted(in_parts):
            self.join(number)
        return done

    def left_of(self, number: int) -> list[int]:
        """Batches of a shard that are not finished."""
        batches = self.shards[number]
        if self._is_whole(self._shard(number), batches):
            return []
        return [
            batch
            for batch in batches
            if not self._is_whole(self._part(number, batch), range(batch, batch + 1))
        ]

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
