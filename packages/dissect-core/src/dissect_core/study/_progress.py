"""Progress of long work, on a terminal, in a notebook, or in a log."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol

SECONDS_BETWEEN_LINES_OF_A_LOG = 15.0


class Bar(Protocol):
    """What shows progress: one of tqdm's bars, or anything with this method."""

    def update(self, n: int = 1, /) -> Any:
        """Go on by some steps."""
        ...


MakeBar = Callable[[int, str, str], AbstractContextManager[Bar]]
"""Called with the number of steps, what one step is, and what they do."""


def tqdm_bar(total: int, unit: str, label: str) -> AbstractContextManager[Bar]:
    """A tqdm bar: a widget in a notebook, else on standard error, a line now and then where that is no terminal."""
    from tqdm.auto import tqdm

    interval = 0.1 if sys.stderr.isatty() else SECONDS_BETWEEN_LINES_OF_A_LOG
    bar: AbstractContextManager[Bar] = tqdm(
        total=total, unit=unit, desc=label, mininterval=interval, dynamic_ncols=True, leave=False
    )
    return bar


class _NoBar:
    def update(self, n: int = 1, /) -> None:
        """Show nothing."""

    def __enter__(self) -> "_NoBar":
        return self

    def __exit__(self, *_error: object) -> None:
        return None


def no_bar(_total: int, _unit: str, _label: str) -> AbstractContextManager[Bar]:
    """Show nothing."""
    return _NoBar()


def counted(items: Iterable[Any], bar: MakeBar, total: int, unit: str, label: str) -> Iterator[Any]:
    """Items, with a bar that goes on with each."""
    with bar(total, unit, label) as shown:
        for item in items:
            yield item
            shown.update(1)
