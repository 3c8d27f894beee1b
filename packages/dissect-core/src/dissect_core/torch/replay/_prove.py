"""Proof by trial that a batch's record may stand in for calls: whatever they do out of sight would show.

Rules about what a call takes, gives and touches (`_trace`, `_held`) cannot see everything that Python, NumPy, C++ and
threads may do. So on the first batch, and on each that goes another way, the record is tried out before it is used:

- Parameters hold garbage until the moment at which their first use was seen. A pass must still give what the
  baseline gave, call by call; where it does not, a parameter was used before, unseen.
- One pass runs with garbled weights all along. It leaves garbage in everything that a call may keep out of sight.
- Then the intact model is run with calls answered from the record, once for each set of calls that variants will have
  answered, the largest first: so no call that a later trial answers has run since the garbage. The calls that still
  run must give what the baseline gave. If they do not, the first call that may not be answered is searched for.

What a module does may depend on the image. So a batch that goes a known way is tried out too, with fewer sets, and
garbage in parameters in the same passes; if one fails, the thorough trials above follow.
"""

import warnings
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from operator import itemgetter
from typing import Any

import torch
from torch import Tensor, nn

from ._players import DivergedError
from ._trace import NEVER, Call, Trace
from ._values import copied, digest, same, storage
from ._wrapping import Around


class Follower:
    """Stands around the forwards of a pass that must be the baseline's: compares, and answers some calls.

    Parameters
    ----------
    trace : Trace
        Of the baseline, with digests.
    results : dict of int to object
        The record.
    answered : collection of int
        Calls to answer from it.
    at_boundary : callable
        Called with each boundary as it is crossed.

    Attributes
    ----------
    differs : str or None
        The first module that gave something else than in the baseline.
    """

    def __init__(
        self,
        trace: Trace,
        results: Mapping[int, Any],
        answered: Collection[int] = (),
        at_boundary: Callable[[int], object] = lambda _boundary: None,
    ) -> None:
        self._calls, self._results, self._answered = trace.calls, results, answered
        self._at_boundary = at_boundary
        self._next = 0
        self.differs: str | None = None

    def __call__(
        self, path: str, _module: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any
    ) -> Any:
        """Answer a call, or run it and compare its result."""
        index = self._next
        if index >= len(self._calls) or self._calls[index].path != path:
            self._note(path)
            raise DivergedError(path)
        call = self._calls[index]
        if index in self._answered:
            self._next = call.behind
            self._at_boundary(call.leave)
            return copied(self._results[index])
        self._next += 1
        self._at_boundary(call.enter)
        result = forward(*args, **kwargs)
        self._at_boundary(call.leave)
        if self.differs is None and self._is_other(index, result):
            self._note(path)
        return result

    def _is_other(self, index: int, result: Any) -> bool:
        """Return whether a call gave something else than in the baseline, as far as that is on record."""
        if (known := self._calls[index].digest) is not None:
            return digest(result) != known
        return index in self._results and not same(result, self._results[index])

    def end(self) -> None:
        """Note it if calls of the baseline were not met."""
        if self._next < len(self._calls):
            self._note(self._calls[self._next].path)

    def _note(self, path: str) -> None:
        self.differs = self.differs or path or "the model"


class Prover:
    """Tries out the record of one batch.

    Parameters
    ----------
    model : torch.nn.Module
    once : callable
        ``once(around)`` runs the batch with something around every module's forward.
    plainly : callable
        Runs the batch with nothing around any.
    baseline : object
        What it gave.
    trace : Trace
        Of the baseline, with digests.
    results : dict of int to object
        The record.

    Attributes
    ----------
    passes : int
        Made so far.
    """

    def __init__(
        self,
        model: nn.Module,
        once: Callable[[Around | None], Any],
        plainly: Callable[[], Any],
        baseline: Any,
        trace: Trace,
        results: Mapping[int, Any],
    ) -> None:
        self._model, self._once, self._plainly, self._baseline = model, once, plainly, baseline
        self._trace, self._results = trace, results
        self.passes = 0

    def plain(self) -> Any:
        """Run a pass with nothing around any forward."""
        self.passes += 1
        return self._plainly()

    def unseen(self, parameters: Mapping[str, Tensor]) -> list[str]:
        """Find the names of parameters that are used before the first use that was seen, or though none was."""
        # Zeros too, the commonest ablation: a decision of the model (any weight above 0?) may be the same with garbage.
        if not parameters or all(self.differs((), parameters, zeros) is None for zeros in (False, True)):
            return []
        if len(parameters) == 1:
            return list(parameters)
        names = list(parameters)
        halves = names[: len(names) // 2], names[len(names) // 2 :]
        return [name for half in halves for name in self.unseen({one: parameters[one] for one in half})]

    def spoil(self) -> None:
        """Run a pass with garbage in the weights, so that whatever the model keeps from a pass is garbage, too."""
        smallest: dict[int, Tensor] = {}
        for module in self._model.modules():
            own = [p for p in module.parameters(recurse=False) if p.is_floating_point() and p.numel()]
            for parameter in sorted(own, key=Tensor.numel)[:1]:
                smallest[storage(parameter)] = parameter
        with self._garbled(smallest.values()):
            self._passed(None)

    def differs(
        self,
        answered: Collection[int],
        parameters: Mapping[str, Tensor] | None = None,
        zeros: bool = False,
    ) -> str | None:
        """Find where a pass gives something else when some calls are answered from the record; None if nowhere.

        With garbage, or zeros, in some parameters until their first use was seen.
        """
        parameters = parameters or {}
        uses = self._trace.first_use
        waiting = deque(
            sorted(((uses.get(storage(p), NEVER), p) for p in parameters.values()), key=itemgetter(0))
        )
        with self._garbled(parameters.values(), zeros) as restore:

            def at_boundary(boundary: int) -> None:
                while waiting and waiting[0][0] <= boundary:
                    restore(waiting.popleft()[1])

            at_boundary(0)
            return self._compared(Follower(self._trace, self._results, answered, at_boundary))

    def culprit(self, answered: Collection[int]) -> int:
        """Find, by halving, the first of some calls that may not be answered, though all before it may."""
        calls = sorted(answered)
        good, bad = 0, len(calls)  # as many of them may, and may not, be answered
        while bad - good > 1:
            middle = (good + bad) // 2
            self.spoil()  # the last trial ran intact: without new garbage, the next one would find its results
            if self.differs(calls[:middle]) is None:
                good = middle
            else:
                bad = middle
        return calls[bad - 1]

    @contextmanager
    def _garbled(
        self, tensors: Collection[Tensor], zeros: bool = False
    ) -> Iterator[Callable[[Tensor], None]]:
        """Put garbage in parameters, and leave none of it if the model itself puts other parameters in their place."""
        plain = (one for one in self._model.modules() if not isinstance(one, torch.jit.ScriptModule))
        held = [(module._parameters, dict(module._parameters)) for module in plain]
        try:
            with garbled(tensors, zeros) as restore:
                yield restore
        finally:
            for parameters, before in held:
                parameters.update(before)

    def _compared(self, follower: Follower) -> str | None:
        finished, output = self._passed(follower)
        if finished:
            follower.end()
        if follower.differs is not None:
            return follower.differs
        return None if finished and same(output, self._baseline) else "the model's result"

    def _passed(self, around: Around | None) -> tuple[bool, Any]:
        """Run the batch; what the model raises with wrong values inside tells that they were wrong, and no more."""
        self.passes += 1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return True, self._once(around)
            except (Exception, DivergedError):
                return False, None


def quick_sets(sets: Sequence[frozenset[int]], calls: Sequence[Call]) -> list[frozenset[int]]:
    """Choose sets of calls to answer, quick to try, that show it if any call depends on earlier ones out of sight.

    A variant has all calls up to a moment answered, and the rest runs. To try that for each moment takes half a pass
    on average. The sets chosen here take much less together, and show the same two ways of going wrong:

    - A call reads what several earlier ones leave (each overwrites it, or not). For each moment there is a set of all
      calls but those from this moment to the next: these run while everything before them is answered, and give
      something else if what they read is only right after one of the earlier ones ran. All together run each call
      about once.
    - A call reads what earlier ones change step by step (a counter), so that it matters which of them run. The calls
      are numbered in binary: of two numbers, the smaller has a 0 and the larger a 1 in the highest digit in which they
      differ. One set for each digit, of the calls with a 0 there, has the earlier call of every pair answered and the
      later one run at least once.

    Parameters
    ----------
    sets : sequence of frozenset of int
        Sets of calls that variants will have answered, the largest first.
    calls : sequence of Call
        Of the trace.

    Examples
    --------
    >>> calls = [Call("a", 1, 2, 1), Call("b", 3, 4, 2), Call("c", 5, 6, 3), Call("d", 7, 8, 4)]
    >>> sets = [frozenset({0, 1, 2, 3}), frozenset({0, 1, 2}), frozenset({0, 1}), frozenset({0})]
    >>> [sorted(one) for one in quick_sets(sets, calls)]
    [[0, 1, 2, 3], [0, 1, 2], [0, 1, 3], [0, 2, 3], [1, 3], [0, 3]]
    """
    numbered = sorted(set().union(*sets))
    digits = len(numbered).bit_length()
    if len(sets) <= digits:
        return list(sets)
    between = [set(numbered) - (later - earlier) for later, earlier in pairwise(sets)]
    paired = [
        {call for number, call in enumerate(numbered, 1) if not number >> digit & 1}
        for digit in range(digits)
    ]
    # A call that is answered leaves out the calls inside of it: where one of these is to run, it has to run itself.
    inside = {call: [i for i in numbered if call < i < calls[call].behind] for call in numbered}
    chosen = [frozenset(c for c in one if one.issuperset(inside[c])) for one in (*between, *paired)]
    return list(dict.fromkeys((sets[0], *chosen)))


@contextmanager
def garbled(tensors: Collection[Tensor], zeros: bool = False) -> Iterator[Callable[[Tensor], None]]:
    """Put finite garbage, or zeros, into tensors for the length of a block.

    Yields
    ------
    callable
        Puts back what one of them held, before the block ends.
    """
    changed = [tensor for tensor in tensors if _can_be(tensor)]
    kept = {id(tensor): (tensor.detach(), tensor.detach().clone()) for tensor in changed}
    memory = [(tensor, kept[id(tensor)][0]) for tensor in changed]

    def restore(tensor: Tensor) -> None:
        if (pair := kept.get(id(tensor))) is not None:
            with (
                torch.no_grad(),
                torch._C._DisableFuncTorch(),
            ):  # transforms let nothing be changed inside of them
                pair[0].copy_(pair[1])
            torch.clear_autocast_cache()
            del kept[id(tensor)]

    try:
        with torch.no_grad():
            for held, values in list(kept.values()):
                # Moved on by one, with the other sign, and shifted, as zeros would stay zeros.
                numbers = (
                    values.float() if values.element_size() < 4 else values
                )  # of small types few functions know
                garbage = numbers.reshape(-1).roll(1).neg() + 0.1 * (1 + numbers.abs().mean())
                held.copy_(torch.zeros_like(numbers) if zeros else garbage.reshape(values.shape))
        torch.clear_autocast_cache()
        yield restore
    finally:
        for held, values in kept.values():
            held.copy_(values)
        for tensor, held in memory:
            if tensor.data_ptr() != held.data_ptr() or tensor.stride() != held.stride():
                tensor.data = held  # the model gave it other memory meanwhile
        torch.clear_autocast_cache()


def _can_be(tensor: Tensor) -> bool:
    return (tensor.is_floating_point() or tensor.is_complex()) and tensor.numel() > 0
