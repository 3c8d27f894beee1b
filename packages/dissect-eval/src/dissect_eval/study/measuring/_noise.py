"""The noise of a detector that is not deterministic: how far its metrics vary while nothing is removed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...statistics import Key, VariantRow, VariantTable

__all__ = ["above_noise", "noise_note", "noise_of"]


def noise_of(table: VariantTable, kinds: Mapping[str, str]) -> dict[Key, float]:
    """Return the range of each metric over all passes of the whole detector; empty for a deterministic one.

    With the eleven passes that a study makes, two further passes differ by more than this range in about one case of
    twenty, if the metric is normally distributed.

    Parameters
    ----------
    table : VariantTable
    kinds : mapping of str to str
        Kind of each variant: ``"again"`` for passes of the whole detector beside the first.

    Returns
    -------
    dict of (str, int or None) to float
        By metric and category. NaN where a pass has no such number.
    """
    if "again" not in kinds.values():
        return {}
    values: dict[Key, list[float]] = {}
    for row in table:
        if kinds[row.variant] in ("baseline", "again"):
            values.setdefault((row.metric, row.category_id), []).append(row.value)
    return {
        key: max(found) - min(found) if all(map(math.isfinite, found)) else math.nan
        for key, found in values.items()
    }


def above_noise(table: VariantTable, noise: Mapping[Key, float]) -> VariantTable:
    """Return the table with corrected p-values of 1 where a difference does not rise above the noise."""
    return VariantTable(tuple(_judged(table, noise)), table.settings) if noise else table


def _judged(rows: Iterable[VariantRow], noise: Mapping[Key, float]) -> Iterable[VariantRow]:
    for row in rows:
        floor = noise[row.metric, row.category_id]
        is_claim = (
            math.isfinite(row.p_adjusted) and not abs(row.difference) > floor
        )  # no difference rises above a floor of NaN
        yield replace(row, p_adjusted=1.0) if is_claim else row


def noise_note(noise: Mapping[Key, float], rows: Sequence[Mapping[str, Any]], metric: str) -> tuple[str, ...]:
    """Return a note that a detector is not deterministic, and what that means for the numbers; none for one that is.

    Examples
    --------
    >>> noise_note({("AP", None): 0.0213}, [{"kind": "baseline"}, {"kind": "again"}], "AP")[0][:98]
    'the detector is not deterministic: over the same images its AP differs by up to 0.021 between 2 pa'
    """
    if not noise:
        return ()
    n = sum(row["kind"] in ("baseline", "again") for row in rows)
    floor = noise.get((metric, None), math.nan)
    return (
        f"the detector is not deterministic: over the same images its {metric} differs by up to {floor:.3f} between "
        f"{n} passes with nothing removed. Differences within that are its own noise, no losses: their corrected "
        "p-values are 1, and intervals hold that noise.",
    )
