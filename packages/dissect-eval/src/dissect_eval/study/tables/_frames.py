"""Tables as data frames: pandas' where it is installed, Arrow's otherwise."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from ...errors import MissingExtraError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["frame"]

Frame: TypeAlias = "pd.DataFrame | pa.Table"
"""pandas' data frame where pandas is installed, else an Arrow table."""


def frame(table: Any, columns: Sequence[str] = ()) -> Frame:
    """Return a table, or rows, as a data frame: pandas' if it is installed, else an Arrow table.

    Parameters
    ----------
    table : pyarrow.Table, or sequence of mapping
        Rows name their columns; a name that a row lacks is undefined there.
    columns : sequence of str, optional
        Names of the columns if there are no rows.

    Returns
    -------
    pandas.DataFrame or pyarrow.Table
        Undefined numbers are NaN in pandas and null in Arrow.

    Raises
    ------
    MissingExtraError
        If neither library is installed.

    Examples
    --------
    >>> found = frame([{"dose": 0.1, "AP": 0.4}, {"dose": 0.5, "AP": float("nan")}])
    >>> found.shape
    (2, 2)
    """
    is_arrow = hasattr(table, "column_names")
    try:
        import pandas
    except ImportError:
        return table if is_arrow else _arrow_table(table, columns)
    if is_arrow:
        return table.to_pandas()
    rows = [dict(row) for row in table]
    return pandas.DataFrame(rows) if rows else pandas.DataFrame(columns=list(columns))


def _arrow_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> pa.Table:
    """Return rows as an Arrow table with null for NaN; its columns are all names that occur, in that order."""
    try:
        import pyarrow
    except ImportError as error:
        raise MissingExtraError(
            "A data frame needs pandas or pyarrow, and neither is installed: pip install pandas, or pip install "
            '"dissect-eval[study]"'
        ) from error
    names = list(dict.fromkeys(name for row in rows for name in row)) or list(columns)
    return pyarrow.table({name: [_null_for_nan(row.get(name)) for row in rows] for name in names})


def _null_for_nan(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value
