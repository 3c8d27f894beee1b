"""One batch's baseline on record: what each call gave, and the proof that this may stand in for the calls."""

import warnings
from collections.abc import Sequence
from functools import partial
from typing import Any, Generic, TypeVar

from torch import Tensor

from ...plan import Variant
from ..measure import FlopMeter
from ..weights import named_parameters
from ._explore import Explorer
from ._held import chance
from ._players import Recorder
from ._prove import Prover, quick_sets
from ._session import Session
from ._trace import NEVER, Trace, Tracer
from ._values import partly_shared, same, storage
from ._wrapping import Around

Batch = TypeVar("Batch")
Output = TypeVar("Output")

MOST_CULPRITS = 16
"""Most modules that may do something unseen: beyond it, replay is off for the model."""
NAMED_AT_MOST = 5


class ReplayWarning(UserWarning):
    """Something is run in full that replay would leave out: its results are right, and take longer."""


class BatchRecord(Generic[Batch, Output]):
    """The baseline of one batch, with those results of calls that variants may have answered from here.

    How it is made depends on what earlier batches showed, which the session knows:

    1. First batch: nothing is known of what variants will need, so that every result is kept until it is certain that
       none will need it (`Explorer`). Then the record is tried out thoroughly (`Prover`).
    2. Later batches: what the last one needed is recorded at once. A batch that goes a way through the model that was
       tried out before, with the same calls in the same order, gets a few quick trials; any other a thorough one.
    3. A batch whose trials fail for no known reason turns replay off for the model, for good.

    Parameters
    ----------
    session : Session
    batch : object
    variants : sequence of Variant
        All that may be run from the record.

    Attributes
    ----------
    baseline : object
        What `run` gave for the whole model.
    trace : Trace
    results : dict of int to object
        Copies of what calls gave, by the index of the call.
    """

    baseline: Output

    def __init__(self, session: Session[Batch, Output], batch: Batch, variants: Sequence[Variant]) -> None:
        self._session, self._batch, self._variants = session, batch, tuple(variants)
        names = {name for variant in variants for name in session.begins(variant).parameters}
        self._parameters: dict[str, Tensor] = named_parameters(session.model, sorted(names))
        # Where parameters overlap in memory, a use of one is a use of the other under an address that is not looked at.
        shared = partly_shared(session.model.parameters())
        session.unseen.update(name for name, p in self._parameters.items() if storage(p) in shared)
        self.trace = Trace()
        self.results: dict[int, Any] = {}
        # Each step may find that nothing can be answered from a record of this model: then the next ones are left out.
        if session.off is None:
            self._record()
        if session.off is None:
            self._try_out()
        if session.off is None and session.in_full:
            session.off = "`in_full` was asked for"
        if session.off is not None:
            session.stop_watching()
            self.results = {}
            self.baseline = self.once(None)
        self._tell()

    def once(self, around: Around | None = None) -> Output:
        """Run the batch once as the model is now, with something around every module's forward."""
        with self._session.with_around(around):
            return self._session.run(self._batch)

    def proven(self, moment: int) -> frozenset[int]:
        """Return the calls to answer for a pass that is the baseline's until a moment: all, or none without a proof."""
        answered = self._answered(moment)
        return answered if answered in self._session.proven.get(self._way(), ()) else frozenset()

    def keep(self, needed: set[int]) -> None:
        """Drop all results but those of some calls."""
        self.results = {i: result for i, result in self.results.items() if i in needed}

    def moment(self, variant: Variant) -> int:
        """Return the boundary of the baseline's pass up to which a variant's pass is the same; 0 if it is not known."""
        if self._session.off is not None:
            return 0
        begin, first_use = self._session.begins(variant), self.trace.first_use
        moments = []
        for name, parameter in named_parameters(self._session.model, begin.parameters).items():
            seen = name not in self._session.unseen and storage(parameter) in first_use
            moments.append(first_use[storage(parameter)] if seen else 0)
        for path, side in begin.calls:
            call = self.trace.first_call(path)
            moments.append(0 if call is None else call.leave if side == "leave" else call.enter)
        return min(moments, default=NEVER)

    def _record(self) -> None:
        """Run the baseline, and keep what the variants need of it."""
        session = self._session
        # Batches are mostly alike: what the last one needed is recorded at once. If this one needs more (another image
        # may take another way through the model), a second pass records that too.
        if session.wanted is not None:
            drawn = chance()
            self._traced(session.wanted, thorough=False)
            # Some images make a module draw numbers or keep something that earlier ones did not. The quick tracer does
            # not say which module it was, so that a thorough one looks for it.
            thorough = drawn != chance() or session.has_new_state()
            if thorough or not self._needed() <= session.wanted:
                session.wanted |= self._needed()
                self._traced(session.wanted, thorough=thorough)
            self.keep(self._needed())
            return
        try:
            explorer = self._explored()
        except Exception:
            # If a plain pass fails likewise, its error is the user's. If it does not, the model cannot be watched
            # (it may look at its own forwards), and every pass is run plainly from here on.
            session.stop_watching()
            self.baseline = self.once(None)
            session.off = "it fails while its calls are watched"
            return
        needed = self._needed()
        self.results = explorer.kept(needed)
        # The explorer lets go of results that do not fit into memory, or that the model changed later in the pass.
        if not needed <= self.results.keys():
            self._traced(needed, thorough=True)
        session.wanted = needed

    def _try_out(self) -> None:
        """Try out the record: thoroughly where this was not done for batches that went the same way."""
        session = self._session
        if self._is_proven() and self._holds():
            return
        # The trials compare call by call, which takes the digests that only a thorough pass has.
        if any(call.digest is None and call.why_not is None for call in self.trace.calls):
            self._traced(self._needed(), thorough=True)
        # First the moments: with garbage in parameters until their first use, a pass must give what it gave. This goes
        # before the trials of calls, since which calls are answered for a variant follows from the moments.
        prover = self._prover()
        known = session.unseen
        seen = {name: parameter for name, parameter in self._parameters.items() if name not in known}
        if self._sets() and (unseen := prover.unseen(seen)) and self._is_steady(prover):
            session.unseen.update(unseen)
        session.counts.checks += prover.passes
        # Then the calls. Each round finds at most one module that does more than return; without it the outermost calls
        # are others, inside of it or around, so that everything is tried anew until a round finds nothing wrong.
        for _ in range(MOST_CULPRITS):
            self.keep(self._needed())
            if not self._needed() <= self.results.keys() and session.max_bytes is None:
                self._traced(self._needed(), thorough=True)
            prover = self._prover()
            sets = self._sets()
            if sets:
                prover.spoil()
            wrong = next(((one, at) for one in sets if (at := prover.differs(one)) is not None), None)
            # A plain pass, after the garbage too, must give what the watched one gave. If it does not, the model keeps
            # something from pass to pass, or is random, and no call can be blamed for a difference.
            if self._is_steady(prover) and wrong is not None:
                call = self.trace.calls[prover.culprit(wrong[0])]
                session.distrusted[call.path] = call.why_not = (
                    f"{call.path or 'the model'} does more than return: without it, {wrong[1]} differs"
                )
            session.counts.checks += prover.passes
            if wrong is None or session.off is not None:
                session.remember_state()
                session.proven.setdefault(self._way(), set()).update(sets)
                return
        session.off = "too many of its modules do more than return"

    def _prover(self) -> Prover:
        plainly = partial(self._session.plainly, self._batch)
        return Prover(self._session.model, self.once, plainly, self.baseline, self.trace, self.results)

    def _is_steady(self, prover: Prover) -> bool:
        """Return whether plain passes give what the watched one gave; turn replay off if not."""
        plain = prover.plain()
        if not same(plain, self.baseline):
            self._session.is_random = not same(plain, prover.plain())
            self._session.off = (
                "two passes over the same batch differ"
                if self._session.is_random
                else "its results differ while its calls are watched"
            )
        return self._session.off is None

    def _is_proven(self) -> bool:
        """Return whether an earlier batch went this way, and all that is to be answered was tried out then."""
        proven = self._session.proven.get(self._way())
        return proven is not None and all(one in proven for one in self._sets())

    def _holds(self) -> bool:
        """Try the record of a batch that went a known way, quickly: what a module keeps may depend on the image."""
        prover = self._prover()
        held = all(
            prover.differs(one, self._parameters) is None
            for one in quick_sets(self._sets(), self.trace.calls)
        )
        self._session.counts.checks += prover.passes
        return held

    def _sets(self) -> list[frozenset[int]]:
        """Return the sets of calls that variants will have answered, the largest (of the latest moment) first."""
        moments = sorted({self.moment(variant) for variant in self._variants}, reverse=True)
        return [one for one in dict.fromkeys(map(self._answered, moments)) if one]

    def _answered(self, moment: int) -> frozenset[int]:
        """Return the calls that are on record, of the outermost ones that ended by a moment."""
        return frozenset(i for i in self.trace.outermost(moment) if i in self.results)

    def _way(self) -> int:
        """Return a number for the way through the model: which modules are called when, and what is used when."""
        uses = tuple(self.trace.first_use.get(storage(p), NEVER) for p in self._parameters.values())
        calls = tuple((c.path, c.enter, c.leave, c.why_not is None) for c in self.trace.calls)
        return hash((calls, uses))

    def _needed(self) -> set[int]:
        """Return the calls whose results the variants may have answered."""
        moments = {self.moment(variant) for variant in self._variants}
        return {i for moment in moments for i in self.trace.outermost(moment)}

    def _explored(self) -> Explorer:
        """Run the baseline with all on record that the variants may need."""
        addresses = {storage(parameter) for parameter in self._parameters.values()}
        paths = {path for variant in self._variants for path, _ in self._session.begins(variant).calls}
        meter = FlopMeter()
        tracer = Tracer(self._session.model, lambda: meter.total, thorough=True, impure=self._session.impure)
        explorer = Explorer(tracer, addresses, paths, self._session.max_bytes)
        with meter, tracer.uses():
            self.baseline = self.once(explorer)
        self.trace = tracer.trace
        return explorer

    def _traced(self, wanted: set[int], thorough: bool) -> None:
        """Run the baseline with some results on record."""
        counted = self.trace.flops
        session = self._session
        tracer = Tracer(
            self._session.model, thorough=thorough, distrusted=session.distrusted, impure=session.impure
        )
        recorder = Recorder(tracer, wanted, self._session.max_bytes)
        with tracer.uses():
            self.baseline = self.once(recorder)
        self.trace, self.results = tracer.trace, recorder.results
        # Operations are counted in the first pass alone, which is slower by that: the same calls take the same ones.
        if len(counted) == len(self.trace.flops):
            self.trace.flops = counted

    def _tell(self) -> None:
        """Warn of all that is run in full, and why: of each reason once in a session."""
        session = self._session
        found = [f"the whole model, as {session.off}"] if session.off else []
        if session.off is None:
            latest = max((self.moment(variant) for variant in self._variants), default=0)
            reasons: dict[str, str] = {}  # by the first module that each is of
            for call in self.trace.calls:
                if call.why_not and call.leave <= latest and _is_unknown(call.why_not):
                    reasons.setdefault(call.why_not, call.path)
            found += [
                reason if _names_itself(reason) else f"{path or 'the model'} {reason}"
                for reason, path in reasons.items()
            ]
            found += [
                f"variants of {name}, whose use is not seen (it may have none here)"
                for name, parameter in self._parameters.items()
                if name in session.unseen or storage(parameter) not in self.trace.first_use
            ]
        new = [one for one in found if one not in session.told]
        if not new:
            return
        session.told.update(new)
        more = f"; and {len(new) - NAMED_AT_MOST} more" if len(new) > NAMED_AT_MOST else ""
        warnings.warn(
            f"Not answered from the record, but run in full for every variant: {'; '.join(new[:NAMED_AT_MOST])}{more}. "
            "The results are right, and take longer.",
            ReplayWarning,
            stacklevel=6,
        )


def _names_itself(reason: str) -> bool:
    """Return whether a reason names its module; the reason of a call is often that of a module inside of it."""
    return not reason.startswith(("is given", "runs in"))


def _is_unknown(reason: str) -> bool:
    """Return whether a reason is that something is not seen: the others are rules that rarely cost much time."""
    return not reason.startswith(("returns", "changes what", "ends in", "has hooks"))
