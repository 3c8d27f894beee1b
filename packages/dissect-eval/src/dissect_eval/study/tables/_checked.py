"""Check a study's tables before they are used: whoever wrote them may have written anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...statistics import METRICS

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["require_about", "require_columns", "require_metrics", "require_size"]

_TEXTS = (
    "id",
    "variant",
    "ablation",
    "kind",
    "unit",
    "intervention",
    "category",
    "metric",
    "first",
    "second",
)
_TEXTS_OR_NONE = ("space", "control_of", "undefined", "missing_weights", "baseline_at_chance")
_BYTES_AT_MOST = 2**29
_BYTES_OF_A_TABLE, _BYTES_OF_A_BYTE = 2**24, 2**10
"""Bytes that any table may have, and further ones per byte of its file: far more than compressed numbers need."""


def require_columns(table: pa.Table) -> None:
    """Verify that columns have the types that are written: texts, numbers, and lists of removed units.

    Raises
    ------
    ValueError
        If one does not; it is named.
    """
    import pyarrow as pa

    for name in table.column_names:
        column = table.column(name)
        is_text = pa.types.is_string(column.type)
        if name in _TEXTS:
            is_right = is_text and not column.null_count
        elif name in _TEXTS_OR_NONE:
            is_right = is_text or pa.types.is_null(column.type)
        elif name == "no_op":  # the reason as a text, or true and false
            is_right = is_text or pa.types.is_boolean(column.type) or pa.types.is_null(column.type)
        elif name == "removed":
            is_right = _is_places(column.type)
        elif name == "dose":
            is_right = _is_number(column.type) and not column.null_count
        else:
            is_right = _is_number(column.type) or pa.types.is_null(column.type)
        if not is_right:
            raise ValueError(f"its column `{name[:100]}` is not of the type that a study writes")


def require_metrics(summary: pa.Table, metrics: tuple[str, ...]) -> None:
    """Verify that a table of variants has each of them once, and every metric with its difference and interval.

    Raises
    ------
    ValueError
        If it does not.
    """
    import pyarrow.compute as pc

    names = [f"{metric}{part}" for metric in metrics for part in ("", "_difference", "_low", "_high", "_p")]
    missing = [name for name in names if name not in summary.column_names]
    if missing:
        raise ValueError(f"it has no column {missing[0]}")
    if not summary.num_rows or pc.count_distinct(summary.column("id")).as_py() < summary.num_rows:
        raise ValueError("it must have a row for each variant")


def require_about(about: Mapping[str, Any]) -> None:
    """Verify that the head of a study's tables has values of the types that are written.

    Raises
    ------
    ValueError
        If one is not; it is named.
    """
    settings, batches = about["settings"], about.get("batches", [1, 1])
    metrics, selections = settings.get("metrics"), about.get("selections") or {}
    rules = {
        "settings.metrics": isinstance(metrics, list)
        and bool(metrics)
        and all(m in METRICS for m in metrics),
        "settings.n_replicates": settings.get("n_replicates") is None or _is_count(settings["n_replicates"]),
        **{
            f"settings.{name}": _is_share(settings.get(name, 0.5)) for name in ("confidence", "iou_threshold")
        },
        **{
            name: about.get(name) is None or _is_count(about[name])
            for name in ("n_images", "n_truth", "n_bad_images", "seed")
        },
        **{
            name: isinstance(about.get(name) or "", str) for name in ("study", "at_chance", "missing_weights")
        },
        "selections": isinstance(selections, dict) and all(isinstance(s, str) for s in selections.values()),
        "batches": isinstance(batches, list) and len(batches) == 2 and all(map(_is_count, batches)),
        "notes": _is_texts(about.get("notes") or []),
    }
    for name, is_right in rules.items():
        if not is_right:
            raise ValueError(f"its `{name}` is not of the kind that a study writes")


def require_size(about: Any, n_bytes_of_file: int) -> None:
    """Verify by the footer of a Parquet file that the table in it is not too large to be a study's.

    Raises
    ------
    ValueError
        If it is.
    """
    columns = [
        about.row_group(i).column(j) for i in range(about.num_row_groups) for j in range(about.num_columns)
    ]
    n_bytes = sum(max(column.total_uncompressed_size, 8 * column.num_values) for column in columns)
    if n_bytes > min(_BYTES_AT_MOST, _BYTES_OF_A_TABLE + _BYTES_OF_A_BYTE * n_bytes_of_file):
        raise ValueError(f"it would take {n_bytes:,} bytes of memory, more than a study's tables do")


def _is_number(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))


def _is_places(kind: pa.DataType) -> bool:
    """Return whether a type is that of lists of a path and its units; empty lists may leave parts of it open."""
    import pyarrow as pa

    units = pa.list_(pa.int64())
    known = [
        pa.null(),
        pa.list_(pa.null()),
        *(
            pa.list_(pa.struct([("path", pa.string()), ("units", each)]))
            for each in (units, pa.list_(pa.null()))
        ),
    ]
    return any(kind.equals(one) for one in known)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _is_share(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= 1


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)
