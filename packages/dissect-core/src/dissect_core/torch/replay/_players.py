"""Callables that stand around every module's forward: one records a baseline, one answers from the record."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from ._trace import Trace, Tracer
from ._values import copied, n_bytes


class DivergedError(BaseException):
    """The modules called are others than in the baseline. No `Exception`, as a model may catch all of these."""


@dataclass(eq=False)
class Recorder:
    """Records the results of some calls of one pass."""

    tracer: Tracer
    wanted: set[int]
    max_bytes: int | None
    results: dict[int, Any] = field(default_factory=dict)
    held: int = 0

    def __call__(
        self, path: str, module: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any
    ) -> Any:
        """Run a module's forward, and keep a copy of its result if it is wanted."""
        index = len(self.tracer.trace.calls)
        result = self.tracer.call(path, module, forward, args, kwargs)
        if index in self.wanted and self.tracer.trace.calls[index].why_not is None:
            size = n_bytes(result)
            if self.max_bytes is None or self.held + size <= self.max_bytes:
                self.results[index] = copied(result)
                self.held += size
        return result


class Player:
    """Answers module calls from the record until a moment, and checks that they are the recorded ones.

    Parameters
    ----------
    trace : Trace
    results : dict of int to object
        The record.
    answered : collection of int
        Calls to answer from it.
    moment : int
        Boundary from which on nothing is known of the pass.

    Attributes
    ----------
    met, replayed : int
        Outermost calls that ended by the moment, and those of them that were answered.
    diverged : bool
        Whether other modules were called than in the baseline.
    """

    def __init__(self, trace: Trace, results: dict[int, Any], answered: Collection[int], moment: int) -> None:
        self._calls, self._results, self._answered, self._moment = trace.calls, results, answered, moment
        self._next = 0
        self.met = 0
        self.replayed = 0
        self.diverged = False

    def __call__(
        self, path: str, module: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any
    ) -> Any:
        """Answer a call, or run it."""
        index = self._next
        if index >= len(self._calls) or self._calls[index].enter >= self._moment:
            # From here on the variant's pass may go another way. That is for good, even if this module raises and the
            # model catches it: no call after it can be compared with one of the baseline.
            self._next = len(self._calls)
            return forward(*args, **kwargs)
        call = self._calls[index]
        if call.path != path:
            self.diverged = True
            raise DivergedError(path)
        if index in self._answered:
            # The calls inside of this one do not happen: the next is the first that begins after its end.
            self._next = call.behind
            self.met += 1
            self.replayed += 1
            return copied(self._results[index])
        self._next += 1
        if call.leave <= self._moment:
            self.met += 1
        return forward(*args, **kwargs)
