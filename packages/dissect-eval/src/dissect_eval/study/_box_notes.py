"""What to say of boxes that are none, or have no area."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..boxes import degenerate_rows
from ..data import GroundTruth

__all__ = ["box_notes"]

_SAID = {
    "n_not_finite": "with NaN or infinity (left out)",
    "n_negative": "with an inverted box (max < min: false positives)",
}


def box_notes(truth: GroundTruth, rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Sentences on degenerate boxes of a truth and of variants; none where there are none.

    Parameters
    ----------
    truth : GroundTruth
    rows : iterable of mapping
        Of each variant its `id`, `n_not_finite` and `n_negative`.

    Examples
    --------
    >>> truth = GroundTruth.from_arrays([([[0, 0, 5, 5], [3, 3, 3, 9]], [1, 1])], [1], {1: "cat"})
    >>> rows = [
    ...     {"id": "baseline", "n_not_finite": 0, "n_negative": 0},
    ...     {"id": "a", "n_not_finite": 0, "n_negative": 2},
    ... ]
    >>> for note in box_notes(truth, rows):
    ...     print(note)
    1 of 2 true boxes has no area: nothing can match it, and it counts as a miss.
    1 of 2 variants gave detections with an inverted box (max < min: false positives): 2 in all, first in a.
    """
    rows = list(rows)
    notes = []
    n = int(degenerate_rows(truth.boxes).sum())
    if n:
        each = "has no area: nothing can match it, and it counts as a miss"
        all_of_them = "have no area: nothing can match them, and each counts as a miss"
        notes.append(f"{n:,} of {truth.n_boxes:,} true boxes {each if n == 1 else all_of_them}.")
    for name, said in _SAID.items():
        those = [row for row in rows if row[name]]
        if those:
            total = sum(row[name] for row in those)
            notes.append(
                f"{len(those):,} of {len(rows):,} variants gave detections {said}: {total:,} in all, first in "
                f"{those[0]['id']}."
            )
    return notes
