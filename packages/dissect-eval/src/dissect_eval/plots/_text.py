"""Names in figures: drawn as they are, never as formulas, and short enough to leave room for what is plotted."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .._text import cut, visible

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["as_text", "drawn", "drawn_all", "drawn_quietly"]

NAME_AT_MOST = 80
"""Most characters of a name beside an axis."""
LEGEND_AT_MOST = 60
"""Most characters of a name in a legend."""


def drawn(name: str, most: int = NAME_AT_MOST) -> str:
    """Return a name for a figure: invisible characters as escapes, and a long name without its middle."""
    return cut(visible(str(name)), most)


def drawn_all(names: Sequence[str], most: int = NAME_AT_MOST, *, legend: bool = False) -> list[str]:
    """Return names for a figure, numbered where different ones would look the same.

    Parameters
    ----------
    names : sequence of str
    most : int
        Most characters of each.
    legend : bool
        Whether they are labels of a legend, which leaves out what begins with an underscore.

    Returns
    -------
    list of str

    Examples
    --------
    >>> drawn_all(["encoder.0:3", "encoder.1:3", "encoder.0:3", "a"], 6)
    ['en…0:3', 'en…1:3', 'en…0:3', 'a']
    >>> drawn_all(["encoder.0:3", "encoder.1:3"], 4)
    ['e…:3', 'e…:3 (2)']
    """
    taken: dict[str, dict[str, int]] = {}
    found = []
    for name in names:
        shown = drawn(name, most)
        same = taken.setdefault(shown, {})
        number = same.setdefault(name, len(same))
        text = f"{shown} ({number + 1})" if number else shown
        found.append(f" {text}" if legend and text.startswith("_") else text)
    return found


def as_text(figure: Figure) -> Figure:
    """Switch off TeX and formulas in all texts of a figure: a name may hold any characters."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_usetex(False)
        text.set_parse_math(False)
    return figure


@contextmanager
def drawn_quietly() -> Iterator[None]:
    """Silence matplotlib's warnings about names: letters that the font lacks, or too little room for a plot."""
    import matplotlib as mpl

    with warnings.catch_warnings(), mpl.rc_context({"text.parse_math": False, "text.usetex": False}):
        warnings.filterwarnings("ignore", message=".*missing from font")
        warnings.filterwarnings("ignore", message="constrained_layout not applied")
        yield
