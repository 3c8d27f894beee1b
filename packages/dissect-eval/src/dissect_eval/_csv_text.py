"""Texts as cells of CSV files, which spreadsheets open."""

import re

from ._text import visible

__all__ = ["csv_text"]

_FORMULA = re.compile(r" *[=+\-@\uff1d\uff0b\uff0d\uff20]|'")
"""How a cell begins that a spreadsheet may run, also in full-width forms; or with the mark that says it is none."""


def csv_text(text: str) -> str:
    r"""A text as a cell that a spreadsheet shows and never computes; numbers are no texts, and stay numbers.

    Parameters
    ----------
    text : str
        A name, whole.

    Returns
    -------
    str
        In one line, visible; with an apostrophe before it if it began like a formula, or with an apostrophe.

    Examples
    --------
    >>> csv_text("=1+1"), csv_text("cat"), csv_text("a\n=1")
    ("'=1+1", 'cat', 'a\\n=1')
    """
    shown = visible(text)
    return f"'{shown}" if _FORMULA.match(shown) else shown
