"""What a study costs on this machine, in words. No widgets in here."""

from __future__ import annotations

from ..base import counted
from ..detector import Speed
from ._plan_preview import PlanPreview

__all__ = ["cost_in_words", "duration", "seconds_of"]


def seconds_of(preview: PlanPreview, speed: Speed, n_images: int) -> float:
    """Return about how many seconds the passes of a study take, with prefix replay where the variants are known.

    Examples
    --------
    >>> from ._plan_preview import PlannedAblation
    >>> preview = PlanPreview((PlannedAblation("heads", 99),), unlisted="counted only")
    >>> seconds_of(preview, Speed(0.5), 4)
    200.0
    """
    saved = speed.left_out(preview.places) if preview.rows else 0.0
    return speed.seconds * preview.n_variants * n_images * (1 - saved)


def cost_in_words(preview: PlanPreview, speed: Speed | None, n_images: int) -> tuple[str, ...]:
    """Return what running a study costs, as far as that is known; nothing of one that does not fit its model.

    Parameters
    ----------
    preview : PlanPreview
    speed : Speed or None
        Of the detector, once a pass was timed.
    n_images : int
        How many images the study is run on; 0 where that is not known.

    Examples
    --------
    >>> from ._plan_preview import PlannedAblation
    >>> preview = PlanPreview((PlannedAblation("heads", 99),), unlisted="counted only")
    >>> cost_in_words(preview, Speed(0.5), 4), cost_in_words(preview, None, 4)
    (('about 3 min for 4 images here',), ('100 passes over 4 images', 'minutes are known once a pass is timed'))
    """
    if preview.problems:
        return ()
    images = counted(n_images, "image") if n_images else "an image"
    if speed is None:
        passes = f"{preview.n_variants:,} passes over {images if n_images else 'each image'}"
        return passes, "minutes are known once a pass is timed"
    told = [f"about {duration(seconds_of(preview, speed, max(1, n_images)))} for {images} here"]
    saved = speed.left_out(preview.places) if preview.rows else 0.0
    if saved >= 0.01:
        told.append(f"replay leaves out about {100 * saved:.0f} %")
    return tuple(told)


def duration(seconds: float) -> str:
    """Return a time in words, such as "40 s" or "12 min".

    Examples
    --------
    >>> [duration(seconds) for seconds in (0.25, 40, 700, 20_000)]
    ['0.2 s', '40 s', '12 min', '5.6 h']
    """
    if seconds < 1:
        return f"{seconds:.1g} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"
