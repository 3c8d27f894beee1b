"""Progress of long work, on a terminal, in a notebook, or in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from .text import cut, visible

if TYPE_CHECKING:
    from tqdm.auto import tqdm

SECONDS_BETWEEN_LINES_OF_A_LOG = 15.0
LABEL_AT_MOST = 60
LOG_COLUMNS = 100


class Bar(Protocol):
    """What shows progress: one of tqdm's bars, or anything with this method."""

    def update(self, n: int = 1, /) -> Any:
        """Go on by some steps."""
        ...


class PassDone(NamedTuple):
    """How far a run is: one more variant has been run on one more batch.

    Attributes
    ----------
    done, total : int
        Passes that are finished, those of earlier runs included, and passes in all.
    variant : str
        Id of the variant.
    """

    done: int
    total: int
    variant: str


MakeBar = Callable[[int, str, str], AbstractContextManager[Bar]]
"""Called with the number of steps, what one step is, and what they do."""


def say_beside_bars(text: str) -> None:
    """Print a line on standard error, above the bars that are shown there."""
    from tqdm.auto import tqdm

    tqdm.write(visible(text), file=sys.stderr)


def tqdm_bar(total: int, unit: str, label: str = "") -> tqdm[Any]:
    """Make a tqdm bar: a widget in a notebook, else on standard error.

    Where that is no terminal but a log, a line is written now and then, and none for work that is done before.
    """
    from tqdm.auto import tqdm
    from tqdm.autonotebook import tqdm as shown

    is_log = not sys.stderr.isatty() and shown.__module__ != "tqdm.notebook"
    interval = SECONDS_BETWEEN_LINES_OF_A_LOG if is_log else 0.1
    return tqdm(
        total=total,
        unit=unit,
        unit_scale=unit == "B",  # bytes are read as megabytes
        desc=cut(visible(label), LABEL_AT_MOST) or None,
        mininterval=interval,
        maxinterval=max(interval, 10),
        delay=interval if is_log else 0,
        file=_Lines() if is_log else None,
        ncols=LOG_COLUMNS if is_log else None,
        dynamic_ncols=not is_log,
        leave=False,
    )


class _Lines:
    """Standard error as a log: a state of a bar becomes a line, and what would wipe one off becomes nothing."""

    def write(self, text: str) -> None:
        if line := text.strip():
            sys.stderr.write(f"{line}\n")

    def flush(self) -> None:
        sys.stderr.flush()


class Stopwatch:
    """Adds up time by what it went into.

    Parameters
    ----------
    seconds : dict of str to float
        Where it is added.

    Examples
    --------
    >>> spent: dict[str, float] = {}
    >>> clock = Stopwatch(spent)
    >>> clock.stop("reading")
    >>> list(spent)
    ['reading']
    """

    def __init__(self, seconds: dict[str, float]) -> None:
        self._seconds = seconds
        self.start()

    def start(self) -> None:
        """Begin anew: what went before counts for nothing."""
        self._since = time.perf_counter()

    def stop(self, what: str) -> None:
        """Add the time since the last stop to something, and go on."""
        now = time.perf_counter()
        self._seconds[what] = self._seconds.get(what, 0.0) + now - self._since
        self._since = now


class _NoBar:
    def update(self, n: int = 1, /) -> None:
        """Show nothing."""

    def __enter__(self) -> _NoBar:
        return self

    def __exit__(self, *_error: object) -> None:
        return None


def no_bar(_total: int, _unit: str, _label: str) -> AbstractContextManager[Bar]:
    """Show nothing."""
    return _NoBar()


def counted(items: Iterable[Any], bar: MakeBar, total: int, unit: str, label: str) -> Iterator[Any]:
    """Yield items, and move a bar on with each."""
    with bar(total, unit, label) as shown:
        for item in items:
            yield item
            shown.update(1)
