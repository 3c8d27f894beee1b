"""The recorder of the first pass, which keeps results before it is known which of them variants will need."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from ..activations import tensors_in
from ._trace import Tracer
from ._values import copied, is_plain, n_bytes, skeleton, version

SPECULATIVE_BYTES = 2**30
"""Most bytes of results kept in a first pass, before it is known which are needed."""


@dataclass(eq=False)
class Explorer:
    """Records every result of a pass, and drops it as soon as it is known that nothing will need it.

    A result is needed for a moment if its call is outermost among those that have ended by then. So when a call
    ends within which no moment of interest lies, the results of the calls inside it are not needed: its own is.

    Attributes
    ----------
    tracer : Tracer
    addresses : collection of int
        Addresses of parameters whose first uses are moments of interest.
    paths : collection of str
        Modules whose calls begin and end at moments of interest.
    max_bytes : int or None
        As for `Recorder`; beyond it, the oldest results are dropped first.
    """

    tracer: Tracer
    addresses: Collection[int]
    paths: Collection[str]
    max_bytes: int | None
    _results: dict[int, tuple[Any, list[int | None]]] = field(default_factory=dict)
    _held: int = 0

    def __call__(
        self, path: str, module: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any
    ) -> Any:
        """Run a module's forward, and keep its result for now."""
        trace = self.tracer.trace
        index = len(trace.calls)
        result = self.tracer.call(path, module, forward, args, kwargs)
        call = trace.calls[index]
        if call.why_not is None:
            inside = [at for at in self._moments() if call.enter < at < call.leave]
            last = max(inside, default=-1)
            self._drop(i for i in range(index + 1, call.behind) if trace.calls[i].leave > last)
            # Tensors are not copied yet: most are dropped, and their versions tell at the end which were changed in
            # place. Containers are copied at once: the caller may put other tensors into them.
            self._results[index] = (skeleton(result), _versions(result))
            self._held += n_bytes(result)
            self._drop_oldest()
        return result

    def kept(self, needed: Collection[int]) -> dict[int, Any]:
        """Copy the results that are needed, as far as they are there and unchanged; drop all others."""
        found: dict[int, Any] = {}
        for index in list(self._results):
            result, before = self._results.pop(
                index
            )  # one by one, or originals and copies would be there at once
            # Plain again, as its owner may have attached something to a tensor since.
            if index in needed and _versions(result) == before and is_plain(result):
                found[index] = copied(result)
        return found

    def _moments(self) -> list[int]:
        trace = self.tracer.trace
        uses = [trace.first_use[address] for address in self.addresses if address in trace.first_use]
        if not self.paths:
            return uses
        calls = [call for call in trace.calls if call.path in self.paths]
        return uses + [boundary for call in calls for boundary in (call.enter, call.leave)]

    def _drop(self, indices: Any) -> None:
        for index in indices:
            if index in self._results:
                self._held -= n_bytes(self._results.pop(index)[0])

    def _drop_oldest(self) -> None:
        most = SPECULATIVE_BYTES if self.max_bytes is None else min(self.max_bytes, SPECULATIVE_BYTES)
        while self._held > most:
            self._drop([next(iter(self._results))])


def _versions(result: Any) -> list[int | None]:
    return [version(tensor) for tensor in tensors_in(result)]
