"""A study's numbers as files: CSV for people and spreadsheets, Parquet and JSON for programs."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dissect_core import StudyError
from dissect_core.files import write_whole

from ._measure import StudyResults

SUMMARY, PER_CLASS, ERRORS, REPEATS = "summary", "per_class", "errors", "repeats"
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
    "no_op",
    "n_detections",
    "n_not_finite",
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
            if metric in results.chance[variant["id"]]:
                out[f"{metric}_chance"] = results.chance[variant["id"]][metric]
        rows.append(out)
    return rows


def class_rows(results: StudyResults) -> list[dict[str, Any]]:
    """A row for each variant, class and metric that has values of single classes."""
    names = ("variant", "category_id", "category", "metric", "value", "baseline", "difference", "low", "high")
    rows = (row for row in results.table if row.category_id is not None)
    return [{**{name: getattr(row, name) for name in names}, "p": row.p_adjusted} for row in rows]


def error_rows(results: StudyResults) -> list[dict[str, Any]]:
    """A row for each variant: errors of each of TIDE's types, and the AP that mending them would give."""
    return [
        {
            "variant": name,
            "ap": found.ap,
            **{f"n_{kind}": count for kind, count in found.counts.items()},
            **{f"d_{kind}": change for kind, change in found.delta_ap.items()},
        }
        for name, found in results.errors.items()
    ]


def write_results(results: StudyResults, folder: Path | None = None) -> list[Path]:
    """Write all tables, each whole or not at all.

    Parameters
    ----------
    results : StudyResults
    folder : Path, optional
        The study's own, if left out.

    Returns
    -------
    list of Path
        `summary`, `per_class`, `errors` and `repeats` as CSV and Parquet, and `summary.json` with the settings.
    """
    folder = folder or results.study.path
    tables = {
        SUMMARY: summary_rows(results),
        PER_CLASS: class_rows(results),
        ERRORS: error_rows(results),
        REPEATS: list(results.repeats()),
    }
    written = []
    for name, rows in tables.items():
        for path, content in ((f"{name}.csv", _csv(rows)), (f"{name}.parquet", _parquet(rows))):
            _write(folder / path, content)
            written.append(folder / path)
    about = {
        "study": results.study.spec.name,
        "settings": asdict(results.settings),
        "n_images": results.truth.n_images,
        "n_truth": results.truth.n_boxes,
        "n_bad_images": results.n_bad_images,
        "notes": list(results.truth.notes),
        "variants": _plain(tables[SUMMARY]),
        "repeats": _plain(tables[REPEATS]),
    }
    _write(folder / "summary.json", (json.dumps(about, indent=1, ensure_ascii=False) + "\n").encode())
    return [*written, folder / "summary.json"]


def _csv(rows: Sequence[Mapping[str, Any]]) -> bytes:
    text = io.StringIO()
    # Lists have no place in a cell.
    names = [name for name, value in rows[0].items() if not isinstance(value, list)] if rows else []
    writer = csv.DictWriter(text, names, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(_plain(rows))
    return text.getvalue().encode()


def _parquet(rows: Sequence[Mapping[str, Any]]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(_plain(rows)), sink, compression="zstd")
    return sink.getvalue()


def _plain(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows with None for what is undefined, or beyond all numbers."""
    return [{name: _value(value) for name, value in row.items()} for row in rows]


def _value(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _write(path: Path, content: bytes) -> None:
    write_whole(path, lambda file: file.write(content), StudyError)
