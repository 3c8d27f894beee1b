"""Values per category, to be read by id or by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TypeVar

from ._text import quoted
from .errors import CategoryError

__all__ = ["PerClass", "unique_names"]

T = TypeVar("T")


class PerClass(dict[int, T]):
    """Values by category id, which a category's name finds too.

    Parameters
    ----------
    values : mapping of int to T, or iterable of pairs
    names : mapping of int to str
        Names of the categories, of others too.

    Examples
    --------
    >>> found = PerClass({1: 0.5, 18: 0.75}, {1: "person", 18: "dog"})
    >>> found["dog"], found[18], found.by_name
    (0.75, 0.75, {'person': 0.5, 'dog': 0.75})
    """

    def __init__(
        self, values: Mapping[int, T] | Iterable[tuple[int, T]] = (), names: Mapping[int, str] | None = None
    ) -> None:
        super().__init__(values)
        self.names: dict[int, str] = dict(names or {})

    def __getitem__(self, key: int | str) -> T:
        return super().__getitem__(self._id_of(key) if isinstance(key, str) else key)

    def __reduce__(self) -> tuple[type[PerClass[T]], tuple[dict[int, T], dict[int, str]]]:
        return type(self), (dict(self), self.names)

    @property
    def by_name(self) -> dict[str, T]:
        """The values by name; a name that several categories have is followed by the id."""
        names = unique_names(self.names)
        return {names.get(key, str(key)): value for key, value in self.items()}

    def _id_of(self, name: str) -> int:
        found = [key for key, known in unique_names(self.names).items() if known == name and key in self]
        if not found:
            known = ", ".join(map(quoted, list(self.by_name)[:8]))
            raise CategoryError(
                f"The category must be one that has a value, {known}{' …' if len(self) > 8 else ''}, got "
                f"{quoted(name)}. Of a name that several categories have, give the id."
            )
        return found[0]


def unique_names(names: Mapping[int, str]) -> dict[int, str]:
    """Return the names; those that several categories have are followed by the id.

    Examples
    --------
    >>> unique_names({1: "cat", 7: "N/A", 9: "N/A"})
    {1: 'cat', 7: 'N/A (7)', 9: 'N/A (9)'}
    """
    taken = Counter(names.values())
    return {key: name if taken[name] == 1 else f"{name} ({key})" for key, name in names.items()}
