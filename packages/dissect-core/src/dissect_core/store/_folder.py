"""A study's folder: made whole, filled shard by shard, and never with results of another study."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import StudyChangedError, StudyError
from ..spec import StudySpec
from ..storage import is_remote, location_of, own_folder, write_bytes_whole
from ..storage.files import TEMPORARY
from ..storage.locations import reached
from . import _file_names, _small_files
from ._changes import Behind, changes, changes_of_format_1
from ._create import Content, make_folder
from ._detections import DetectionFiles
from ._facts import FORMAT, fingerprint, known_facts, listed
from ._holder import Holder
from ._images import UNREAD, ImageRef, images_table
from ._lock import locked
from ._log import Log
from ._record import Record, read_table
from ._small_files import fault_of, put_aside


class StudyFolder:
    """A study's folder, to write into; `Study` reads one.

    Parameters
    ----------
    path : Path or str
        A folder made by `create`, or the URL of one.

    Attributes
    ----------
    record : Record
        What is on record of the study.
    frozen : mapping
        What must stay the same whenever it goes on.
    fingerprint : str
        Checksum of `frozen`.
    detections : DetectionFiles
        What is finished, and where more is written.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = path = location_of(path)
        self.record = Record.read(path)
        self.frozen = self.record.frozen
        self.fingerprint = fingerprint(self.frozen)
        self._log = Log(path)
        self.detections = DetectionFiles(self.record, self._log)

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
        if (path / _file_names.ENVIRONMENT).is_file():
            return cls._continued(path, content, former or {}, repair)
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise StudyError(f"{path} holds files and is no study. Give a new or empty folder.")
        make_folder(path, content)
        return cls(path)

    @classmethod
    def _created_remotely(
        cls, path: Path, content: Content, former: Mapping[str, Any], repair: bool
    ) -> "StudyFolder":
        """Make a study in an object store, which moves no folders: file by file, while a lease keeps others out."""
        mark = path / _file_names.ENVIRONMENT
        with reached(path):
            if not mark.exists():
                known = {*content.names, _file_names.DETECTIONS}
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
            content.frozen, Behind(content.images, content.files.get(_file_names.TRUTH), content.plan), former
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
        """Return the names of files that are to be written anew.

        Raises
        ------
        StudyError
            If another one is damaged.
        """
        if not self.record.is_checked:
            return [name for name in content.files if not (self.path / name).exists()]
        self.record = Record.read(self.path)
        faults = {name: fault_of(partial(self.record.file, name)) for name in self.record.names}
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
            put_aside(self.path / name)
        if name not in whole:
            self.record.forget(name)
        elif self.record.is_checked:
            self.record.keep(name, whole[name])
        else:
            write_bytes_whole(self.path / name, whole[name])

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
        """Return images, truth and plan, which the facts hold as numbers and checksums only."""
        images = read_table(
            self.record, _file_names.IMAGES, ImageRef._fields, self.detections.n_images
        ).to_pylist()
        return Behind(
            [ImageRef(*(image[name] for name in ImageRef._fields)) for image in images],
            self.record.read_file(_file_names.TRUTH),
            read_table(self.record, _file_names.PLAN, ("id",), self.detections.n_variants).to_pylist(),
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
        table = read_table(self.record, _file_names.IMAGES, ImageRef._fields, self.detections.n_images)
        if "sha256" not in table.column_names:  # of the first format
            return
        kept = table.column("sha256").to_pylist()
        differing = [i for i, (before, now) in enumerate(zip(kept, digests, strict=True)) if before != now]
        if not differing:
            return
        names = table.column("file_name").to_pylist()
        needed = set(used)
        wrong = [i for i in differing if i in needed or done[i // self.detections.batch_size]]
        if wrong:
            each = [
                f"{names[i]} cannot be read any more" if digests[i] == UNREAD else names[i] for i in wrong[:3]
            ]
            more = f", and {len(wrong) - 3} more" if len(wrong) > 3 else ""
            raise StudyChangedError(
                f"The study in {self.path} cannot go on, since files of {len(wrong)} of its {len(names)} images are "
                f"others than those it has used: {', '.join(each)}{more}. Restore them, or give another folder."
            )
        self.log("images mended", files=[names[i] for i in differing])
        refs = [ImageRef(*(row[name] for name in ImageRef._fields)) for row in table.to_pylist()]
        self.record.keep(_file_names.IMAGES, _small_files.encode_table(images_table(refs, digests)))

    @property
    def threads(self) -> int | None:
        """Number of threads that torch computes with in this study; None where that is not on record."""
        return self.record.threads

    @contextmanager
    def locked(
        self, holder: Holder | None = None, say: Callable[[str], object] = lambda _text: None
    ) -> Iterator[None]:
        """Hold the folder alone, and clear away what a run that was killed has left half-written.

        Parameters
        ----------
        holder : Holder, optional
            State of this run, which the lock's file shows to others.
        say : callable, optional
            Takes messages for people.

        Raises
        ------
        StudyLockedError
            If another run holds it.
        """
        if not is_remote(self.path):
            own_folder(self.path / _file_names.DETECTIONS)
        with locked(self.path, holder, say) as before:
            if before is not None:
                self.log("taken over", **{k: before[k] for k in ("host", "pid", "since") if k in before})
            if not is_remote(self.path):
                for place in (self.path, self.path / _file_names.DETECTIONS):
                    for left in place.glob(f".*{TEMPORARY}"):
                        with suppress(OSError):
                            left.unlink()
            try:
                yield
            finally:
                self._log.flush()

    def log(self, event: str, **fields: Any) -> None:
        """Append a line to the log."""
        self._log.append(event, **fields)
