"""Texts in tables for papers: typeset as they are, by any engine of LaTeX."""

from __future__ import annotations

import unicodedata

from dissect_core.text import visible

__all__ = ["tex_text"]

_ACCENTS = "\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030b\u030c\u0327"
_KNOWN = "ÆæØøŒœŁłß–—‘’“”…"
"""Beside letters with such an accent, what pdflatex typesets in every encoding of fonts; it stops at most others."""
_LATEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\symbol{34}",  # active in some languages of babel
    # At the head of a row these would be arguments of the line break before it.
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    # Ligatures, such as two hyphens that are made a dash.
    **{character: f"{character}{{}}" for character in "-'`,?!"},
}


def tex_text(text: str) -> str:
    r"""A text for LaTeX in which no character is a command, begins an argument, or is joined with its neighbour.

    Parameters
    ----------
    text : str

    Returns
    -------
    str
        Letters beyond those of western alphabets are written as escapes, such as ``\\u4e2d``: pdflatex knows no others.

    Examples
    --------
    >>> print(tex_text("100% of $x_1$ \\ -- \u4e2d"))
    100\% of \$x\_1\$ \textbackslash{} -{}-{} \textbackslash{}u4e2d
    """
    plain = "".join(c if _is_known(c) else ascii(c)[1:-1] for c in visible(text))
    return "".join(_LATEX.get(character, character) for character in plain)


def _is_known(character: str) -> bool:
    base, *marks = list(unicodedata.normalize("NFD", character))
    return character in _KNOWN or (
        base.isascii() and (not marks or (len(marks) == 1 and marks[0] in _ACCENTS))
    )
