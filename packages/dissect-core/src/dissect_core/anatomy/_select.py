"""Choosing parts of a model: by exact name, by a word that stands for several (a role, a block), or by glob."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from ..errors import SelectionError
from ..names import unknown_component
from ..text import quoted


def _no_words(_pattern: str) -> Collection[str]:
    return ()


@dataclass(frozen=True)
class Selector:
    """The one way in which patterns choose among names, whatever the names are of.

    A pattern that is a name, an alias of one, or a word chooses what it stands for and nothing else. Any other pattern
    is a case-sensitive glob over names and aliases (`fnmatch`), in which ``*`` matches dots too.

    Parameters
    ----------
    names : sequence of str
        What there is to choose from, in the order in which it is returned.
    stands_for : callable, optional
        From a pattern to the names that it stands for as a word: all that bear a role, all that lie in a block.
    words : iterable of str
        Words that are known, for near matches.
    aliases : mapping of str to str
        Further names, and the name that each is another name of.
    what : str
        What the names stand for, in messages.

    Examples
    --------
    >>> roles = {"norm": ("encoder.norm", "decoder.norm")}
    >>> names = ("encoder.norm", "encoder.ffn", "decoder.norm")
    >>> norms = Selector(names, lambda word: roles.get(word, ()), words=("norm",))
    >>> norms.select("norm"), norms.select(["encoder.*", "decoder.norm"])
    (('encoder.norm', 'decoder.norm'), ('encoder.norm', 'encoder.ffn', 'decoder.norm'))
    >>> norms.select("nrom")
    Traceback (most recent call last):
    dissect_core.errors.UnknownComponentError: No component matches 'nrom'. Near matches: 'norm', ...
    """

    names: Sequence[str]
    stands_for: Callable[[str], Collection[str]] = _no_words
    words: Iterable[str] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)
    what: str = "component"

    def named(self, pattern: str) -> frozenset[str]:
        """Return the names that a pattern stands for as a name, alias or word, and not as a glob."""
        found = {pattern} if pattern in self.names else set()
        if pattern in self.aliases:
            found.add(self.aliases[pattern])
        return frozenset(found.union(self.stands_for(pattern)))

    def select(
        self, patterns: str | Iterable[str], *, fits: Callable[[str], bool] | None = None
    ) -> tuple[str, ...]:
        """Return the names that the patterns choose, in order, each one once.

        Parameters
        ----------
        patterns : str or iterable of str
        fits : callable, optional
            Whether to take a name that a word stands for: a vector, for example, has no columns. Names chosen by name
            or glob are always taken.

        Raises
        ------
        UnknownComponentError
            If a pattern matches nothing; near matches are named.
        SelectionError
            If there is no pattern, or one is no text.
        """
        wanted = (patterns,) if isinstance(patterns, str) else tuple(patterns)
        if wrong := [pattern for pattern in wanted if not isinstance(pattern, str)]:
            raise SelectionError(f"`patterns` must be names or globs, got {quoted(wrong[0])}.")
        if not wanted:
            raise SelectionError(
                "`patterns` must hold at least one name or glob, got none. '*' selects everything."
            )
        chosen: set[str] = set()
        for pattern in wanted:
            found: Collection[str] = self.named(pattern)
            if found and fits is not None:
                found = [name for name in found if name == pattern or fits(name)]
            elif not found:
                found = [name for name in self.names if fnmatchcase(name, pattern)]
                found += [name for alias, name in self.aliases.items() if fnmatchcase(alias, pattern)]
                if not found:
                    raise unknown_component(
                        pattern, [*self.words, *self.names, *self.aliases], what=self.what
                    )
            chosen.update(found)
        return tuple(name for name in self.names if name in chosen)


def is_inside(path: str, around: str) -> bool:
    """Return whether a path is that of a block or lies in it."""
    return path == around or path.startswith(f"{around}.")
