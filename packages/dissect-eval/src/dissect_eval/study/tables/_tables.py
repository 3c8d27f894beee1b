"""A study's numbers as tables: rows in memory, and files that give the same rows when read back."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import SettingError
from ..measuring import StudyResults
from ..stored import ABOUT, AlteredTablesError, read_about, sealed, unreadable
from ._checked import require_about, require_metrics
from ._doses import DOSE_COLUMNS, dose_rows
from ._files import csv_bytes, parquet_bytes, pyarrow, read_table, rows_of, with_note, with_nulls
from ._frames import Frame, frame
from ._rows import class_table, error_rows, summary_rows

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["StudyTables"]

SUMMARY, PER_CLASS, ERRORS, REPEATS = "summary", "per_class", "errors", "repeats"
INTERACTIONS = "interactions"
"""A table that only studies with pairs have."""
READINGS, SECONDS_BETWEEN_READINGS = 5, 0.2
_NEEDED = {
    SUMMARY: ("id", "ablation", "kind", "unit", "intervention", "dose", "removed"),
    PER_CLASS: ("variant", "category", "metric", "value", "difference"),
    ERRORS: ("variant", "ap"),
    REPEATS: ("ablation", "kind", "intervention", "dose", "metric", "mean"),
}
FRAMES = {**_NEEDED, "doses": DOSE_COLUMNS, INTERACTIONS: ("variant", "first", "second")}
"""Tables that can be data frames, with the columns that they have even without a row."""


@dataclass(frozen=True, eq=False)
class StudyTables:
    """All numbers of a study, as they are kept in its folder.

    Attributes
    ----------
    about : mapping
        The study's name, the settings of its metrics, numbers of images and objects, numbers of finished and of all
        batches, notes, and `at_chance`: why the baseline is no better than chance, empty if it is better.
    summary : list of dict
        See `summary_rows`; NaN where undefined.
    per_class : pyarrow.Table
        See `class_table`.
    errors : list of dict
        See `error_rows`.
    repeats : list of dict
        See `StudyResults.repeats`.
    interactions : list of dict
        See `StudyResults.interactions`; empty for a study without pairs.
    """

    about: Mapping[str, Any]
    summary: list[dict[str, Any]]
    per_class: pa.Table
    errors: list[dict[str, Any]]
    repeats: list[dict[str, Any]]
    interactions: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def of(cls, results: StudyResults) -> StudyTables:
        """Return the tables of a study's results."""
        about = {
            "study": results.name,
            **({"missing_weights": results.missing_weights} if results.missing_weights else {}),
            "settings": asdict(results.settings),
            "n_images": results.truth.n_images,
            "n_truth": results.truth.n_boxes,
            "n_bad_images": results.n_bad_images,
            "seed": getattr(results.study.spec, "seed", None),
            "selections": _selections(results.study.spec),
            "at_chance": results.better_than_chance.text,
            "batches": list(results.batches),
            "notes": [*results.notes, *results.class_notes],
        }
        repeats = list(results.repeats())
        return cls(
            about,
            summary_rows(results),
            class_table(results),
            error_rows(results),
            repeats,
            results.interactions,
        )

    @classmethod
    def read(cls, folder: Path) -> StudyTables:
        """Read the tables of a study's folder; no content of the files is run as code.

        Raises
        ------
        StudyDataError
            If a table is missing, or is not what was written.
        """
        for _ in range(READINGS - 1):
            with suppress(AlteredTablesError):  # another process may be writing them now
                return cls._read(folder)
            time.sleep(SECONDS_BETWEEN_READINGS)
        return cls._read(folder)

    @classmethod
    def _read(cls, folder: Path) -> StudyTables:
        about = read_about(folder / ABOUT)
        sums = about.pop("files", None)
        try:
            require_about(about)
        except ValueError as error:
            raise unreadable(folder / ABOUT, error) from error
        tables = {
            name: read_table(folder / f"{name}.parquet", columns, sums) for name, columns in _NEEDED.items()
        }
        about = {
            key: value for key, value in about.items() if key not in ("variants", "repeats", INTERACTIONS)
        }
        try:
            require_metrics(tables[SUMMARY], tuple(about["settings"]["metrics"]))
        except ValueError as error:
            raise unreadable(folder / f"{SUMMARY}.parquet", error) from error
        ids = set(tables[SUMMARY].column("id").to_pylist())
        for name in (PER_CLASS, ERRORS):
            if set(tables[name].column("variant").unique().to_pylist()) - ids:
                raise unreadable(
                    folder / f"{name}.parquet", f"it names a variant that {SUMMARY}.parquet lacks"
                )
        rows = [rows_of(tables[name]) for name in (SUMMARY, ERRORS, REPEATS)]
        pairs = folder / f"{INTERACTIONS}.parquet"
        is_there = pairs.is_file() if sums is None else pairs.name in sums
        found = rows_of(read_table(pairs, ("variant", "first", "second"), sums)) if is_there else []
        return cls(about, rows[0], tables[PER_CLASS], rows[1], rows[2], found)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Metrics that were measured."""
        return tuple(str(name) for name in self.about["settings"].get("metrics", ()))

    @property
    def batches(self) -> tuple[int, int]:
        """Numbers of finished batches of images, when the study was measured, and of all batches."""
        done, wanted = self.about.get("batches", (1, 1))
        return int(done), int(wanted)

    @property
    def selections(self) -> Mapping[str, str]:
        """How each ablation selects units, by its name: `fraction` and `count` draw at random; empty if not known."""
        return self.about.get("selections") or {}

    @property
    def doses(self) -> list[dict[str, Any]]:
        """Mean of each metric over the variants of one target and dose, see `dose_rows`."""
        confidence = float(self.about["settings"].get("confidence", 0.95))
        return dose_rows(self.summary, self.metrics, self.selections, confidence)

    def frame(self, name: str) -> Frame:
        """Return one of the tables as a data frame: pandas' where it is installed, else an Arrow table.

        Parameters
        ----------
        name : {"summary", "per_class", "errors", "repeats", "doses", "interactions"}

        Raises
        ------
        SettingError
            If there is no such table.
        """
        if name not in FRAMES:
            raise SettingError(f"`name` must be one of {', '.join(FRAMES)}, got {name!r}.")
        return frame(getattr(self, name), FRAMES[name])

    @property
    def at_chance(self) -> str:
        """Why the baseline is no better than chance, as a text; empty if it is better."""
        return str(self.about.get("at_chance") or "")

    @property
    def missing_weights(self) -> str:
        """The detector's note on weights that were missing; empty if it had all."""
        return str(self.about.get("missing_weights", ""))

    def files(self) -> dict[str, bytes]:
        """Return the content of each file by name: tables as CSV and Parquet, and `summary.json` with the settings."""
        pa = pyarrow()
        tables = {
            SUMMARY: pa.Table.from_pylist(self.summary),
            PER_CLASS: self.per_class,
            ERRORS: pa.Table.from_pylist(self.errors),
            REPEATS: pa.Table.from_pylist(self.repeats),
            **({INTERACTIONS: pa.Table.from_pylist(self.interactions)} if self.interactions else {}),
        }
        tables = {name: with_note(with_nulls(table), self.missing_weights) for name, table in tables.items()}
        listed = {"variants": SUMMARY, "repeats": REPEATS, INTERACTIONS: INTERACTIONS}
        about = {
            **self.about,
            **{key: tables[name].to_pylist() for key, name in listed.items() if name in tables},
        }
        parquet = {f"{name}.parquet": parquet_bytes(table) for name, table in tables.items()}
        about["files"] = {name: sha256(content).hexdigest() for name, content in parquet.items()}
        text = json.dumps(sealed(about), indent=1, ensure_ascii=False) + "\n"
        return {
            ABOUT: text.encode(),
            **{f"{name}.csv": csv_bytes(table) for name, table in tables.items()},
            **parquet,
        }


def _selections(spec: Any) -> dict[str, str]:
    """Return how each ablation of a spec selects units, by its name."""
    return {one.name: one.select.by for one in getattr(spec, "ablations", ())}
