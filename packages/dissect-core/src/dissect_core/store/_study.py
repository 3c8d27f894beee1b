"""Reading a study's folder: its plan, its images, and what every variant detected."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ..arguments import check_value, checked_arguments
from ..detections import ImageDetections
from ..errors import StudyError
from ..names import near_hint
from ..storage.locations import is_remote, location_of
from ..text import quoted
from . import _file_names, _small_files, _stopping
from ._detections import LISTINGS, DetectionFiles
from ._holder import say_who
from ._images import ImageRef
from ._lock import at_work
from ._log import read_log
from ._record import Record, read_table
from ._rows import STATUSES, flat
from ._shards import MissingShardError, ShardFile

if TYPE_CHECKING:
    from ..spec import StudySpec

_PLAN = (
    "id",
    "ablation",
    "kind",
    "unit",
    "intervention",
    "n_units",
    "n_available",
    "dose",
    "repeat",
    "removed",
)


class VariantDetections(NamedTuple):
    """What one variant found, image by image.

    Attributes
    ----------
    images : ndarray of int64, shape (m,)
        Numbers of the images that were run, ascending.
    counts : ndarray of int64, shape (m,)
        Detections in each.
    boxes : ndarray of float64, shape (n, 4)
        ``x_min, y_min, x_max, y_max`` in pixels, of all images one after the other.
    scores : ndarray of float64, shape (n,)
    labels : ndarray of int64, shape (n,)
        Index into the detector's class names.
    not_finite : ndarray of bool, shape (m,)
        Images with detections that hold NaN or infinity; these detections are there.
    queries : ndarray of int64, shape (n,), or None
        Number of the object query that gave each detection; None if the detector told none.
    """

    images: NDArray[np.int64]
    counts: NDArray[np.int64]
    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]
    labels: NDArray[np.int64]
    not_finite: NDArray[np.bool_]
    queries: NDArray[np.int64] | None = None

    def by_image(self) -> dict[int, ImageDetections]:
        """Return the detections of each image, by its number."""
        ends = np.cumsum(self.counts)
        spans = [
            slice(end - count, end) for end, count in zip(ends.tolist(), self.counts.tolist(), strict=True)
        ]
        return {
            image: ImageDetections(
                self.boxes[span],
                self.scores[span],
                self.labels[span],
                None if self.queries is None else self.queries[span],
            )
            for image, span in zip(self.images.tolist(), spans, strict=True)
        }


class Study:
    """A study's folder, for reading, while it runs or later; made by `run`, opened by `Study.open`.

    Attributes
    ----------
    path : Path
        Its folder; in an object store a path of universal-pathlib, with the same methods.
    facts : mapping
        What must be the same when it goes on, as plain data.
    """

    def __init__(self, path: Path, record: Record) -> None:
        self.path, self.facts, self._record = path, record.frozen, record

    def __getstate__(self) -> dict[str, Any]:
        """Return the state to pickle: the absolute path, without anything that was read."""
        path = self.path if is_remote(self.path) else self.path.absolute()
        return {"path": path, "facts": self.facts, "_record": replace(self._record, folder=path)}

    @classmethod
    def open(cls, path: Path | str) -> "Study":
        """Open a study's folder. Nothing in it runs code, whoever made it.

        Parameters
        ----------
        path : Path or str
            A folder, or a URL like ``s3://bucket/study``.

        Raises
        ------
        StudyError
            If it is no study, damaged, or of a newer format.
        """
        record = Record.read(location_of(path))
        record.warn_if_unchecked()
        return cls(record.folder, record)

    @property
    def name(self) -> str:
        """Name of the study, as its specification gives it."""
        return str(self.facts["spec"].get("name", ""))

    @cached_property
    def spec(self) -> "StudySpec":
        """The specification it was begun with."""
        from ..spec import load_spec, parse_spec

        path = self.path / _file_names.SPEC
        content = self._record.read_file(_file_names.SPEC)
        if content is None:
            raise StudyError(f"The study {self.path} is damaged: it holds no {_file_names.SPEC}.")
        try:
            text = content.decode()
        except UnicodeDecodeError as error:
            raise _small_files.damaged(path, error) from error
        return load_spec(parse_spec(text, ".yaml", f"The spec {path}"))

    @cached_property
    def plan(self) -> pa.Table:
        """A row for each variant: what it masks, the baseline first."""
        return self._table(_file_names.PLAN, _PLAN, self.facts["variants"], "id")

    @cached_property
    def variants(self) -> tuple[str, ...]:
        """Ids of all variants, the baseline first."""
        return tuple(self.plan.column("id").to_pylist())

    @cached_property
    def images(self) -> tuple[ImageRef, ...]:
        """File names and ids of the images, by their numbers."""
        table = self._table(_file_names.IMAGES, ImageRef._fields, self.facts["images"]["count"], "image_id")
        columns = (table.column(name).to_pylist() for name in ImageRef._fields)
        return tuple(ImageRef(*values) for values in zip(*columns, strict=True))

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the detector's classes, by label."""
        return tuple(self.facts["detector"]["class_names"])

    @cached_property
    def environment(self) -> dict[str, Any]:
        """The facts, as `frozen`, and as `incidental` what may differ between runs: host, time, image folder."""
        return dict(self._record.content)

    @property
    def image_folder(self) -> Path | None:
        """Folder where the images lay when the study was begun; None if it is unknown or no longer there."""
        noted = self.environment.get("incidental")
        folder = noted.get("image_folder") if isinstance(noted, dict) else None
        try:
            return Path(folder) if isinstance(folder, str) and Path(folder).is_dir() else None
        except (OSError, ValueError):  # no name of a folder
            return None

    @property
    def scoring(self) -> dict[str, Any]:
        """The options `common_classes` and `class_map` that it was begun with: which classes are scored."""
        return dict(self.facts.get("scoring", {}))

    @property
    def turns_by_exif(self) -> bool:
        """True if the detector saw images turned as their EXIF tag says, or if that is not known."""
        noted = self.environment.get("incidental")
        return not isinstance(noted, dict) or noted.get("turns_by_exif") is not False

    @property
    def chooses_queries(self) -> bool | None:
        """True if the detector chose its object queries from each image; None where that is not known.

        Then query k of one variant is another proposal than query k of the other.
        """
        noted = self.environment.get("incidental")
        told = noted.get("chooses_queries") if isinstance(noted, dict) else None
        return told if isinstance(told, bool) else None

    @cached_property
    def effects(self) -> pa.Table | None:
        """Change of the outputs of what each variant ablates, on the first batch; None where not measured."""
        content = self._record.read_file(_file_names.EFFECTS)
        path, columns = self.path / _file_names.EFFECTS, ("id", "output_change", "no_op", "flops_saved")
        return None if content is None else _small_files.decode_table(content, path, columns)

    def read_file(self, name: str) -> bytes | None:
        """Return the content of a file that is kept with it, such as the truth; None if there is none.

        Parameters
        ----------
        name : str
            As `files` of `run` has it, or ``truth.json``.

        Raises
        ------
        StudyError
            If it is missing, or is not what was written.
        """
        return self._record.read_file(check_value("name", name, Path | str))

    def progress(self) -> tuple[int, int]:
        """Return how many batches are finished, and how many there are."""
        done = DetectionFiles(Record.read(self.path)).done(look=not is_remote(self.path))
        return sum(done), len(done)

    @property
    def is_complete(self) -> bool:
        """True if all batches are finished."""
        done, wanted = self.progress()
        return done == wanted

    @property
    def held_by(self) -> str | None:
        """The process that runs it at the moment, for people; None if there is none."""
        running = self.running
        return None if running is None else say_who(running)

    @property
    def running(self) -> dict[str, Any] | None:
        """`host`, `pid`, `since` and `news` of the run that is at work at the moment; None if there is none."""
        return at_work(self.path)

    def ask_to_stop(self) -> str:
        """Ask the run that is at work in the folder, in any process, to stop after the batch at hand.

        What is finished is kept, and the same command goes on from there. The run sees it within a second, in an object
        store within five.

        Returns
        -------
        str
            Which process was asked, for people.

        Raises
        ------
        StudyError
            If nothing runs, or the folder cannot be written.
        """
        holder = self.held_by
        if holder is None:
            raise StudyError(f"The study {self.path} is not running: there is nothing to stop.")
        _stopping.ask(self.path)
        return holder

    def log(self) -> list[dict[str, Any]]:
        """Return the events of its runs in order: `time`, `event` and more of each."""
        return read_log(self.path)

    def failures(self) -> list[dict[str, Any]]:
        """Return the shards that the last run has given up, each with its `shard`, `images` and `error`."""
        found: list[dict[str, Any]] = []
        for entry in self.log():
            if entry["event"] in ("started", "resumed"):
                found = []
            elif entry["event"] == "shard failed" and _is_failure(entry):
                found.append(entry)
        return found

    @checked_arguments()
    def found(self, variant: str) -> VariantDetections:
        """Return what one variant detected in all images that are finished.

        Raises
        ------
        StudyError
            If there is no such variant, near matches are named; or a file is damaged.
        """
        table = self.table([variant], ["image", "status", "boxes", "scores", "labels", "queries"])
        boxes, _ = flat(table.column("boxes"), np.float64)
        scores, counts = flat(table.column("scores"), np.float64)
        labels, _ = flat(table.column("labels"), np.int64)
        status = table.column("status").to_numpy()
        if len(boxes) != 4 * len(scores) or len(labels) != len(scores):
            raise StudyError(
                f"The study {self.path} is damaged: boxes, scores and labels of {quoted(variant)} do not fit."
            )
        run = status != STATUSES.index("bad image")
        queries, _ = flat(table.column("queries"), np.int64)
        return VariantDetections(
            table.column("image").to_numpy().astype(np.int64)[run],
            counts[run],
            boxes.reshape(-1, 4),
            scores,
            labels,
            status[run] == STATUSES.index("not finite"),
            queries if len(queries) == len(scores) else None,
        )

    @checked_arguments()
    def table(self, variants: Sequence[str] | None = None, columns: Sequence[str] | None = None) -> pa.Table:
        """Return rows by variant and image, of all finished batches, for `to_pandas` or polars' `from_arrow`.

        Parameters
        ----------
        variants : sequence of str, optional
            Ids; all, if left out.
        columns : sequence of str, optional
            Some of `image`, `status`, `masked`, `changed`, `boxes`, `scores`, `labels`, `queries`; all, if left out.

        Returns
        -------
        pyarrow.Table
            Sorted by image within each variant.
        """
        numbers = None if variants is None else [self._number(variant) for variant in variants]
        for left in reversed(range(LISTINGS)):
            try:
                tables = [file.read(numbers, columns) for file in self._files()]
                break
            except MissingShardError:  # a run that is at work has joined parts
                if not left:
                    raise
        if not tables:
            raise StudyError(f"The study {self.path} has no finished batch yet. Run it first.")
        whole = pa.concat_tables(tables)
        keys = [(name, "ascending") for name in ("variant", "image") if name in whole.column_names]
        return whole.sort_by(keys)

    def bad_images(self) -> list[int]:
        """Return the numbers of skipped images: unreadable, of another size, or the detector stops there."""
        table = self.table([self.variants[0]], ["image", "status"])
        # As lists: `to_numpy` imports pandas where that is installed, for which `status` would wait.
        images, statuses = (table.column(name).to_pylist() for name in ("image", "status"))
        bad = STATUSES.index("bad image")
        return [image for image, status in zip(images, statuses, strict=True) if status == bad]

    def _files(self) -> list[ShardFile]:
        """Return every shard, and the parts of those that are not there: a kill may leave both."""
        record = Record.read(self.path)
        files = DetectionFiles(record)
        found = files.files()
        if record.is_finished and sum(len(batches) for _, batches in found) < len(files.batches):
            there = {batch // files.shard_batches for _, batches in found for batch in batches}
            lost = next(number for number in range(len(files.shards)) if number not in there)
            name = _file_names.shard_name(lost)
            raise StudyError(
                f"The study {self.path} was finished, but {name} is missing now. Restore it, or run the study "
                "again, which computes it."
            )
        return [file for file, _ in found]

    def _number(self, variant: str) -> int:
        try:
            return self.variants.index(variant)
        except ValueError:
            raise StudyError(
                f"The study {self.path} has no variant {quoted(variant)}.{near_hint(variant, self.variants)}"
            ) from None

    def _table(self, name: str, columns: tuple[str, ...], n_rows: int, key: str) -> pa.Table:
        """Read one of its small tables, of so many rows that a key tells apart."""
        table = read_table(self._record, name, columns, n_rows)
        keys = table.column(key)
        if keys.null_count or pc.count_distinct(keys).as_py() != n_rows:
            raise _small_files.damaged(
                self.path / name, f"`{key}` must name each row, and one is there twice"
            )
        return table


def _is_failure(entry: Mapping[str, Any]) -> bool:
    """Return whether a line of the log names a shard that has failed, as `Tracker` writes it."""
    images = entry.get("images")
    return (
        isinstance(entry.get("shard"), int)
        and isinstance(images, list)
        and len(images) == 2
        and all(isinstance(image, int) for image in images)
        and isinstance(entry.get("error"), str)
    )
