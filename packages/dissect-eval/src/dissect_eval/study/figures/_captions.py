"""Sentences of captions: how many images and draws are behind a figure, and what its intervals mean."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..tables import Group, StudyTables
from ._named import title_of

__all__ = [
    "confidence_of",
    "counted",
    "draws_text",
    "joined",
    "measured_on",
    "noise_of_detector",
    "noise_text",
    "resamples",
    "span",
    "why_no_intervals",
]


def measured_on(tables: StudyTables) -> str:
    """Say how many images and objects, and which seed, a study's numbers are from, as far as its tables tell.

    Examples
    --------
    >>> measured_on(StudyTables({"n_images": 40, "n_truth": 107, "seed": 3}, [], None, [], []))
    'n = 40 images with 107 objects; 1 study seed (3).'
    """
    about = tables.about
    parts = []
    if about.get("n_images") is not None:
        objects = f" with {counted(about['n_truth'], 'object')}" if about.get("n_truth") is not None else ""
        parts.append(f"n = {counted(about['n_images'], 'image')}{objects}")
    if about.get("seed") is not None:
        parts.append(f"1 study seed ({about['seed']})")
    return f"{'; '.join(parts)}." if parts else ""


def draws_text(groups: Iterable[Group]) -> str:
    """Say how many variants are behind the value of a group.

    Examples
    --------
    >>> one = Group("heads, 50%", "heads", "ablation", "zero", 0.5, ({"id": "a"}, {"id": "b"}), True)
    >>> draws_text([one, one._replace(rows=({"id": "a"},), are_draws=False)])
    '2 random draws or 1 chosen set'
    """
    # With all units removed nothing is random.
    drawn = sorted({len(group.rows) for group in groups if group.are_draws and group.dose < 1})
    parts = []
    if drawn:
        least, most = drawn[0], drawn[-1]
        parts.append(f"{least} to {most} random draws" if least < most else counted(most, "random draw"))
    if any(not group.are_draws or group.dose >= 1 for group in groups):
        parts.append("1 chosen set")
    return " or ".join(parts)


def confidence_of(tables: StudyTables) -> float:
    """Return the confidence of the study's intervals, in (0, 1)."""
    return float(tables.about["settings"].get("confidence", 0.95))


def resamples(tables: StudyTables) -> str:
    """Say how many resamples of the images there are; return an empty text where the number is not known."""
    number = tables.about["settings"].get("n_replicates")
    return "" if number is None else f", {counted(number, 'resample')}"


def noise_of_detector(tables: StudyTables, metric: str) -> float:
    """Return by how much the metric differs between passes with nothing removed; 0 for a deterministic detector."""
    noise = tables.summary[0].get(f"{metric}_noise", 0.0)
    return noise if noise is not None and math.isfinite(noise) else 0.0


def noise_text(tables: StudyTables, metric: str) -> str:
    """Say by how much a detector that is not deterministic differs from itself; return "" for one that is."""
    noise = noise_of_detector(tables, metric)
    if not noise:
        return ""
    return (
        f"The detector is not deterministic: its {title_of(metric)} differs by up to {noise:.3f} between passes with "
        "nothing removed."
    )


def why_no_intervals(tables: StudyTables) -> str:
    """Say why there are no intervals."""
    if tables.about.get("n_images") == 1:
        return "No intervals: resamples of a single image are all the same."
    if tables.about["settings"].get("n_replicates"):
        return "No intervals: undefined on resamples of the images."
    return "No intervals: measured without resamples of the images."


def counted(number: int, what: str) -> str:
    """Return a number with what it counts.

    Examples
    --------
    >>> counted(1, "image"), counted(2000, "image")
    ('1 image', '2,000 images')
    """
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def span(counts: NDArray[np.int64]) -> str:
    """Return the least and the most of some numbers of images, as a text.

    Examples
    --------
    >>> span(np.array([3, 8])), span(np.array([4, 4]))
    ('3 to 8 images', '4 images')
    """
    least, most = int(counts.min()), int(counts.max())
    return counted(most, "image") if least == most else f"{least:,} to {counted(most, 'image')}"


def joined(sentences: Sequence[str]) -> str:
    """Return sentences as one text, without empty ones."""
    return " ".join(filter(None, sentences))
