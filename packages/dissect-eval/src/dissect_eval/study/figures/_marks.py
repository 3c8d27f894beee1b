"""What is said of a variant where it is pointed at in a figure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..tables import StudyTables
from ._captions import confidence_of, counted
from ._named import title_of

__all__ = ["change_text", "signed_text", "told"]


def signed_text(value: float) -> str:
    """Return a number with its sign and three decimals, or a dash.

    >>> signed_text(-0.0534), signed_text(float("nan"))
    ('−0.053', '–')
    """
    return "–" if math.isnan(value) else f"{value:+.3f}".replace("-", "\N{MINUS SIGN}")


def change_text(row: Mapping[str, Any], metric: str) -> str:
    """Return the change of a metric with its interval, where there is one.

    >>> change_text({"AP_difference": -0.05, "AP_low": -0.1, "AP_high": 0.01}, "AP")
    '−0.050 [−0.100, +0.010]'
    """
    change, low, high = (row.get(f"{metric}_{end}", math.nan) for end in ("difference", "low", "high"))
    interval = (
        f" [{signed_text(low)}, {signed_text(high)}]" if math.isfinite(low) and math.isfinite(high) else ""
    )
    return f"{signed_text(change)}{interval}"


def told(tables: StudyTables, names: Mapping[str, str], row: Mapping[str, Any], metric: str) -> str:
    """Return what is said of a variant where it is pointed at: its name, its change, and on how many images.

    >>> row = {"id": "a", "AP_difference": -0.05, "AP_low": -0.1, "AP_high": 0.01}
    >>> tables = StudyTables({"settings": {}, "n_images": 100}, [row], None, [], [])
    >>> told(tables, {"a": "encoder 2 · head 1"}, row, "AP")
    'encoder 2 · head 1: AP −0.050 [−0.100, +0.010], 100 images'
    """
    n = tables.about.get("n_images")
    on = f", {counted(int(n), 'image')}" if n is not None else ""
    if row.get("no_op"):
        return f"{names[row['id']]}: changed nothing{on}"
    sure = (
        ""
        if math.isfinite(row.get(f"{metric}_low", math.nan))
        else f", no {confidence_of(tables):.0%} interval"
    )
    return f"{names[row['id']]}: {title_of(metric)} {change_text(row, metric)}{sure}{on}"
