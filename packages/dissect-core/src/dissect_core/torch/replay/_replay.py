"""Prefix replay: what ran before an ablated part was first used is not run again."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from torch import nn

from ...plan import Variant
from .._activation_sites import place_of
from .._edits import named_parameters
from .._forward import without_fast_path
from .._reference import Reference
from .._variants import VariantReport, applied
from ._trace import NEVER, Trace, Tracer
from ._values import copied, n_bytes, storage
from ._wrapping import Around, every_forward

Batch = TypeVar("Batch")
Output = TypeVar("Output")


class ReplayWarning(UserWarning):
    """A variant was run in full, because its pass did not begin as the baseline's did."""


class _DivergedError(Exception):
    """The modules called are others than in the baseline."""


@dataclass
class ReplayCounts:
    """What replay saved so far.

    Attributes
    ----------
    passes : int
        Variants run.
    full : int
        Those of them that were run in full after a pass had not begun as the baseline's did.
    calls, replayed : int
        Outermost module calls that variants stood before, and those of them that were answered from the record.
    peak_bytes : int
        Most memory that records took at once.
    """

    passes: int = 0
    full: int = 0
    calls: int = 0
    replayed: int = 0
    peak_bytes: int = 0


class PrefixReplay(Generic[Batch, Output]):
    """Runs many variants of a model on the same batches, each from the first use of what it ablates.

    Removing a component changes nothing that ran before its first use. Each batch is run once in full; meanwhile
    the results of modules are recorded. For a variant, every outermost module call that had ended before the
    first use of any of its components is answered with the recorded result, and the rest runs. This needs no
    knowledge of the model, and is exact: bit for bit what a full pass gives on the same device and batch.

    Parameters
    ----------
    model : torch.nn.Module
        In evaluation mode.
    run : callable
        ``run(batch)`` runs the model once and gives its result, the same for the same batch. It must not run under
        `torch.inference_mode`, which hides what changes in place; `torch.no_grad` does as well.
    max_bytes : int, optional
        Record no more than this at a time; what does not fit is run again.

    Notes
    -----
    First uses are seen by a torch-function mode, so that parameters that are read without a module call (a query
    embedding's) count; operators in C++ that it cannot see are taken to use a module's parameters as soon as the
    module is called. A call is never answered from the record if it returns anything but plain tensors, changes its
    arguments, keeps something in its module, or draws random numbers. A pass that does not begin as the
    baseline's did is run again in full, with a warning.

    Torch's fused transformer layers are off meanwhile, in all passes: they call no submodule.

    Examples
    --------
    >>> import torch
    >>> from dissect_core.plan import plan
    >>> from dissect_core.spec import load_spec
    >>> from dissect_core.torch import anatomy_of
    >>> model = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, batch_first=True), 3).eval()
    >>> heads = {"name": "heads", "target": {"unit": "head", "components": "*"}, "select": {"by": "each"}}
    >>> variants = plan(load_spec({"name": "single heads", "ablations": [heads]}), anatomy_of(model))
    >>> replay = PrefixReplay(model, torch.no_grad()(model))
    >>> image = torch.randn(1, 5, 8)
    >>> with replay.on(image, variants) as images_pass:
    ...     outputs = {variant.id: images_pass.run(variant) for variant in images_pass.order}
    >>> torch.equal(outputs["baseline"], images_pass.baseline), len(outputs), replay.counts.replayed > 0
    (True, 7, True)
    """

    def __init__(
        self, model: nn.Module, run: Callable[[Batch], Output], *, max_bytes: int | None = None
    ) -> None:
        self.model = model
        self.counts = ReplayCounts()
        self._run = run
        self._max_bytes = max_bytes
        self._wanted: set[int] = set()

    @contextmanager
    def on(self, batch: Batch, variants: Sequence[Variant]) -> Iterator["BatchPass[Batch, Output]"]:
        """Run the baseline on a batch, and keep what the variants need for the length of a block."""
        state = _State()
        with without_fast_path(), every_forward(self.model, lambda: state.around):
            yield BatchPass(self, batch, variants, state)


@dataclass(eq=False)
class _State:
    """What the wrapped forwards do at the moment."""

    around: Around | None = None


@dataclass(eq=False)
class _Recorder:
    """Records the results of some calls of one pass."""

    tracer: Tracer
    wanted: set[int]
    max_bytes: int | None
    results: dict[int, Any] = field(default_factory=dict)
    held: int = 0

    def __call__(
        self, path: str, module: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any
    ) -> Any:
        index = len(self.tracer.trace.calls)
        result = self.tracer.call(path, module, forward, args, kwargs)
        if index in self.wanted and self.tracer.trace.calls[index].why_not is None:
            size = n_bytes(result)
            if self.max_bytes is None or self.held + size <= self.max_bytes:
                self.results[index] = copied(result)
                self.held += size
        return result


class BatchPass(Generic[Batch, Output]):
    """One batch: its baseline, and variants run from the record. Made by `PrefixReplay.on`.

    Attributes
    ----------
    baseline : object
        What `run` gave for the whole model.
    order : tuple of Variant
        The variants in the order that keeps the fewest records alive: from the latest first use to the earliest.
    trace : Trace
    model : torch.nn.Module
    """

    def __init__(
        self, replay: PrefixReplay[Batch, Output], batch: Batch, variants: Sequence[Variant], state: _State
    ) -> None:
        self.model = replay.model
        self._replay, self._batch, self._state = replay, batch, state
        # Batches are mostly alike: what the last one needed is recorded at once, and else a second pass does it.
        guess = replay._wanted
        self.baseline, self.trace, self._results = self._traced(guess)
        moments = {variant.id: self.moment(variant) for variant in variants}
        needed = {i for moment in set(moments.values()) for i in self.trace.outermost(moment)}
        if not needed <= guess:
            replay._wanted = needed
            self.baseline, self.trace, self._results = self._traced(needed)
        self._moments = moments
        self._left = sorted(moments.values())
        self.order = tuple(sorted(variants, key=lambda variant: -moments[variant.id]))
        replay.counts.peak_bytes = max(replay.counts.peak_bytes, sum(map(n_bytes, self._results.values())))

    def moment(self, variant: Variant) -> int:
        """Boundary of the baseline's pass up to which a variant's pass is the same."""
        model = self._replay.model
        edited = named_parameters(model, [edit.parameter for edit in variant.edits()])
        uses = [self.trace.first_use.get(storage(parameter), NEVER) for parameter in edited.values()]
        for site in variant.sites():
            place = place_of(model, site)
            path = next(path for path, module in model.named_modules() if module is place.module)
            call = self.trace.first_call(path)
            uses.append(NEVER if call is None else call.leave if place.where == "output" else call.enter)
        for path in variant.bypassed():
            call = self.trace.first_call(path)
            uses.append(NEVER if call is None else call.enter)
        if (layer := variant.readout()) is not None:
            call = self.trace.first_call(layer.rpartition(".")[0].rpartition(".")[0])
            uses.append(NEVER if call is None else call.leave)
        return min(uses, default=NEVER)

    def player(self, variant: Variant) -> "_Player":
        """What answers module calls for a variant: good for one pass."""
        moment = self._moments.get(variant.id)
        return _Player(self.trace, self._results, self.moment(variant) if moment is None else moment)

    def run(self, variant: Variant, reference: Reference | None = None) -> Output:
        """What the model gives with the variant applied."""
        return self.run_with_report(variant, reference)[0]

    def run_with_report(
        self, variant: Variant, reference: Reference | None = None
    ) -> tuple[Output, VariantReport]:
        """What the model gives with the variant applied, and what that changed."""
        player = self.player(variant)
        self._forget(variant)
        counts = self._replay.counts
        counts.passes += 1
        with applied(self._replay.model, variant, reference) as report:
            try:
                output = self.once(player)
            except _DivergedError:
                counts.full += 1
                warnings.warn(
                    f"{variant.id!r} called other modules than the baseline before its first ablated component was "
                    "used, so it was run in full. Something outside the model decides what is called.",
                    ReplayWarning,
                    stacklevel=3,
                )
                output = self.once(None)
            counts.calls += player.met
            counts.replayed += player.replayed
        return output, report

    def run_in_full(self, variant: Variant, reference: Reference | None = None) -> Output:
        """The same without replay, to check it."""
        with applied(self._replay.model, variant, reference):
            return self.once(None)

    def once(self, around: Around | None = None) -> Output:
        """Run the batch once as the model is now, with something around every module's forward."""
        self._state.around = around
        try:
            return self._replay._run(self._batch)
        finally:
            self._state.around = None

    def _traced(self, wanted: set[int]) -> tuple[Output, Trace, dict[int, Any]]:
        tracer = Tracer(self._replay.model)
        recorder = _Recorder(tracer, wanted, self._replay._max_bytes)
        with tracer.uses():
            output = self.once(recorder)
        return output, tracer.trace, recorder.results

    def _forget(self, variant: Variant) -> None:
        """Drop what no variant needs any more that comes later in `order`."""
        while self._left and self._left[-1] > self._moments.get(variant.id, NEVER):
            self._left.pop()
        if self._left:
            needed = {i for moment in set(self._left) for i in self.trace.outermost(moment)}
            self._results = {i: result for i, result in self._results.items() if i in needed}


class _Player:
    """Answers module calls from the record until a moment, and checks that they are the recorded ones."""

    def __init__(self, trace: Trace, results: dict[int, Any], moment: int) -> None:
        self._calls, self._results, self._moment = trace.calls, results, moment
        self._next = 0
        self.met = 0
        self.replayed = 0

    def __call__(
        self, path: str, module: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any
    ) -> Any:
        index = self._next
        if index >= len(self._calls) or self._calls[index].enter >= self._moment:
            self._next = len(self._calls)  # from here on nothing is known
            return forward(*args, **kwargs)
        call = self._calls[index]
        if call.path != path:
            raise _DivergedError(path)
        if call.leave <= self._moment and index in self._results:
            self._next = call.behind
            self.met += 1
            self.replayed += 1
            return copied(self._results[index])
        self._next += 1
        if call.leave <= self._moment:
            self.met += 1
        return forward(*args, **kwargs)
