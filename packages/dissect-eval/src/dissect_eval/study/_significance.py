"""What p-values cannot show, since they are corrected for many tests: a sentence for people, where that is so."""

from __future__ import annotations

from ..statistics import least_p_value, replicates_needed
from ._settings import ALPHA, Settings

__all__ = ["class_notes", "significance_notes"]

FEASIBLE = 1_000_000
"""More resamples than these are no advice."""


def significance_notes(settings: Settings, n_tests: int, n_images: int) -> tuple[str, ...]:
    """Say that no loss can be significant, if that is so, and what it would take.

    Parameters
    ----------
    settings : Settings
        Of a study: with `n_for_p`.
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
    """Say that no loss of a single class can be significant, if that is so.

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
