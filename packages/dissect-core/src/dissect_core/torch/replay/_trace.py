"""One pass of a model on record: every module call in order, and when each parameter was first used."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ..activations import tensors_in
from ._held import Given, Marks, chance, drawn_by_torch, has_hooks, held, held_deeply, same_marks
from ._values import digest, is_plain, is_plain_tensor, storage, version

NEVER = 2**62

# Reading these of a parameter is no use of its values.
_METADATA = frozenset(
    {"shape", "dtype", "device", "layout", "ndim", "is_cuda", "is_cpu", "is_mps", "is_meta", "is_sparse"}
    | {"is_quantized", "is_leaf", "requires_grad", "requires_grad_", "names", "itemsize", "nbytes", "grad_fn"}
    | {"size", "dim", "stride", "numel", "nelement", "element_size", "storage_offset", "data_ptr", "type"}
    | {"is_floating_point", "is_complex", "is_contiguous", "is_inference", "is_signed", "get_device"}
    | {"untyped_storage", "output_nr", "_version", "__len__", "__hash__"}
)


@dataclass(eq=False)
class Call:
    """One call of a module.

    Attributes
    ----------
    path : str
        The module, under the first of its names.
    enter, leave : int
        Boundaries, counted over the pass: calls begin and end at different ones.
    behind : int
        Index of the first call that begins after this one has ended.
    why_not : str or None
        Why its result cannot stand in for it; None if it can.
    has_floats : bool
        Whether its result holds floating tensors.
    digest : tuple or None
        Digest of its result, see `digest`; None where it was not taken, or where the call ended in an exception.
    """

    path: str
    enter: int
    leave: int = NEVER
    behind: int = NEVER
    why_not: str | None = None
    has_floats: bool = False
    digest: tuple[Any, ...] | None = None


@dataclass(eq=False)
class Trace:
    """Calls of one pass, in the order in which they began.

    Attributes
    ----------
    calls : list of Call
    first_use : dict of int to int
        By the address of a parameter's memory, the last boundary before its first use.
    times : list of float
        The clock, in seconds, at the beginning of the pass and at each boundary.
    flops : list of int
        Operations up to these, where they were counted; else zeros.
    """

    calls: list[Call] = field(default_factory=list)
    first_use: dict[int, int] = field(default_factory=dict)
    times: list[float] = field(default_factory=lambda: [time.perf_counter()])
    flops: list[int] = field(default_factory=lambda: [0])

    def seconds_after(self, moment: int) -> float:
        """Return the seconds from a boundary to the last one; on an accelerator, which works on, a rough guess."""
        return self.times[-1] - self.times[min(moment, len(self.times) - 1)]

    def flops_before(self, moment: int) -> int:
        """Return the operations from the beginning to a boundary."""
        return self.flops[min(moment, len(self.flops) - 1)]

    def flops_by_module(self) -> dict[str, int]:
        """Return the operations in all calls of each module."""
        found: dict[str, int] = {}
        for call in self.calls:
            spent = self.flops_before(call.leave) - self.flops_before(call.enter)
            found[call.path] = found.get(call.path, 0) + spent
        return found

    def outermost(self, moment: int) -> list[int]:
        """Return the indices of the outermost calls that ended by a moment and can be answered from a record."""
        found, i = [], 0
        while i < len(self.calls) and self.calls[i].enter < moment:
            call = self.calls[i]
            if call.leave <= moment and call.why_not is None:
                found.append(i)
                i = call.behind
            else:
                i += 1
        return found

    def first_call(self, path: str) -> Call | None:
        """Return the first call of a module."""
        return next((call for call in self.calls if call.path == path), None)


class Tracer:
    """Watches the module calls of one pass; `call` is to be put around every module's forward.

    Parameters
    ----------
    model : torch.nn.Module
    counted : callable
        Operations of the pass so far.
    thorough : bool
        Whether to look into all that a module's code can reach, and to take digests: slower.
    distrusted : mapping of str to str
        Modules whose calls cannot be stood in for, with the reason, known from earlier passes.
    impure : dict of str to str
        Modules that keep something or draw numbers, likewise: nor can those around them. What is found is added.
    """

    def __init__(
        self,
        model: nn.Module,
        counted: Callable[[], int] = lambda: 0,
        *,
        thorough: bool = False,
        distrusted: Mapping[str, str] | None = None,
        impure: dict[str, str] | None = None,
    ) -> None:
        self.trace = Trace()
        self._impure = {} if impure is None else impure
        self._counted, self._thorough, self._distrusted = counted, thorough, distrusted or {}
        self._boundary = 0
        self._open: list[int] = []
        self._waiting = {storage(p) for p in model.parameters()} - {0}
        self._own = {
            id(module): [
                storage(p) for p in module.parameters(recurse=isinstance(module, torch.jit.ScriptModule))
            ]
            for module in model.modules()
        }
        self._held = {storage(tensor) for tensor in (*model.parameters(), *model.buffers())} - {0}
        self._digested: tuple[list[tuple[Tensor, int | None]] | None, tuple[Any, ...]] = (None, ())

    def uses(self) -> TorchFunctionMode:
        """Return a mode that notes the first use of each parameter by any function of torch."""
        return _Uses(self)

    def call(self, path: str, module: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Run a module's forward and note its call."""
        if has_hooks(module):
            for i in self._open:
                self._doubt(i, f"has hooks inside, of {path}")
        index = self._enter(path, module)
        given, state, drawn = Given(args, kwargs), self._state(module), self._chance()
        try:
            result = forward(*args, **kwargs)
        except BaseException:
            # An early exit, if the model itself catches it: this call gave nothing to record, those around it go on.
            self._leave(index)
            self._doubt(index, "ends in an exception")
            self._look_back(index, path, module, state, drawn)
            raise
        call = self._leave(index)
        call.has_floats = any(tensor.is_floating_point() for tensor in tensors_in(result))
        if (reason := self._distrusted.get(path) or self._why_not(given, result)) is not None:
            self._doubt(index, reason)
        self._look_back(index, path, module, state, drawn)
        if self._thorough:
            call.digest = self._digest(result)
        return result

    def use(self, tensors: Iterable[Any]) -> None:
        """Note the first use of the parameters among some tensors."""
        if not self._waiting:
            return
        for tensor in tensors_in(list(tensors)):
            self.used(storage(tensor))

    def used(self, address: int) -> None:
        """Note the first use of a parameter by its address."""
        if address in self._waiting:
            self._waiting.discard(address)
            self.trace.first_use[address] = self._boundary

    def _enter(self, path: str, module: nn.Module) -> int:
        # Operators in C++ are not seen: a module is taken to use its parameters as soon as it is called.
        for address in self._own.get(id(module), ()):
            self.used(address)
        self._cross()
        index = len(self.trace.calls)
        self.trace.calls.append(Call(path, self._boundary))
        self._open.append(index)
        return index

    def _cross(self) -> None:
        """Count a boundary: the beginning or the end of a call, the only moments that a pass is divided by."""
        self._boundary += 1
        self.trace.times.append(time.perf_counter())
        self.trace.flops.append(self._counted())

    def _leave(self, index: int) -> Call:
        self._cross()
        self._open.pop()
        call = self.trace.calls[index]
        call.leave, call.behind = self._boundary, len(self.trace.calls)
        return call

    def _state(self, module: nn.Module) -> Marks:
        return held_deeply(module) if self._thorough else held(module)

    def _chance(self) -> Any:
        return chance() if self._thorough else drawn_by_torch()

    def _look_back(self, index: int, path: str, module: nn.Module, state: Marks, drawn: Any) -> None:
        """Mark a call that does more than return, and those around it: none of them can be left out."""
        if not same_marks(state, self._state(module)):
            self._impure.setdefault(path, f"{path or 'the model'} keeps something from its call")
        if drawn != self._chance():
            self._impure.setdefault(path, f"{path or 'the model'} draws random numbers")
        if (reason := self._impure.get(path)) is not None:
            for i in (index, *self._open):
                self._doubt(i, reason)

    def _doubt(self, index: int, reason: str) -> None:
        """Note why a call cannot be answered from a record; the first reason stays."""
        self.trace.calls[index].why_not = self.trace.calls[index].why_not or reason

    def _why_not(self, given: Given, result: Any) -> str | None:
        """Return why a call's result cannot stand in for it, as far as this call shows; None if it can."""
        if not is_plain(result):
            return "returns what cannot be copied"
        if given.unknown is not None:
            return f"is given {given.unknown}, whose changes are not seen"
        # In inference mode tensors keep no versions, and without these no change in place is seen.
        if None in given.versions or any(tensor.is_inference() for tensor in tensors_in(result)):
            return "runs in inference mode"
        if given.is_changed():
            return "changes what it is given"
        if given.holds(result):
            return "returns what it is given, or a parameter"
        # A copy has memory of its own. Where a result shares it with the arguments, a parameter or another result, what
        # is later done to one in place shows in the other, and would not between copies.
        addresses = {storage(tensor) for tensor in given.tensors} | self._held
        made: dict[int, Tensor] = {}
        for tensor in tensors_in(result):
            address = storage(tensor)
            if address in addresses:
                return "returns what it is given, or a parameter"
            if address and made.setdefault(address, tensor) is not tensor:
                return "returns views of each other"
        return None

    def _digest(self, result: Any) -> tuple[Any, ...]:
        """Return the digest of a result: that of the last one again, if modules hand the same tensors on unchanged."""
        now = [(t, version(t) if is_plain_tensor(t) else None) for t in tensors_in(result)]
        before, found = self._digested
        if (
            before is None
            or len(now) != len(before)
            or any(a is not b or v is None or v != w for (a, v), (b, w) in zip(now, before, strict=True))
        ):
            found = digest(result)
            self._digested = now, found
        return found


class _Uses(TorchFunctionMode):
    def __init__(self, tracer: Tracer) -> None:
        super().__init__()
        self._tracer = tracer

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name == "__get__":
            name = getattr(getattr(func, "__self__", None), "__name__", "")
        if name not in _METADATA:
            self._tracer.use((*args, *kwargs.values()))
        return func(*args, **kwargs)
