"""Names that anybody may have chosen, as text that is safe to print: one line, visible, and not endless."""

import re
import unicodedata
from collections.abc import Sequence

__all__ = ["cut", "file_name", "file_names", "quoted", "said", "visible"]

NAME_AT_MOST = 200
"""Characters of a name that a message shows."""
SAID_AT_MOST = 300
"""Characters of another package's error that a message shows."""
FILE_NAME_AT_MOST = 150
"""Bytes of a file's name without its suffix: file systems take 255 with all that is put around it."""
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)

# Characters that Unicode calls printable but that show nothing, such as the filler of Hangul.
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
# Characters that join or part letters, or join signs to one emoji: only their effect can be seen.
_JOINERS = "\u200c\u200d\ufe0f"
_SKIN = "\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"
_VIRAMA = 9
"""Unicode's combining class of virama, the mark that removes a letter's vowel in Indian scripts."""


def visible(text: str) -> str:
    r"""Return a text in which every character can be seen.

    Parameters
    ----------
    text : str
        Any text, a component's name for instance.

    Returns
    -------
    str
        One line: control characters (of the terminal, too), line breaks, marks that change the writing direction or
        have no width, and lone surrogates are written as escapes, so that names do not look alike because of them.
        Joiners stay where scripts and emoji need them: where they change the shape of their neighbours.

    Examples
    --------
    >>> print(visible("weight\n\x1b[31m\u202etxt"))
    weight\n\x1b[31m\u202etxt
    """
    if text.isprintable() and not _UNSEEN.search(text):
        return text
    return "".join(
        c if (c.isprintable() and not _UNSEEN.match(c)) or _shapes(text, i) else ascii(c)[1:-1]
        for i, c in enumerate(text)
    )


def _shapes(text: str, at: int) -> bool:
    """Return whether a character is a joiner that changes the shape of its neighbours."""
    mark, before, after = text[at], text[at - 1 : at] if at else "", text[at + 1 : at + 2]
    if mark not in _JOINERS or not before:
        return False
    if mark == "\ufe0f":  # the coloured form of a sign that also has a plain one
        return _is_symbol(before) and unicodedata.east_asian_width(before) != "W"
    if unicodedata.combining(before) == _VIRAMA:
        return after.isalpha()
    if mark == "\u200d":  # emoji of several
        ends = _is_symbol(before) or before in _SKIN or (before == "\ufe0f" and _shapes(text, at - 1))
        return ends and _is_symbol(after)
    return _has_form(before, "INITIAL") and _has_form(after, "FINAL")  # two letters that would be joined


def _is_symbol(character: str) -> bool:
    return character != "" and unicodedata.category(character) == "So"


def _has_form(character: str, form: str) -> bool:
    """Return whether an Arabic letter has a form of this name."""
    try:
        return bool(unicodedata.lookup(f"{unicodedata.name(character)} {form} FORM"))
    except (KeyError, TypeError, ValueError):
        return False


def cut(text: str, most: int = NAME_AT_MOST) -> str:
    """Shorten a text to a limited length: a longer one loses its middle, and keeps both ends.

    Parameters
    ----------
    text : str
        A name, or a value as text.
    most : int
        Most characters of the result, the gap included.

    Returns
    -------
    str

    Examples
    --------
    >>> cut("encoder.layers.0.self_attn", 11)
    'encod…_attn'
    """
    if len(text) <= most:
        return text
    end = most // 2
    return f"{text[: most - 1 - end]}…{text[len(text) - end :]}"


def quoted(value: object) -> str:
    r"""Return a value for a message: as Python writes it, visible and cut.

    Parameters
    ----------
    value : object
        The wrong value.

    Returns
    -------
    str

    Examples
    --------
    >>> quoted("a\nb"), len(quoted("a" * 10_000_000)), quoted(10**5000)
    ("'a\\nb'", 200, '<int of 16610 bits>')
    """
    if isinstance(value, str) and len(value) > 2 * NAME_AT_MOST:
        value = cut(value, 2 * NAME_AT_MOST)  # not all of it is written first
    try:
        return cut(visible(repr(value)))
    except (
        ValueError,
        RecursionError,
        OverflowError,
    ):  # Python refuses to write a number of very many digits
        bits = f" of {value.bit_length()} bits" if isinstance(value, int) else ""
        return f"<{type(value).__name__}{bits}>"


def file_name(name: str) -> str:
    """Turn a name into that of a file on any system: one part of a path, not hidden, and not too long.

    Parameters
    ----------
    name : str
        Any text.

    Returns
    -------
    str
        Letters, digits and ``_ . + -``; a slash becomes ``_``, anything else ``-``.

    Examples
    --------
    >>> file_name("encoder heads/head/each/encoder.layers.0.self_attn:3"), file_name("../../x"), file_name("CON")
    ('encoder-heads_head_each_encoder.layers.0.self_attn-3', '_.._x', 'CON-')
    """
    plain = re.sub(r"[^\w.+-]", "-", visible(name.replace("/", "_"))).lstrip(".")
    short = plain.encode()[:FILE_NAME_AT_MOST].decode(errors="ignore").rstrip(".") or "-"
    return f"{short}-" if _RESERVED.fullmatch(short) else short


def file_names(names: Sequence[str]) -> list[str]:
    """Turn names into those of files, with a number where two would be one file, also where case does not count.

    Parameters
    ----------
    names : sequence of str

    Returns
    -------
    list of str
        One for each, all different.

    Examples
    --------
    >>> file_names(["a b", "A-b", "c"])
    ['a-b', 'A-b-2', 'c']
    """
    taken: set[str] = set()
    found = []
    for name in names:
        wanted = free = file_name(name)
        number = 2
        while free.casefold() in taken:
            free, number = f"{wanted}-{number}", number + 1
        taken.add(free.casefold())
        found.append(free)
    return found


def said(error: BaseException) -> str:
    r"""Return another package's error as one line for a message of ours.

    Parameters
    ----------
    error : BaseException

    Returns
    -------
    str
        The name of its class, and its text: visible, on one line, and cut.

    Examples
    --------
    >>> said(ValueError("a\nb"))
    'ValueError: a b'
    """
    text = visible(" ".join(str(error).split()))
    return cut(f"{type(error).__name__}: {text}" if text else type(error).__name__, SAID_AT_MOST)
