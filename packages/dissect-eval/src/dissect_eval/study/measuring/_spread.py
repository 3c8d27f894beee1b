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
"""Takes a function that returns the work, which each process calls once, and the variants; yields each variant with the
result of the work on it, in any order. The function and the results can be pickled."""

_given: list[Callable[[], Work]] = []


def here(opening: Callable[[], Work], variants: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Measure the variants one after the other, in this process."""
    work = opening()
    for variant in variants:
        yield variant, work(variant)


def in_processes(n: int) -> Spread:
    """Return a function that measures variants in several processes of this machine, each on one thread.

    Each holds the truth, the baseline's resamples and one variant's detections: on 118,000 images 0.7 GB and more. They
    are started anew, not forked, so a script must call this below ``if __name__ == "__main__":``.

    Parameters
    ----------
    n : int
        Most processes, at least 1; there are never more than cores. With 1, this process measures.

    Raises
    ------
    SettingError
        If `n` is less than 1.
    StudyDataError
        While variants are measured, if a process dies, for instance because memory is full.

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
                    # A fork would copy locks of torch and pyarrow that may be held, and stay so.
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
    """Let processes start that import nothing from the current folder, since anyone may have written to it.

    Signals that ask to end wait: until afterwards in this process, until the work begins in those started meanwhile.
    A Python process that is just starting would answer Ctrl-C with a traceback.
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
    """Set a variable of the environment for a while."""
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
    # Libraries give these warnings in the process that started this one, too.
    for category in (DeprecationWarning, FutureWarning, RuntimeWarning):
        warnings.simplefilter("ignore", category)
    _given.append(opening)


def _do(variant: str) -> Any:
    return _work()(variant)


@cache
def _work() -> Work:
    """Return the work of this process, made at the first variant: so an error in making it is raised for a variant."""
    return _given[0]()
