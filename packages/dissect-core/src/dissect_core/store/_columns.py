"""Types of the columns of a study's small tables: what reads them believes nothing else."""

import pyarrow as pa

_PLACES = pa.list_(pa.struct([("path", pa.string()), ("units", pa.list_(pa.int64()))]))


def _known(name: str, kind: pa.DataType) -> pa.Field:
    """A column of which every row says something."""
    return pa.field(name, kind, nullable=False)


COLUMNS: dict[str, pa.Schema] = {
    "plan.parquet": pa.schema(
        [
            *(_known(name, pa.string()) for name in ("id", "ablation", "kind", "unit", "intervention")),
            *(_known(name, pa.int64()) for name in ("n_units", "n_available")),
            _known("dose", pa.float64()),
            ("repeat", pa.int64()),
            ("removed", _PLACES),
            ("n_parameters", pa.int64()),
            ("share", pa.float64()),
            ("n_merged", pa.int64()),
            ("space", pa.string()),
            ("control_of", pa.string()),
            ("merged", pa.list_(pa.string())),
            ("singles", pa.list_(pa.string())),
        ]
    ),
    "images.parquet": pa.schema(
        [_known("file_name", pa.string()), _known("image_id", pa.int64()), ("sha256", pa.string())]
    ),
    "effects.parquet": pa.schema(
        [
            _known("id", pa.string()),
            ("output_change", pa.float64()),
            ("no_op", pa.string()),
            ("flops_saved", pa.float64()),
        ]
    ),
}


def require_types(table: pa.Table, expected: pa.Schema) -> None:
    """See that columns hold what they are written with; a type of nulls alone stands for any.

    Raises
    ------
    ValueError
        If one does not; it is named.

    Examples
    --------
    >>> require_types(pa.table({"id": [1, 2]}), COLUMNS["effects.parquet"])
    Traceback (most recent call last):
    ValueError: its column `id` must be string, is int64
    """
    for field in expected:
        if field.name not in table.column_names:
            continue
        column = table.column(field.name)
        if not _is_of(column.type, field.type):
            raise ValueError(f"its column `{field.name}` must be {field.type}, is {str(column.type)[:100]}")
        if column.null_count and not field.nullable:
            raise ValueError(f"its column `{field.name}` lacks a value")


def _is_of(kind: pa.DataType, wanted: pa.DataType) -> bool:
    """Whether a type is the one that is wanted, as far as values were there to tell."""
    if pa.types.is_list(kind) and pa.types.is_list(wanted):
        return _is_of(kind.value_type, wanted.value_type)
    if pa.types.is_integer(kind) and pa.types.is_floating(wanted):  # all of them whole
        return True
    return pa.types.is_null(kind) or bool(kind.equals(wanted))
