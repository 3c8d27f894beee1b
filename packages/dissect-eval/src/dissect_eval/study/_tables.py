"""A study's numbers as tables: rows in memory, and files that read back as what they were."""

from __future__ import annotations

import io
import json
import math
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._plain import csv_text
from ..errors import MissingExtraError, SettingError, StudyDataError
from ._about import ABOUT, AlteredTablesError, content_of, read_about, require_written, sealed, unreadable
from ._checked import require_about, require_columns, require_metrics, require_size
from ._doses import DOSE_COLUMNS, dose_rows
from ._frames import Frame, frame
from ._measure import StudyResults

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["StudyTables", "class_table", "error_rows", "summary_rows"]

SUMMARY, PER_CLASS, ERRORS, REPEATS = "summary", "per_class", "errors", "repeats"
INTERACTIONS = "interactions"
"""Of studies with pairs alone."""
READINGS, SECONDS_BETWEEN_READINGS = 5, 0.2
_NEEDED = {
    SUMMARY: ("id", "ablation", "kind", "unit", "intervention", "dose", "removed"),
    PER_CLASS: ("variant", "category", "metric", "value", "difference"),
    ERRORS: ("variant", "ap"),
    REPEATS: ("ablation", "kind", "intervention", "dose", "metric", "mean"),
}
FRAMES = {**_NEEDED, "doses": DOSE_COLUMNS, INTERACTIONS: ("variant", "first", "second")}
"""Tables that can be data frames, with the columns that they have even without a row."""
_OF_THE_PLAN = (
    "id",
    "ablation",
    "kind",
    "unit",
    "intervention",
    "space",
    "n_units",
    "n_available",
    "dose",
    "repeat",
    "control_of",
    "n_parameters",
    "share",
    "masked",
    "changed",
    "output_change",
    "flops_saved",
    "no_op",
    "n_detections",
    "n_not_finite",
    "n_negative",
    "n_degenerate",
    "removed",
)


def summary_rows(results: StudyResults) -> list[dict[str, Any]]:
    """A row for each variant: what it is, then each metric with its paired difference from the baseline."""
    overall = {(row.variant, row.metric): row for row in results.table.select(category_id=None)}
    rows = []
    for variant in results.variants:
        out = {name: variant.get(name) for name in _OF_THE_PLAN}
        for metric in results.settings.metrics:
            row = overall[variant["id"], metric]
            out[metric] = row.value
            out[f"{metric}_difference"] = row.difference
            out[f"{metric}_low"], out[f"{metric}_high"] = row.low, row.high
            out[f"{metric}_p"] = row.p_adjusted
            if (metric, None) in results.noise:
                out[f"{metric}_noise"] = results.noise[metric, None]
            if metric in results.chance[variant["id"]]:
                out[f"{metric}_chance"] = results.chance[variant["id"]][metric]
        out["baseline_at_chance"] = results.better_than_chance.at_chance
        rows.append(out)
    return rows


def class_table(results: StudyResults) -> pa.Table:
    """A row for each variant, class and metric that has values of single classes: many, so by columns."""
    names = ("variant", "category_id", "category", "metric", "value", "baseline", "difference", "low", "high")
    rows = [row for row in results.table if row.category_id is not None]
    columns = {name: [getattr(row, name) for row in rows] for name in names}
    still = {row["id"] for row in results.variants if row["no_op"]}
    p_values, no_op = [row.p_adjusted for row in rows], [row.variant in still for row in rows]
    noise = (
        [results.noise.get((row.metric, row.category_id), math.nan) for row in rows] if results.noise else []
    )
    return _pyarrow().table({**columns, **({"noise": noise} if noise else {}), "p": p_values, "no_op": no_op})


def error_rows(results: StudyResults) -> list[dict[str, Any]]:
    """A row for each variant: errors of each of TIDE's types, and the AP that mending them would give, or why none."""
    still = {row["id"] for row in results.variants if row["no_op"]}
    return [
        {
            "variant": name,
            "no_op": name in still,
            "ap": found.ap,
            **{f"n_{kind}": count for kind, count in found.counts.items()},
            **{f"d_{kind}": change for kind, change in found.delta_ap.items()},
            "undefined": _why_undefined(found.undefined),
        }
        for name, found in results.errors.items()
    ]


def _why_undefined(reasons: Mapping[str, str]) -> str:
    """Why changes of the detector's AP are undefined, for people: each reason once, behind the types it is of."""
    kinds: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        if name.startswith("delta_ap."):
            kinds.setdefault(reason, []).append(name.removeprefix("delta_ap."))
    return "; ".join(f"{', '.join(names)}: {reason}" for reason, names in kinds.items())


@dataclass(frozen=True, eq=False)
class StudyTables:
    """All numbers of a study, as they are kept in its folder.

    Attributes
    ----------
    about : mapping
        The study's name, the settings of its metrics, numbers of images and objects, how many batches of images were
        finished, of how many, and `at_chance`: why the baseline is no better than chance, empty if it is.
    summary : list of dict
        See `summary_rows`; NaN where undefined.
    per_class : pyarrow.Table
        See `class_table`.
    errors : list of dict
        See `error_rows`.
    repeats : list of dict
        See `StudyResults.repeats`.
    interactions : list of dict
        See `StudyResults.interactions`; none but of a study with pairs.
    """

    about: Mapping[str, Any]
    summary: list[dict[str, Any]]
    per_class: pa.Table
    errors: list[dict[str, Any]]
    repeats: list[dict[str, Any]]
    interactions: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def of(cls, results: StudyResults) -> StudyTables:
        """Lay out what was measured."""
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
        """Read the tables of a study's folder. Nothing in them runs code, whoever made them.

        Raises
        ------
        StudyDataError
            If a table is missing, or is not what was written.
        """
        for _ in range(READINGS - 1):
            with suppress(AlteredTablesError):  # another process may be writing them
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
        tables = {name: _read(folder / f"{name}.parquet", columns, sums) for name, columns in _NEEDED.items()}
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
        rows = [_rows(tables[name]) for name in (SUMMARY, ERRORS, REPEATS)]
        pairs = folder / f"{INTERACTIONS}.parquet"
        is_there = pairs.is_file() if sums is None else pairs.name in sums
        found = _rows(_read(pairs, ("variant", "first", "second"), sums)) if is_there else []
        return cls(about, rows[0], tables[PER_CLASS], rows[1], rows[2], found)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Metrics that were measured."""
        return tuple(str(name) for name in self.about["settings"].get("metrics", ()))

    @property
    def batches(self) -> tuple[int, int]:
        """Batches of images that were finished when the study was measured, and all."""
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
        """Why the baseline is no better than chance, for people; empty if it is better."""
        return str(self.about.get("at_chance") or "")

    @property
    def missing_weights(self) -> str:
        """What the detector said of weights that were missing; empty if it had all."""
        return str(self.about.get("missing_weights", ""))

    def files(self) -> dict[str, bytes]:
        """Content of each file by name: all tables as CSV and Parquet, and `summary.json` with the settings."""
        pa = _pyarrow()
        tables = {
            SUMMARY: pa.Table.from_pylist(self.summary),
            PER_CLASS: self.per_class,
            ERRORS: pa.Table.from_pylist(self.errors),
            REPEATS: pa.Table.from_pylist(self.repeats),
            **({INTERACTIONS: pa.Table.from_pylist(self.interactions)} if self.interactions else {}),
        }
        tables = {name: _noted(_defined(table), self.missing_weights) for name, table in tables.items()}
        listed = {"variants": SUMMARY, "repeats": REPEATS, INTERACTIONS: INTERACTIONS}
        about = {
            **self.about,
            **{key: tables[name].to_pylist() for key, name in listed.items() if name in tables},
        }
        parquet = {f"{name}.parquet": _parquet(table) for name, table in tables.items()}
        about["files"] = {name: sha256(content).hexdigest() for name, content in parquet.items()}
        text = json.dumps(sealed(about), indent=1, ensure_ascii=False) + "\n"
        return {
            ABOUT: text.encode(),
            **{f"{name}.csv": _csv(table) for name, table in tables.items()},
            **parquet,
        }


def _selections(spec: Any) -> dict[str, str]:
    """How each ablation of a spec selects units, by its name: whether its variants are random draws."""
    return {one.name: one.select.by for one in getattr(spec, "ablations", ())}


def _pyarrow() -> Any:
    try:
        import pyarrow
    except ImportError as error:
        raise MissingExtraError(
            'Tables of studies need pyarrow, which is not installed: pip install "dissect-eval[study]"'
        ) from error
    return pyarrow


def _read(path: Path, columns: tuple[str, ...], sums: Any) -> pa.Table:
    import pyarrow.parquet as pq

    pa = _pyarrow()
    try:
        content = content_of(path)
        require_written(path, content, sums)
        with pq.ParquetFile(pa.BufferReader(content)) as file:
            require_size(file.metadata, len(content))
            table = file.read(use_threads=False)
        table.validate(full=True)
        require_columns(table)
    except (OSError, ValueError, MemoryError, pa.ArrowException) as error:
        raise unreadable(path, error) from error
    missing = [name for name in columns if name not in table.column_names]
    if missing:
        raise StudyDataError(
            f"{path} must have the columns {', '.join(columns)}, it lacks {', '.join(missing)}."
        )
    return table


def _rows(table: pa.Table) -> list[dict[str, Any]]:
    """Rows of a table, with NaN where a number is undefined."""
    pa = _pyarrow()
    numbers = {field.name for field in table.schema if pa.types.is_floating(field.type)}
    return [
        {name: math.nan if value is None and name in numbers else value for name, value in row.items()}
        for row in table.to_pylist()
    ]


def _csv(table: pa.Table) -> bytes:
    import pyarrow.csv

    pa = _pyarrow()
    cells = [field.name for field in table.schema if not pa.types.is_list(field.type)]  # a list fits no cell
    for i, column in enumerate((table := table.select(cells)).columns):
        if pa.types.is_string(column.type):
            texts = [None if text is None else csv_text(text) for text in column.to_pylist()]
            table = table.set_column(i, cells[i], pa.array(texts, pa.string()))
    sink = io.BytesIO()
    pyarrow.csv.write_csv(table, sink)
    return sink.getvalue()


def _parquet(table: pa.Table) -> bytes:
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def _noted(table: pa.Table, note: str) -> pa.Table:
    """The table with the note beside each of its rows: a table is read apart from all that was said with it."""
    pa = _pyarrow()
    if not note or "missing_weights" in table.column_names:
        return table
    return table.append_column("missing_weights", pa.array([note] * table.num_rows, pa.string()))


def _defined(table: pa.Table) -> pa.Table:
    """Return the table with nulls for what is undefined, or beyond all numbers."""
    import pyarrow.compute as pc

    pa = _pyarrow()
    for i, column_field in enumerate(table.schema):
        if pa.types.is_floating(column_field.type):
            column = table.column(i)
            table = table.set_column(
                i, column_field, pc.if_else(pc.is_finite(column), column, pa.scalar(None, column_field.type))
            )
    return table
