"""Detections of several parts of a data set as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np

from .._arrays import group_rows
from .._text import quoted
from ..errors import DetectionError, SettingError
from ._columns import DetectionColumns
from ._records import listing

__all__ = ["OnRepeat", "joined_columns"]

OnRepeat: TypeAlias = Literal["error", "first", "join"]
"""What becomes of an image that several parts have."""


def joined_columns(parts: Sequence[DetectionColumns], on_repeat: OnRepeat) -> DetectionColumns:
    """Return the columns of `Detections` that hold all parts."""
    if on_repeat not in ("error", "first", "join"):
        raise SettingError(f"`on_repeat` must be 'error', 'first' or 'join', got {quoted(on_repeat)}.")
    masks = [part.get("masks") for part in parts if len(part["boxes"])]
    if any(one is None for one in masks) and any(one is not None for one in masks):
        raise DetectionError(
            "`parts` must have masks all of them, or none. Set `masks=None` in those that have."
        )
    every = np.concatenate([np.zeros(0, dtype=np.int64), *(part["image_ids"] for part in parts)])
    image_ids, first, counts = np.unique(every, return_index=True, return_counts=True)
    if on_repeat == "error" and (counts > 1).any():
        raise DetectionError(
            f"`parts` must have no image in common, but these occur more than once: "
            f"{listing(image_ids[counts > 1].tolist())}. With on_repeat='first' the first of each counts, as a "
            "distributed sampler's repeats need it; 'join' adds up the boxes."
        )
    kept = np.ones(len(every), dtype=np.bool_)
    if on_repeat == "first":
        kept[:] = False
        kept[first] = True
    splits = np.concatenate([np.zeros(0, dtype=np.int64), *(np.diff(part["image_splits"]) for part in parts)])
    place = np.repeat(
        np.arange(len(every)), splits
    )  # of the image of each row, among all images of all parts
    rows = np.flatnonzero(kept[place])
    order, image_splits = group_rows(np.searchsorted(image_ids, every[place[rows]]), len(image_ids))
    rows = rows[order]

    def column(
        name: Literal["boxes", "sizes", "scores"], shape: tuple[int, ...]
    ) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        return np.concatenate([np.zeros(shape), *(part[name] for part in parts)]).take(rows, axis=0)

    category_ids = np.concatenate([np.zeros(0, dtype=np.int64), *(part["category_ids"] for part in parts)])[
        rows
    ]
    known = [one for one in masks if one is not None]
    return DetectionColumns(
        image_ids=image_ids,
        image_splits=image_splits,
        boxes=column("boxes", (0, 4)),
        sizes=column("sizes", (0, 2)),
        scores=column("scores", (0,)),
        category_ids=category_ids,
        n_dropped=sum(part["n_dropped"] for part in parts),
        n_negative=sum(part["n_negative"] for part in parts),
        notes=tuple(dict.fromkeys(note for part in parts for note in part["notes"])),
        masks=known[0].joined(known[1:]).take(rows) if known else None,
    )
