"""Names that are not there: what may have been meant, and the error that says so."""

from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches

from .errors import UnknownComponentError
from .text import quoted

__all__ = ["near_hint", "near_matches", "unknown_component"]

_WILDCARDS = "*?[]"
_BEGINNING_ALIKE = 0.8
"""Least ratio (`difflib`) of a name to the beginning of another, which it may be a misspelt part of."""


def near_matches(name: str, names: Iterable[str], *, n: int = 5) -> tuple[str, ...]:
    """Return names that a misspelt or incomplete name may have meant, the likeliest first.

    Parameters
    ----------
    name : str
        A name, a part of one, or a glob.
    names : iterable of str
        The names that exist.
    n : int, default 5
        How many to give at most.

    Returns
    -------
    tuple of str
        First the names that end with `name`, or with which `name` ends; then those that contain it; then
        those that are spelt alike (`difflib`, ratio of 0.6 or more); then those that contain `name` once each of
        its parts between dots is spelt right; if there is none, those whose beginning is spelt alike (ratio of 0.8
        or more). Upper and lower case count as the same.

    Examples
    --------
    >>> names = ["encoder.layers.0.norm.weight", "decoder.norm.weight", "query_embedding.weight"]
    >>> near_matches("norm.weight", names)
    ('encoder.layers.0.norm.weight', 'decoder.norm.weight')
    >>> near_matches("query_embeding.weight", names)
    ('query_embedding.weight',)
    >>> near_matches("encodr.*", names)
    ('encoder.layers.0.norm.weight',)
    >>> near_matches("detrr_r50", ["dino-4scale_r50_8xb2-12e_coco", "detr_r50_8xb2-150e_coco"])
    ('detr_r50_8xb2-150e_coco',)
    """
    wanted = name.lower()
    for wildcard in _WILDCARDS:
        wanted = wanted.replace(wildcard, "")
    wanted = wanted.strip(".")
    known = {known.lower(): known for known in names}
    if not wanted:
        return tuple(known.values())[:n]
    suffix = [low for low in known if low.endswith(wanted) or wanted.endswith(f".{low}")]
    part = [low for low in known if wanted in low]
    alike = get_close_matches(wanted, known, n=n, cutoff=0.6) if len(suffix) + len(part) < n else []
    mended = _mended(wanted, known) if not suffix and not part else wanted
    inside = [low for low in known if mended in low] if mended != wanted else []
    found = dict.fromkeys([*suffix, *part, *alike, *inside]) or dict.fromkeys(_begun_alike(wanted, known))
    return tuple(known[low] for low in found)[:n]


def _begun_alike(wanted: str, known: Iterable[str]) -> list[str]:
    """Return the names whose beginning, as long as the one that is wanted, is spelt alike; the most alike first."""
    ratios = {name: SequenceMatcher(None, wanted, name[: len(wanted)]).ratio() for name in known}
    near = [name for name, ratio in ratios.items() if ratio >= _BEGINNING_ALIKE]
    return sorted(near, key=lambda name: -ratios[name])


def _mended(wanted: str, known: Iterable[str]) -> str:
    """Replace each misspelt part between dots by the part of a known name that is spelt most alike."""
    parts = sorted({part for name in known for part in name.split(".")})
    near = (
        part if part in parts else next(iter(get_close_matches(part, parts, n=1)), part)
        for part in wanted.split(".")
    )
    return ".".join(near)


def near_hint(name: str, names: Iterable[str]) -> str:
    """Return a sentence with the near matches of a name, to be put behind a message; empty if there are none.

    Parameters
    ----------
    name : str
        A name that is not among the others.
    names : iterable of str

    Returns
    -------
    str
        With a space before it.

    Examples
    --------
    >>> near_hint("metrcs", ["metrics", "seed"]), near_hint("colour", ["metrics", "seed"])
    (" Near matches: 'metrics'.", '')
    """
    near = near_matches(name, names)
    return f" Near matches: {', '.join(map(quoted, near))}." if near else ""


def unknown_component(name: str, names: Iterable[str], *, what: str = "component") -> UnknownComponentError:
    """Return the error for a name or pattern that matches none of the names; its message gives near matches.

    Parameters
    ----------
    name : str
        The name or glob that matched nothing.
    names : iterable of str
        The names that exist.
    what : str, default ``"component"``
        What the names stand for, in the message.

    Returns
    -------
    UnknownComponentError
        To be raised by the caller.

    Examples
    --------
    >>> print(unknown_component("bias", ["norm.bias", "norm.weight"]))
    No component matches 'bias'. Near matches: 'norm.bias'.
    """
    known = tuple(names)
    near = near_matches(name, known)
    if near:
        remedy = f"Near matches: {', '.join(map(quoted, near))}."
    elif known:
        first, last = quoted(known[0]), quoted(known[-1])
        remedy = f"There are {len(known)}, from {first} to {last}; '*' in a glob matches dots too."
    else:
        remedy = f"There is no {what} at all."
    return UnknownComponentError(f"No {what} matches {quoted(name)}. {remedy}")
