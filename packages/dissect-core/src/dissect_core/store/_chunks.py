"""Consecutive numbers in equal chunks, worked out when they are asked for."""

from collections.abc import Iterator, Sequence
from typing import overload


class Chunks(Sequence[range]):
    """The numbers from 0 to `total` in chunks of `size`, the last one shorter.

    However many there are, nothing is kept of them.

    Examples
    --------
    >>> list(Chunks(5, 2)), Chunks(5, 2)[-1]
    ([range(0, 2), range(2, 4), range(4, 5)], range(4, 5))
    """

    def __init__(self, total: int, size: int) -> None:
        self._total, self._size = total, size

    def __len__(self) -> int:
        return -(-self._total // self._size)

    @overload
    def __getitem__(self, index: int) -> range: ...

    @overload
    def __getitem__(self, index: slice) -> list[range]: ...

    def __getitem__(self, index: int | slice) -> "range | list[range]":
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        number = range(len(self))[index]
        return range(number * self._size, min((number + 1) * self._size, self._total))

    def __iter__(self) -> Iterator[range]:
        return (self[i] for i in range(len(self)))
