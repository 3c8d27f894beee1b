"""The pictures of the panels, usable without them: functions that return matplotlib figures.

All of them are `dissect_eval`'s; those drawn within `themed` fit a dark page.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import RLock
from typing import Any, Literal, TypeAlias

from dissect_eval.plots import figure_bytes
from dissect_eval.study import (
    NamedFigure,
    class_bars,
    class_map,
    dose_curves,
    error_bars,
    head_maps,
    worst_variants,
)

from ..base import THEMES
from ..errors import UnknownNameError

__all__ = [
    "NamedFigure",
    "Theme",
    "class_bars",
    "class_map",
    "dose_curves",
    "error_bars",
    "figure_bytes",
    "head_maps",
    "themed",
    "worst_variants",
]

Theme: TypeAlias = Literal["light", "dark"]
_DRAWING = RLock()
"""Held while figures are drawn: matplotlib's colours are those of the whole process, and a run draws on a thread."""
_DARK = "#1B1B1B"
_PALE = "#E8E8E8"


@contextmanager
def themed(theme: Theme) -> Iterator[None]:
    """Draw figures within a block for a light or a dark page.

    Parameters
    ----------
    theme : {"light", "dark"}

    Raises
    ------
    UnknownNameError
        If there is no such theme.

    Examples
    --------
    >>> from dissect_eval.plots import value_heatmap
    >>> with themed("dark"):
    ...     figure = value_heatmap([[0.1]], ["layer 0"], ["head 0"], value_label="AP")
    >>> figure.get_facecolor()[0] < 0.2
    True
    """
    if theme not in THEMES:
        raise UnknownNameError(f"`theme` must be one of {', '.join(THEMES)}, got {theme!r}.")
    dark: dict[str, str] = {
        **{f"{part}.facecolor": _DARK for part in ("figure", "axes", "savefig", "legend")},
        **{f"{part}.color": _PALE for part in ("text", "xtick", "ytick")},
        **{f"axes.{part}color": _PALE for part in ("label", "edge", "title")},
    }
    with drawing(dark if theme == "dark" else {}):
        yield


@contextmanager
def drawing(settings: Mapping[str, Any]) -> Iterator[None]:
    """Draw figures within a block by some of matplotlib's settings, on one thread at a time."""
    import matplotlib as mpl

    changed: Any = dict(settings)  # matplotlib's types list each setting
    with _DRAWING, mpl.rc_context(changed):
        yield
