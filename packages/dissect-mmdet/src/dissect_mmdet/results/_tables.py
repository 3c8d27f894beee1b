"""A study's numbers as files: CSV for people and spreadsheets, Parquet and JSON for programs."""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
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
    "flops_saved",
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


def class_table(results: StudyResults) -> pa.Table:
    """A row for each variant, class and metric that has values of single classes: many, so by columns."""
    names = ("variant", "category_id", "category", "metric", "value", "baseline", "difference", "low", "high")
    rows = [row for row in results.table if row.category_id is not None]
    columns = {name: [getattr(row, name) for row in rows] for name in names}
    return pa.table({**columns, "p": [row.p_adjusted for row in rows]})


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
        SUMMARY: pa.Table.from_pylist(summary_rows(results)),
        PER_CLASS: class_table(results),
        ERRORS: pa.Table.from_pylist(error_rows(results)),
        REPEATS: pa.Table.from_pylist(list(results.repeats())),
    }
    written = []
    for name, table in tables.items():
        tables[name] = defined = _defined(table)
        for path, content in ((f"{name}.csv", _csv(defined)), (f"{name}.parquet", _parquet(defined))):
            _write(folder / path, content)
            written.append(folder / path)
    about = {
        "study": results.study.spec.name,
        "settings": asdict(results.settings),
        "n_images": results.truth.n_images,
        "n_truth": results.truth.n_boxes,
        "n_bad_images": results.n_bad_images,
        "notes": list(results.truth.notes),
        "variants": tables[SUMMARY].to_pylist(),
        "repeats": tables[REPEATS].to_pylist(),
    }
    _write(folder / "summary.json", (json.dumps(about, indent=1, ensure_ascii=False) + "\n").encode())
    return [*written, folder / "summary.json"]


def _csv(table: pa.Table) -> bytes:
    cells = [field.name for field in table.schema if not pa.types.is_list(field.type)]  # a list fits no cell
    sink = io.BytesIO()
    pyarrow.csv.write_csv(table.select(cells), sink)
    return sink.getvalue()


def _parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def _defined(table: pa.Table) -> pa.Table:
    """The table with nulls for what is undefined, or beyond all numbers."""
    for i, field in enumerate(table.schema):
        if pa.types.is_floating(field.type):
            column = table.column(i)
            table = table.set_column(
                i, field, pc.if_else(pc.is_finite(column), column, pa.scalar(None, field.type))
            )
    return table


def _write(path: Path, content: bytes) -> None:
    write_whole(path, lambda file: file.write(content), StudyError)
