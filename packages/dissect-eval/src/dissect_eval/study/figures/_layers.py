"""Maps of single units beside each other: one for each kind of block, with layers as rows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from ...plots import UnitMap, unit_map_figure
from ..tables import BlockName, Row, StudyTables, block_names, groups_of, is_single, variant_names
from ._captions import confidence_of, counted, joined, measured_on, noise_of_detector, noise_text, resamples
from ._marks import told
from ._named import FigureData, FigureMark, NamedFigure, title_of
from ._values import FEW_UNITS

__all__ = ["is_unsure", "layer_maps"]

COLUMNS_AT_MOST = 60


class _Key(NamedTuple):
    """What the cells of one map have in common."""

    part: str
    unit: str
    ablation: str
    intervention: str


def is_unsure(row: Row, metric: str, noise: float) -> bool:
    """Return whether a change may well be 0: its interval includes 0, there is none, or it is within noise."""
    low, high = row[f"{metric}_low"], row[f"{metric}_high"]
    return not (low > 0 or high < 0) or abs(row[f"{metric}_difference"]) <= noise


def layer_maps(tables: StudyTables, metric: str) -> Iterator[NamedFigure]:
    """Draw the change of a metric when one head, level or point alone is removed, as maps beside each other.

    Parameters
    ----------
    tables : StudyTables
    metric : str
        One of the study's metrics.
    """
    cells = _cells(tables)
    if sum(map(len, cells.values())) < 2:
        return
    of_part = Counter((key.part, key.unit) for key in cells)
    noise = noise_of_detector(tables, metric)
    names = variant_names(tables.summary)
    maps, marks, table, n_sure, n_known, still = [], [], [], 0, 0, 0
    for number, (key, found) in enumerate(cells.items()):
        layers = sorted({name for name, _ in found}, key=_number)
        units = sorted({unit for _, unit in found})
        values = np.full((len(layers), len(units)), math.nan)
        unsure = np.ones(values.shape, dtype=np.bool_)
        for (name, unit), row in found.items():
            place = layers.index(name), units.index(unit)
            change = float(row[f"{metric}_difference"])
            if not row.get("no_op") and math.isfinite(change):
                values[place] = change
                unsure[place] = is_unsure(row, metric, noise)
                n_sure, n_known = n_sure + (not unsure[place]), n_known + 1
            still += bool(row.get("no_op"))
            x, y = place[1], place[0]
            box = (x - 0.5, x + 0.5, y - 0.5, y + 0.5)
            marks.append(FigureMark(number, box, told(tables, names, row, metric), row["id"]))
        title = key.part
        if of_part[key.part, key.unit] > 1:
            title = f"{key.part}: {key.ablation}, {key.intervention}"
        rows = [name.layer or name.text for name in layers]
        maps.append(
            UnitMap(title[:1].upper() + title[1:], key.unit, rows, list(map(str, units)), values, unsure)
        )
        table += [(f"{title} {row}", *cells_of) for row, cells_of in zip(rows, values.tolist(), strict=True)]
    widest = max(len(one.columns) for one in maps)
    data = FigureData(
        ("layer", *(f"unit {i}" for i in range(widest))),
        tuple((*row, *[math.nan] * (widest + 1 - len(row))) for row in table),
    )
    sure = f"{confidence_of(tables):.0%}".replace("%", " %")
    within = ", or the change is within the detector's own noise" if noise else ""
    caption = joined(
        (
            f"Change of {title_of(metric)} when one unit alone is removed, a variant each; rows are layers.",
            f"Bold ({n_sure} of {n_known}): the {sure} interval leaves out 0; all others may well be 0{within} (paired "
            f"bootstrap over the images{resamples(tables)}).",
            f"Grey: {counted(still, 'variant')} that changed nothing." if still else "",
            noise_text(tables, metric),
            measured_on(tables),
        )
    )
    figure = unit_map_figure(maps, metric_label=title_of(metric))
    yield NamedFigure("units", caption, figure, data, tuple(marks))


def _number(name: BlockName) -> tuple[list[int], str]:
    """Return what layers are sorted by."""
    return [int(part) for part in name.layer.split(".") if part], name.text


def _cells(tables: StudyTables) -> Mapping[_Key, Mapping[tuple[BlockName, int], Row]]:
    """Return the variants that remove one unit alone, by their map, and by the block and unit that they remove."""
    rows = [
        row
        for group in groups_of(tables.summary, tables.selections)
        if group.kind == "ablation" and not group.are_draws  # a draw of one unit is no answer to which one
        for row in group.rows
        if row["unit"] in FEW_UNITS and is_single(row)
    ]
    names = block_names(row["removed"][0]["path"] for row in rows)
    found: dict[_Key, dict[tuple[BlockName, int], Row]] = {}
    for row in rows:
        (place,) = row["removed"]
        name = names[place["path"]]
        part = name.group if name.layer else name.text
        key = _Key(part, row["unit"], row["ablation"], row["intervention"])
        found.setdefault(key, {}).setdefault((name, place["units"][0]), row)
    return {key: cells for key, cells in found.items() if len({unit for _, unit in cells}) <= COLUMNS_AT_MOST}
