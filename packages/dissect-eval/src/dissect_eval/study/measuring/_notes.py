"""Notes on a study's numbers: p-values that cannot be significant, and boxes that are not finite or have no area."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...boxes import degenerate_rows
from ...data import GroundTruth
from ...statistics import least_p_value, replicates_needed
from ._settings import ALPHA, Settings

__all__ = ["box_notes", "class_notes", "significance_notes"]

FEASIBLE = 1_000_000
"""Most resamples that a note advises."""
_SAID = {
    "n_not_finite": "with NaN or infinity (left out)",
    "n_negative": "with an inverted box (max < min: false positives)",
}


def significance_notes(settings: Settings, n_tests: int, n_images: int) -> tuple[str, ...]:
    """Return a note that no loss can be significant, if that is so, and what would be needed.

    Parameters
    ----------
    settings : Settings
        Settings of a study, with `n_for_p`.
    n_tests : int
        Variants that p-values are corrected for.
    n_images : int

    Examples
    --------
    >>> significance_notes(Settings(n_replicates=500).of_study(35, 5000), 35, 5000)[0][:66]
    'no loss can be significant here: corrected for 35 variants, no p-v'
    >>> significance_notes(Settings().of_study(35, 5000), 35, 5000)
    ()
    """
    n_drawn = max(settings.n_for_p or 0, settings.n_replicates or 0)
    if not n_drawn or not n_tests:
        return ()
    if n_images < 2:
        return (
            "no intervals and no p-values: they come from resamples of the images, and those of a single image are all "
            "the same.",
        )
    family = n_tests if settings.correction == "holm" else 1
    least = least_p_value(n_drawn, n_images, family)
    if least < ALPHA:
        return ()
    needed = replicates_needed(family, n_images, ALPHA)
    remedy = (
        f"`--replicates {int(needed)}` (`n_replicates`) would do"
        if needed <= FEASIBLE
        else "that takes more images or fewer variants"
    )
    corrected = f"corrected for {family:,} variants, " if family > 1 else ""
    return (
        f"no loss can be significant here: {corrected}no p-value can fall below {least:.2g} with {n_drawn:,} resamples "
        f"of {n_images:,} images; {remedy}.",
    )


def class_notes(settings: Settings, n_tests: int, n_images: int) -> tuple[str, ...]:
    """Return a note that no loss of a single class can be significant, if that is so.

    Parameters
    ----------
    settings : Settings
    n_tests : int
        Variants times classes.
    n_images : int
    """
    if not settings.n_replicates or not n_tests or n_images < 2 or settings.correction != "holm":
        return ()
    least = least_p_value(settings.n_replicates, n_images, n_tests)
    if least < ALPHA:
        return ()
    return (
        f"p-values of single classes are corrected for {n_tests:,} tests of a metric: with {settings.n_replicates:,} "
        f"resamples of {n_images:,} images none can fall below {least:.2g}. Intervals are not corrected.",
    )


def box_notes(truth: GroundTruth, rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return notes on degenerate boxes of the truth and on invalid ones of variants, if there are any.

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
