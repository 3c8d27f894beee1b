"""One pass of a model on record: every module call in order, and when each parameter was first used."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ._values import is_plain, storage, tensors_in

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
    """

    path: str
    enter: int
    leave: int = NEVER
    behind: int = NEVER
    why_not: str | None = None
    has_floats: bool = False


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
        """Time from a boundary to the last one; on an accelerator, which works on by itself, a rough guess."""
        return self.times[-1] - self.times[min(moment, len(self.times) - 1)]

    def flops_before(self, moment: int) -> int:
        """Operations from the beginning to a boundary."""
        return self.flops[min(moment, len(self.flops) - 1)]

    def flops_by_module(self) -> dict[str, int]:
        """Operations in all calls of each module."""
        found: dict[str, int] = {}
        for call in self.calls:
            spent = self.flops_before(call.leave) - self.flops_before(call.enter)
            found[call.path] = found.get(call.path, 0) + spent
        return found

    def outermost(self, moment: int) -> list[int]:
        """Indices of the outermost calls that ended by a moment and can be stood in for."""
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
        """The first call of a module."""
        return next((call for call in self.calls if call.path == path), None)


class Tracer:
    """Watches the module calls of one pass; `call` is to be put around every module's forward.

    Parameters
    ----------
    model : torch.nn.Module
    counted : callable
        Operations of the pass so far.
    """

    def __init__(self, model: nn.Module, counted: Callable[[], int] = lambda: 0) -> None:
        self.trace = Trace()
        self._counted = counted
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

    def uses(self) -> TorchFunctionMode:
        """A mode that notes the first use of each parameter by any function of torch."""
        return _Uses(self)

    def call(self, path: str, module: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Run a module's forward and note its call."""
        index = self._enter(path, module)
        taken = [(t, _version(t)) for t in tensors_in((args, kwargs))]
        state, chance = _state(module), torch.random.get_rng_state()
        try:
            result = forward(*args, **kwargs)
        except BaseException:
            self._open.clear()
            raise
        call = self._leave(index)
        call.has_floats = any(tensor.is_floating_point() for tensor in tensors_in(result))
        if call.why_not is None:
            call.why_not = self._why_not(taken, result)
        if not _same(state, _state(module)):
            self._blame(index, f"{path} keeps something from its call")
        if not torch.equal(chance, torch.random.get_rng_state()):
            self._blame(index, f"{path} draws random numbers")
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
        self._boundary += 1
        self.trace.times.append(time.perf_counter())
        self.trace.flops.append(self._counted())

    def _leave(self, index: int) -> Call:
        self._cross()
        self._open.pop()
        call = self.trace.calls[index]
        call.leave, call.behind = self._boundary, len(self.trace.calls)
        return call

    def _blame(self, index: int, reason: str) -> None:
        """A call that does more than return cannot be left out, nor can those around it."""
        for i in (index, *self._open):
            self.trace.calls[i].why_not = self.trace.calls[i].why_not or reason

    def _why_not(self, taken: list[tuple[Tensor, int | None]], result: Any) -> str | None:
        if not is_plain(result):
            return "returns objects"
        if any(version is None for _, version in taken):
            return "runs in inference mode"
        if any(version != _version(tensor) for tensor, version in taken):
            return "changes what it is given"
        given = {storage(tensor) for tensor, _ in taken} | self._held
        made: dict[int, Tensor] = {}
        for tensor in tensors_in(result):
            address = storage(tensor)
            if tensor.is_inference():
                return "runs in inference mode"
            if address in given:
                return "returns what it is given, or a parameter"
            if address and made.setdefault(address, tensor) is not tensor:
                return "returns views of each other"
        return None


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


def _version(tensor: Tensor) -> int | None:
    return None if tensor.is_inference() else tensor._version


def _state(module: nn.Module) -> list[tuple[str, Any, int]]:
    """What a module itself holds: a call that leaves something there does more than return."""
    held = [(name, value, _stamp(value)) for name, value in vars(module).items() if name != "forward"]
    return held + [(name, value, _stamp(value)) for name, value in module._buffers.items()]


def _same(before: list[tuple[str, Any, int]], after: list[tuple[str, Any, int]]) -> bool:
    return len(before) == len(after) and all(
        a[0] == b[0] and a[1] is b[1] and a[2] == b[2] for a, b in zip(before, after, strict=True)
    )


def _stamp(value: Any) -> int:
    """Number that changes with most changes inside a value."""
    if isinstance(value, Tensor):
        return -1 if value.is_inference() else value._version
    return len(value) if isinstance(value, (list, dict, set)) else 0
