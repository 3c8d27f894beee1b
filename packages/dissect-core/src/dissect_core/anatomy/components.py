"""Components of a model: what they are, and choosing some of them by name or glob."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase

from ..errors import SelectionError, UnknownComponentError
from ..text import quoted

_WILDCARDS = "*?[]"


@dataclass(frozen=True)
class Component:
    """One named parameter of a model: something that can be ablated.

    Attributes
    ----------
    name : str
        Name of the parameter, as in the model's state dict (``"encoder.layers.0.linear1.weight"``).
    shape : tuple of int
        Shape of the parameter; ``()`` for a scalar.
    dtype : str
        Type of its values, ``"float32"`` for instance.
    role : str or None
        What the component does in a detector (``"encoder.self_attn"``), where that is known.
    n_heads : int or None
        Number of heads of the attention block that the component belongs to, if it belongs to one.
    aliases : tuple of str
        Further names under which a model holds the very same parameter (tied weights).

    Examples
    --------
    >>> Component("query_embedding.weight", (100, 256), "float32").n_parameters
    25600
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    role: str | None = None
    n_heads: int | None = None
    aliases: tuple[str, ...] = ()

    @property
    def n_parameters(self) -> int:
        """Number of values in the component: the product of its shape, 1 for a scalar."""
        return math.prod(self.shape)


def near_matches(name: str, names: Iterable[str], *, n: int = 5) -> tuple[str, ...]:
    """Names that a misspelt or incomplete name may have meant, the likeliest first.

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
        its parts between dots is spelt right. Upper and lower case count as the same.

    Examples
    --------
    >>> names = ["encoder.layers.0.norm.weight", "decoder.norm.weight", "query_embedding.weight"]
    >>> near_matches("norm.weight", names)
    ('encoder.layers.0.norm.weight', 'decoder.norm.weight')
    >>> near_matches("query_embeding.weight", names)
    ('query_embedding.weight',)
    >>> near_matches("encodr.*", names)
    ('encoder.layers.0.norm.weight',)
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
    return tuple(known[low] for low in dict.fromkeys([*suffix, *part, *alike, *inside]))[:n]


def _mended(wanted: str, known: Iterable[str]) -> str:
    """Replace each misspelt part between dots by the part of a known name that is spelt most alike."""
    parts = sorted({part for name in known for part in name.split(".")})
    near = (
        part if part in parts else next(iter(get_close_matches(part, parts, n=1)), part)
        for part in wanted.split(".")
    )
    return ".".join(near)


def unknown_component(name: str, names: Iterable[str], *, what: str = "component") -> UnknownComponentError:
    """Error for a name or pattern that matches none of the names, with near matches in its message.

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


def select_components(
    components: Sequence[Component], patterns: str | Iterable[str], *, expect: int | None = None
) -> tuple[Component, ...]:
    """Choose components by exact name or glob.

    Parameters
    ----------
    components : sequence of Component
        What there is to choose from.
    patterns : str or iterable of str
        Names or globs. A pattern that is a component's name, or an alias of it, selects that component only;
        otherwise it is a case-sensitive glob over names and aliases (`fnmatch`), in which ``*`` also matches
        dots.
    expect : int, optional
        How many components the selection must contain: a guard against a glob that says more, or less, than
        was meant.

    Returns
    -------
    tuple of Component
        Selected components in the order of `components`, each one once.

    Raises
    ------
    UnknownComponentError
        If a pattern matches nothing; near matches are named.
    SelectionError
        If there is no pattern, or the number of selected components is not `expect`.

    Examples
    --------
    >>> components = [Component(f"layers.{i}.weight", (4, 4), "float32") for i in range(6)]
    >>> [c.name for c in select_components(components, ["layers.5.*", "layers.0.weight"])]
    ['layers.0.weight', 'layers.5.weight']
    >>> len(select_components(components, "layers.*.weight", expect=6))
    6
    """
    wanted = (patterns,) if isinstance(patterns, str) else tuple(patterns)
    if not wanted:
        raise SelectionError(
            "`patterns` must hold at least one name or glob, got none. '*' selects everything."
        )
    names = {name: i for i, c in enumerate(components) for name in (c.name, *c.aliases)}
    chosen: set[int] = set()
    for pattern in wanted:
        found = (
            {names[pattern]}
            if pattern in names
            else {i for name, i in names.items() if fnmatchcase(name, pattern)}
        )
        if not found:
            raise unknown_component(pattern, names)
        chosen |= found
    selected = tuple(components[i] for i in sorted(chosen))
    if expect is not None and len(selected) != expect:
        raise SelectionError(
            f"{', '.join(map(repr, wanted))} must select {expect} components (`expect`), "
            f"got {len(selected)}: {_listed(selected)}. Correct the pattern or `expect`."
        )
    return selected


def _listed(components: Sequence[Component], limit: int = 8) -> str:
    names = [quoted(c.name) for c in components[:limit]]
    return ", ".join([*names, f"and {len(components) - limit} more"] if len(components) > limit else names)
