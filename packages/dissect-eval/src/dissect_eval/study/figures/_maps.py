"""Maps of a study: blocks by units, and doses or single variants by classes."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping

import numpy as np

from ..._text import visible
from ...plots import drawn_all, value_heatmap
from ..tables import DRAWS_FOR_A_BAND, StudyTables, variant_names
from ._captions import (
    confidence_of,
    counted,
    draws_text,
    joined,
    measured_on,
    noise_of_detector,
    noise_text,
    resamples,
    why_no_intervals,
)
from ._marks import signed_text
from ._named import FigureData, FigureMark, NamedFigure, title_of
from ._values import Show, ValueMap, class_maps, class_values, map_limits, unit_maps

__all__ = ["class_map", "head_maps"]

ROW_NAME, COLUMN_NAME = 80, 28
"""Most characters of names beside and below a map."""
FILE_NAME_AT_MOST = 150
"""Most bytes of a figure's file name without its suffix; file systems take 255."""


def head_maps(tables: StudyTables, metric: str, *, show: Show = "difference") -> Iterator[NamedFigure]:
    """Draw a map of blocks by units for each ablation that removes single heads, levels or points.

    Parameters
    ----------
    tables : StudyTables
    metric : str
        One of the study's metrics.
    show : {"difference", "ablated", "baseline"}
        What the cells hold.
    """
    maps = unit_maps(tables, metric, show)
    limits = map_limits(tables, metric, show, unit_maps) if maps else (0.0, 1.0)
    what = {
        "difference": f"change of {title_of(metric)} when one unit alone is removed, a variant each.",
        "ablated": f"{title_of(metric)} when one unit alone is removed, a variant each.",
        "baseline": f"{title_of(metric)} of the whole model, the same for every unit.",
    }[show]
    for one in maps:
        data = FigureData(("block", *(f"unit {unit}" for unit in one.columns)), _table(one))
        text = f"{one.ablation}: {what}"
        yield _drawn(tables, metric, show, one, limits, f"units-{one.ablation}", text, data)


def class_map(tables: StudyTables, metric: str, *, show: Show = "difference") -> Iterator[NamedFigure]:
    """Draw a metric of each class, or its change: by ablation and dose, or by variant where an ablation has many.

    Parameters
    ----------
    tables : StudyTables
    metric : str
        One of the study's metrics.
    show : {"difference", "ablated", "baseline"}
        What the cells hold.
    """
    what = f"change of {title_of(metric)}" if show == "difference" else f"{title_of(metric)} ({show})"
    maps = class_maps(tables, metric, show)
    limits = map_limits(tables, metric, show, class_maps) if maps else (0.0, 1.0)
    changes, names = class_values(tables, metric), variant_names(tables.summary)
    for one in maps:
        if one.ablation:
            name, head = f"classes-{one.ablation}", "variant"
            text = f"{one.ablation}: {what} of each class, one variant a row."
        else:
            name, head = "classes", "ablation and dose"
            # The baseline is one model, however many variants are beside it.
            draws = draws_text(one.groups) if show != "baseline" else ""
            mean = ", mean of a row's draws" if "draws" in draws else ""
            text = f"{what[0].upper()}{what[1:]} of each class{mean}{f' ({draws} a row)' if draws else ''}."
        drawn = _drawn(
            tables, metric, show, one, limits, name, text, FigureData((head, *one.columns), _table(one))
        )
        yield drawn._replace(marks=tuple(_marks(one, show, metric, changes, names)))


def _marks(
    one: ValueMap,
    show: Show,
    metric: str,
    changes: Mapping[tuple[str, str], float],
    names: Mapping[str, str],
) -> Iterator[FigureMark]:
    """Yield a mark for each cell of a map of classes: of several draws, it stands for the one that loses most."""
    for (y, x), value in np.ndenumerate(one.values):
        category = one.columns[x]
        known = [row for row in one.members[y] if math.isfinite(changes.get((row["id"], category), math.nan))]
        if not known or not math.isfinite(value):
            continue
        worst = min(known, key=lambda row: changes[row["id"], category])
        number = signed_text(float(value)) if show == "difference" else f"{value:.3f}"
        several = len(known) > 1
        text = f"{visible(category)}, {names[worst['id']] if not several else one.rows[y]}: {title_of(metric)} {number}"
        if several:
            text += (
                f", mean of {len(known)}; the largest loss is {signed_text(changes[worst['id'], category])}"
            )
        yield FigureMark(0, (x - 0.5, x + 0.5, y - 0.5, y + 0.5), text, worst["id"], category)


def _drawn(
    tables: StudyTables,
    metric: str,
    show: Show,
    one: ValueMap,
    limits: tuple[float, float],
    name: str,
    text: str,
    data: FigureData,
) -> NamedFigure:
    """Draw a map, with a caption that tells what is in it."""
    is_change, known = show == "difference", bool(np.isfinite(one.values).any())
    sure = f"{confidence_of(tables):.0%}".replace("%", " %")
    within = ", or within noise" if noise_of_detector(tables, metric) else ""
    figure = value_heatmap(
        one.values,
        drawn_all(one.rows, ROW_NAME),
        drawn_all(one.columns, COLUMN_NAME),
        value_label=f"change of {title_of(metric)}" if is_change else f"{title_of(metric)}, {show}",
        diverging=is_change,
        limits=limits,
        scale="sqrt" if is_change else "linear",
        unsure=one.unsure,
        unsure_label=f"{sure} interval includes 0{within}",
        undefined_label="changed nothing, or undefined" if one.n_no_op else "undefined",
        column_label="unit removed" if data.head[0] == "block" else None,
        title=one.ablation or None,
    )
    least, most = one.n_controls
    beside = ""
    if most:
        sets = counted(most, "random set") if least == most else f"{least} to {most} random sets"
        mean = "mean over " if most > 1 else ""
        beside = f"Rows named random control: {mean}{sets}, as large as what the row above removes."
    caption = joined(
        (
            text,
            one.cut,
            "Orange is a loss." if is_change and known else "",
            f"Grey: {counted(one.n_no_op, 'variant')} that changed nothing." if one.n_no_op else "",
            beside,
            _hatching(tables, one, sure, within) if is_change and known else "",
            noise_text(tables, metric),
            f"All maps of {'units' if data.head[0] == 'block' else 'classes'} of this study have one colour scale.",
            measured_on(tables),
        )
    )
    return NamedFigure(file_name(name), caption, figure, data)


def _hatching(tables: StudyTables, one: ValueMap, sure: str, within: str) -> str:
    """Say what hatched cells mean, if there are any."""
    if not one.has_intervals:
        return why_no_intervals(tables)
    if not one.unsure.any():
        return f"No cell's {sure} interval includes 0{within and ', and none is within noise'}."
    over = f"paired bootstrap over the images{resamples(tables)}"
    if max([*(len(group.rows) for group in one.groups), one.n_controls[1]]) >= DRAWS_FOR_A_BAND:
        over += f"; of means over {DRAWS_FOR_A_BAND} draws or more also the t interval over draws"
    noise = ", or the change is within the detector's own noise" if within else ""
    return f"Hatched: the {sure} interval includes 0 ({over}){noise}."


def _table(one: ValueMap) -> tuple[tuple[object, ...], ...]:
    return tuple((row, *cells) for row, cells in zip(one.rows, one.values.tolist(), strict=True))


def file_name(name: str) -> str:
    """Return a name that a file can have, with hyphens for characters that are neither letters nor digits.

    >>> file_name("units-encoder heads: zero")
    'units-encoder-heads-zero'
    """
    return (
        re.sub(r"[^\w]+", "-", visible(name.lower()))
        .encode()[:FILE_NAME_AT_MOST]
        .decode(errors="ignore")
        .strip("-")
    )
