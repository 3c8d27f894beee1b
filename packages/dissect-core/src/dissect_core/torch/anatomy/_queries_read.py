"""Object queries that evaluation uses, of those for which an embedding has a row."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import nn

from ...anatomy import UnitGroup, query_group, unit_kind
from ._rows_read import rows_read


def only_read(
    model: nn.Module, groups: Sequence[UnitGroup], run: Callable[[], object] | None
) -> tuple[tuple[UnitGroup, ...], tuple[str, ...]]:
    """Keep of groups of queries the rows that a pass reads, and note which rows it does not read.

    Parameters
    ----------
    model : torch.nn.Module
    groups : sequence of UnitGroup
        Groups of any unit; only those of queries are changed.
    run : callable or None
        Runs the model once; None leaves everything as it is.

    Returns
    -------
    groups : tuple of UnitGroup
    notes : tuple of str
    """
    names = dict.fromkeys(
        s.parameter for group in groups if unit_kind(group.unit).read_in_part for s in group.slices
    )
    if run is None or not names:
        return tuple(groups), ()
    try:
        read = rows_read(model, run, tuple(names))
    except Exception as error:  # whatever a model may raise on an image that it was not made for
        why = str(error).split("\n", 1)[0] or type(error).__name__
        return tuple(groups), (
            f"Every row of {', '.join(names)} counts as a query: a pass to try failed. {why}",
        )
    kept, notes = [], []
    for group in groups:
        if unit_kind(group.unit).read_in_part:
            group, note = _narrowed(group, [read[s.parameter] for s in group.slices])
            notes += [note] if note else []
        kept.append(group)
    return tuple(kept), tuple(notes)


def _narrowed(group: UnitGroup, read: Sequence[NDArray[np.bool_] | None]) -> tuple[UnitGroup, str]:
    """Return the group with only the rows that are read in one of its parameters, and a note on the others."""
    if any(s.axis for s in group.slices):
        return group, ""  # tokens that the model takes as a whole, behind an axis of one image
    seen = [rows for rows in read if rows is not None]
    if not seen:
        return group, (
            f"Every row of {group.path} counts as a query, though a pass in evaluation was not seen to read any."
        )
    rows = np.flatnonzero(np.any(seen, axis=0))
    if len(rows) == group.n_units:
        return group, ""
    what = f"Evaluation reads {len(rows):,} of the {group.n_units:,} rows of {group.path}"
    step = int(rows[1] - rows[0]) if len(rows) > 1 else 1
    regular = range(int(rows[0]), int(rows[-1]) + 1, step)
    if len(regular) != len(rows) or not (np.array(regular) == rows).all():
        return group, f"{what}, in no regular order, so that all of them are offered as queries."
    narrowed = query_group(group.path, [(s.parameter, s.shape) for s in group.slices], regular)
    every = f", every {step}th" if step > 1 else ""
    return narrowed, f"{what}, {rows[0]:,} to {rows[-1]:,}{every}: only these are queries."
