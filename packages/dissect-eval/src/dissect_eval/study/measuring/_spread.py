"""Do the same work for each of many variants: in this process, or in several."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeAlias

from threadpoolctl import threadpool_limits

from ...errors import SettingError, StudyDataError

__all__ = ["Spread", "here", "in_processes"]

Work: TypeAlias = Callable[[str], Any]
Spread: TypeAlias = Callable[[Callable[[], Work], Sequence[str]], Iterator[tuple[str, Any]]]
"""Takes what opens the work, once in each process that takes part, and the variants to do it for; gives each of them
with what came of it, in any order. What opens the work, and what comes of it, can be pickled."""

_given: list[Callable[[], Work]] = []


def here(opening: Callable[[], Work], variants: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Measure one variant after the other, in this process."""
    work = opening()
    for variant in variants:
        yield variant, work(variant)


def in_processes(n: int) -> Spread:
    """Return how to measure variants in several processes of this machine, each on one thread.

    Each holds the truth, the baseline's resamples and one variant's detections: on 118,000 images 0.7 GB and more. They
    are started anew, not forked, so a script calls this below ``if __name__ == "__main__":``.

    Parameters
    ----------
    n : int
        How many at most, at least 1; there are no more than cores. 1 is this process.

    Raises
    ------
    SettingError
        If `n` is less.
    StudyDataError
        While it runs, if a process dies, as one does that is out of memory.

    Examples
    --------
    >>> dict(in_processes(1)(lambda: len, ["baseline", "head 3"]))
    {'baseline': 8, 'head 3': 6}
    """
    if n < 1:
        raise SettingError(f"`n` must be at least 1, got {n}.")
    if n == 1:
        return here

    def spread(opening: Callable[[], Work], variants: Sequence[str]) -> Iterator[tuple[str, Any]]:
        others, ours = set(multiprocessing.active_children()), set()
        pool: ProcessPoolExecutor | None = None
        try:
            with _starting():
                pool = ProcessPoolExecutor(
                    max(1, min(n, len(variants), os.cpu_count() or n)),
                    # A fork would copy the locks of torch and pyarrow in whatever state they are.
                    multiprocessing.get_context("spawn"),
                    _begin,
                    (opening,),
                )
                found = pool.map(_do, variants)
                ours = set(multiprocessing.active_children()) - others
            yield from zip(variants, found, strict=True)
        except BrokenProcessPool as error:
            raise StudyDataError(
                "A process that measures variants ended early, as it does when memory is full: measure with fewer "
                'processes. In a script the call must stand below `if __name__ == "__main__":`, as each process reads '
                "the script."
            ) from error
        except (KeyboardInterrupt, GeneratorExit):  # the other results are no longer needed
            for process in ours:
                process.terminate()
            raise
        finally:
            if pool is not None:
                pool.shutdown(cancel_futures=True)

    return spread


if sys.platform != "win32":
    _ENDING = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    """Signals that ask a process to end."""


@contextmanager
def _starting() -> Iterator[None]:
    """Let processes start that import nothing from the current folder, which may be a stranger's.

    What asks to end comes to this process afterwards, and to those that are started meanwhile once they have begun: a
    Python that is just starting would answer Ctrl-C with a traceback.
    """
    with _named("PYTHONSAFEPATH", "1"):
        if sys.platform != "win32":  # which has no masks of signals
            before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
            try:
                yield
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
        else:
            yield


@contextmanager
def _named(name: str, value: str) -> Iterator[None]:
    """Set a variable of the environment."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _begin(opening: Callable[[], Work]) -> None:
    """Prepare a process: it ends silently on Ctrl-C, and does not compete with its siblings for cores."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
    threadpool_limits(1)
    for category in (DeprecationWarning, FutureWarning, RuntimeWarning):  # libraries', told where work began
        warnings.simplefilter("ignore", category)
    _given.append(opening)


def _do(variant: str) -> Any:
    return _work()(variant)


@cache
def _work() -> Work:
    """Return what is open in this process; it opens at the first variant, so that its errors are that variant's."""
    return _given[0]()
