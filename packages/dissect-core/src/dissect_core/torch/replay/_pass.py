"""One batch: its baseline on record, and variants run from it."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from ...activation_specs import ActivationSite
from ...plan import Variant
from .._activation_sites import place_of
from .._flops import FlopMeter
from .._prepared import named_parameters
from .._reference import Reference
from .._variants import VariantReport, applied
from ._explore import Explorer
from ._players import DivergedError, Player, Recorder
from ._session import Session
from ._trace import NEVER, Trace, Tracer
from ._values import n_bytes, storage
from ._wrapping import Around

Batch = TypeVar("Batch")
Output = TypeVar("Output")
Result = TypeVar("Result")


class ReplayWarning(UserWarning):
    """A variant was run in full, because its pass did not begin as the baseline's did."""


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

    def __init__(self, session: Session[Batch, Output], batch: Batch, variants: Sequence[Variant]) -> None:
        self.model = session.model
        self._session, self._batch = session, batch
        # Batches are mostly alike: what the last one needed is recorded at once, and else a second pass does it.
        guess = session.wanted
        explorer = None
        if guess is None:
            self.baseline, self.trace, explorer = self._explored(variants)
            self._results: dict[int, Any] = {}
        else:
            self.baseline, self.trace, self._results = self._traced(guess)
        moments = {variant.id: self.moment(variant) for variant in variants}
        needed = {i for moment in set(moments.values()) for i in self.trace.outermost(moment)}
        if explorer is not None:
            self._results = explorer.kept(needed)
        if not needed <= (self._results.keys() if guess is None else guess):
            counted = self.trace.flops
            self.baseline, self.trace, self._results = self._traced(needed)
            if len(counted) == len(self.trace.flops):
                self.trace.flops = counted
        if guess is None or not needed <= guess:
            session.wanted = needed
        self._results = {i: result for i, result in self._results.items() if i in needed}
        self._moments = moments
        self._left = sorted(moments.values())
        self.order = tuple(sorted(variants, key=lambda variant: -moments[variant.id]))
        session.counts.peak_bytes = max(session.counts.peak_bytes, sum(map(n_bytes, self._results.values())))

    def moment(self, variant: Variant) -> int:
        """Boundary of the baseline's pass up to which a variant's pass is the same."""
        model = self.model
        edited = named_parameters(model, self._session.parameters_of(variant))
        uses = [self.trace.first_use.get(storage(parameter), NEVER) for parameter in edited.values()]
        for site in variant.sites():
            path, where = self._place(site)
            call = self.trace.first_call(path)
            uses.append(NEVER if call is None else call.leave if where == "output" else call.enter)
        for path in variant.bypassed():
            call = self.trace.first_call(path)
            uses.append(NEVER if call is None else call.enter)
        if variant.readout() is not None:
            call = self.trace.first_call(_last_layer(variant))
            uses.append(NEVER if call is None else call.leave)
        return min(uses, default=NEVER)

    def _boundaries(self, variant: Variant) -> list[str]:
        """Modules at whose calls a variant's pass may become another one, besides the first uses of parameters."""
        paths = [self._place(site)[0] for site in variant.sites()] + list(variant.bypassed())
        return paths if variant.readout() is None else [*paths, _last_layer(variant)]

    def _place(self, site: ActivationSite) -> tuple[str, str]:
        """The module at which activations are replaced, and whether at its input or output."""
        place = place_of(self.model, site)
        path = next(path for path, module in self.model.named_modules() if module is place.module)
        return path, place.where

    def player(self, variant: Variant) -> "Player":
        """What answers module calls for a variant: good for one pass."""
        moment = self._moments.get(variant.id)
        return self.player_until(self.moment(variant) if moment is None else moment)

    def player_until(self, moment: int) -> "Player":
        """What answers module calls until a moment: good for one pass."""
        return Player(self.trace, self._results, moment)

    def run(self, variant: Variant, reference: Reference | None = None) -> Output:
        """What the model gives with the variant applied."""
        return self.run_with_report(variant, reference)[0]

    def run_with_report(
        self, variant: Variant, reference: Reference | None = None
    ) -> tuple[Output, VariantReport]:
        """What the model gives with the variant applied, and what that changed."""
        self.forget_before(variant)
        with applied(self.model, variant, reference) as report:
            output = self.attempt(variant, self.once)
        return output, report

    def attempt(self, variant: Variant, run: Callable[["Player | None"], Result]) -> Result:
        """Run something with what answers module calls for a variant, and without it if the pass diverges."""
        player, counts = self.player(variant), self._session.counts
        counts.passes += 1
        try:
            result = run(player)
        except DivergedError:
            counts.full += 1
            warnings.warn(
                f"{variant.id!r} called other modules than the baseline before its first ablated component was "
                "used, so it was run in full. Something outside the model decides what is called.",
                ReplayWarning,
                stacklevel=4,
            )
            result = run(None)
        counts.calls += player.met
        counts.replayed += player.replayed
        return result

    def run_in_full(self, variant: Variant, reference: Reference | None = None) -> Output:
        """The same without replay, to check it."""
        with applied(self.model, variant, reference):
            return self.once(None)

    def once(self, around: Around | None = None) -> Output:
        """Run the batch once as the model is now, with something around every module's forward."""
        with self._session.with_around(around):
            return self._session.run(self._batch)

    def _explored(self, variants: Sequence[Variant]) -> tuple[Output, Trace, Explorer]:
        """The baseline with all on record that these variants may need."""
        names = {name for variant in variants for name in self._session.parameters_of(variant)}
        addresses = {storage(parameter) for parameter in named_parameters(self.model, sorted(names)).values()}
        paths = {path for variant in variants for path in self._boundaries(variant)}
        meter = FlopMeter()
        tracer = Tracer(self.model, lambda: meter.total)
        explorer = Explorer(tracer, addresses, paths, self._session.max_bytes)
        with meter, tracer.uses():
            output = self.once(explorer)
        return output, tracer.trace, explorer

    def _traced(self, wanted: set[int]) -> tuple[Output, Trace, dict[int, Any]]:
        tracer = Tracer(self.model)
        recorder = Recorder(tracer, wanted, self._session.max_bytes)
        with tracer.uses():
            output = self.once(recorder)
        return output, tracer.trace, recorder.results

    def forget_before(self, variant: Variant) -> None:
        """Drop what neither a variant nor those that come later in `order` need."""
        while self._left and self._left[-1] > self._moments.get(variant.id, NEVER):
            self._left.pop()
        if self._left:
            needed = {i for moment in set(self._left) for i in self.trace.outermost(moment)}
            self._results = {i: result for i, result in self._results.items() if i in needed}


def _last_layer(variant: Variant) -> str:
    """The decoder's last layer: a readout's pass is the baseline's until it has ended, and the decoder itself runs."""
    return variant.pool.places[-1].path
