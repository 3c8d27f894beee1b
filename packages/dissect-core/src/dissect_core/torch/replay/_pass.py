"""One batch: its baseline on record, and variants run from it."""

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Generic, TypeVar

from torch import Tensor, nn

from ...plan import Variant
from ..ablation import VariantReport, applied
from ..activations import Reference
from ..measure import FlopMeter
from ..weights import named_parameters
from ._explore import Explorer
from ._held import chance
from ._players import DivergedError, Player, Recorder
from ._prove import Prover
from ._session import Session
from ._trace import NEVER, Trace, Tracer
from ._values import digest, n_bytes, partly_shared, same, storage
from ._wrapping import Around

Batch = TypeVar("Batch")
Output = TypeVar("Output")
Result = TypeVar("Result")

MOST_CULPRITS = 16
"""Of a model in which more modules than this do what cannot be seen, nothing is taken from a record."""
NAMED_AT_MOST = 5


class ReplayWarning(UserWarning):
    """Something is run in full that replay would leave out: its results are right, and take longer."""


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
        self._session, self._batch, self._variants = session, batch, tuple(variants)
        self._parameters = self._edited(variants)
        shared = partly_shared(self.model.parameters())
        session.unseen.update(name for name, p in self._parameters.items() if storage(p) in shared)
        self.trace = Trace()
        self._results: dict[int, Any] = {}
        self._moments: dict[str, int] = {}
        if session.off is None:
            self._record()
        if session.off is None:
            self._check()
        if session.off is None and session.in_full:
            session.off = "that is asked for"
        if session.off is not None:
            session.stop_watching()
            self._results = {}
            self.baseline = self.once(None)
        self._tell()
        self._moments = {variant.id: self.moment(variant) for variant in variants}
        self._left = sorted(self._moments.values())
        self.order = tuple(sorted(variants, key=lambda variant: -self._moments[variant.id]))
        session.counts.peak_bytes = max(session.counts.peak_bytes, sum(map(n_bytes, self._results.values())))

    def moment(self, variant: Variant) -> int:
        """Boundary of the baseline's pass up to which a variant's pass is the same; 0 where that is not known."""
        if self._session.off is not None:
            return 0
        begin, first_use = self._session.begins(variant), self.trace.first_use
        moments = []
        for name, parameter in named_parameters(self.model, begin.parameters).items():
            seen = name not in self._session.unseen and storage(parameter) in first_use
            moments.append(first_use[storage(parameter)] if seen else 0)
        for path, side in begin.calls:
            call = self.trace.first_call(path)
            moments.append(0 if call is None else call.leave if side == "leave" else call.enter)
        return min(moments, default=NEVER)

    def player(self, variant: Variant) -> "Player":
        """What answers module calls for a variant: good for one pass."""
        moment = self._moments.get(variant.id)
        return self.player_until(self.moment(variant) if moment is None else moment)

    def player_until(self, moment: int) -> "Player":
        """What answers module calls until a moment: good for one pass."""
        answered = self._answered(moment)
        proven = self._session.proven.get(self._way(), ())
        return Player(self.trace, self._results, answered if answered in proven else (), moment)

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
        counts = self._session.counts
        counts.passes += 1
        player = self.player(variant) if self._session.off is None else None
        if player is None:
            return run(None)
        try:
            result = run(player)
        except DivergedError:
            player.diverged = True
        if player.diverged:  # also where the model has caught the error
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

    def first_difference(self, variant: Variant, reference: Reference | None = None) -> str | None:
        """The first module that gives something else when a variant is replayed than in a full pass; None if none."""
        given: list[list[tuple[str, Any]]] = []
        for player in (None, self.player(variant)):
            with applied(self.model, variant, reference):
                given.append(self._given(player))
        full, replayed = given
        # Before its first use, a full pass of the variant should be the baseline's.
        ended = sorted((call for call in self.trace.calls if call.digest), key=lambda call: call.leave)
        for (path, found), call in zip(full, ended, strict=False):
            if path != call.path or call.leave > self.moment(variant):
                break
            if found != call.digest:
                return path
        # What runs in both, from the end on, as replay leaves out calls at the beginning.
        n = min(map(len, given))
        pairs = zip(full[len(full) - n :], replayed[len(replayed) - n :], strict=True)
        return next((path for (path, one), (_, other) in pairs if one != other), None)

    def _given(self, player: Player | None) -> list[tuple[str, Any]]:
        """Digests of what the modules that really run give in a pass, in the order in which they end."""
        found: list[tuple[str, Any]] = []

        def around(path: str, module: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
            def noted(*args: Any, **kwargs: Any) -> Any:
                result = forward(*args, **kwargs)
                found.append((path, digest(result)))
                return result

            return noted(*args, **kwargs) if player is None else player(path, module, noted, args, kwargs)

        self.once(around)
        return found

    def once(self, around: Around | None = None) -> Output:
        """Run the batch once as the model is now, with something around every module's forward."""
        with self._session.with_around(around):
            return self._session.run(self._batch)

    def forget_before(self, variant: Variant) -> None:
        """Drop what neither a variant nor those that come later in `order` need."""
        while self._left and self._left[-1] > self._moments.get(variant.id, NEVER):
            self._left.pop()
        if self._left:
            self._keep({i for moment in set(self._left) for i in self.trace.outermost(moment)})

    def _record(self) -> None:
        """Run the baseline, and keep what the variants need of it."""
        session = self._session
        # Batches are mostly alike: what the last one needed is recorded at once, and else a second pass does it.
        if session.wanted is not None:
            drawn = chance()
            self._traced(session.wanted, thorough=False)
            # What only some images make a module do: looked into once it shows.
            thorough = drawn != chance() or session.has_new_state()
            if thorough or not self._needed() <= session.wanted:
                session.wanted |= self._needed()
                self._traced(session.wanted, thorough=thorough)
            self._keep(self._needed())
            return
        try:
            explorer = self._explored()
        except Exception:
            # If a plain pass does not fail likewise, it is the watching that the model does not bear.
            session.stop_watching()
            self.baseline = self.once(None)
            session.off = "it fails while its calls are watched"
            return
        needed = self._needed()
        self._results = explorer.kept(needed)
        if not needed <= self._results.keys():
            self._traced(needed, thorough=True)
        session.wanted = needed

    def _check(self) -> None:
        """Try out the record: thoroughly where this was not done for batches that went the same way."""
        session = self._session
        if self._is_proven() and self._holds():
            return
        if any(call.digest is None and call.why_not is None for call in self.trace.calls):
            self._traced(self._needed(), thorough=True)
        prover = self._prover()
        known = session.unseen
        seen = {name: parameter for name, parameter in self._parameters.items() if name not in known}
        if self._sets() and (unseen := prover.unseen(seen)) and self._is_steady(prover):
            session.unseen.update(unseen)
        session.counts.checks += prover.passes
        for _ in range(MOST_CULPRITS):
            self._keep(self._needed())
            if not self._needed() <= self._results.keys() and session.max_bytes is None:
                self._traced(self._needed(), thorough=True)
            prover = self._prover()
            sets = self._sets()
            if sets:
                prover.spoil()
            wrong = next(((one, at) for one in sets if (at := prover.differs(one)) is not None), None)
            # A plain pass, after the garbage too, must give what the watched one gave.
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
        return Prover(self.model, self.once, plainly, self.baseline, self.trace, self._results)

    def _is_steady(self, prover: Prover) -> bool:
        """Whether plain passes give what the watched one gave; turn replay off if not."""
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
        proven = self._session.proven.get(self._way())
        return proven is not None and all(one in proven for one in self._sets())

    def _holds(self) -> bool:
        """Whether the record of a batch that went a known way stands a quick trial: data may decide what is kept."""
        prover = self._prover()
        held = all(prover.differs(one, self._parameters) is None for one in self._quick_sets())
        self._session.counts.checks += prover.passes
        return held

    def _quick_sets(self) -> list[frozenset[int]]:
        """A few sets of calls so that of any two, one is answered at least once while the later is run.

        Numbered in binary, two differ first in a digit that is 0 for the earlier: for each digit, those with 0 are one.
        """
        sets = self._sets()
        calls = sorted(set().union(*sets))
        digits = len(calls).bit_length()
        if len(sets) <= digits:
            return sets
        chosen = [
            {call for number, call in enumerate(calls, 1) if not number >> digit & 1}
            for digit in range(digits)
        ]
        # A call around others that are to run has to run.
        behind = {call: self.trace.calls[call].behind for call in calls}
        return sets[:1] + [
            frozenset(c for c in one if all(i in one for i in calls if c < i < behind[c])) for one in chosen
        ]

    def _sets(self) -> list[frozenset[int]]:
        """Calls that variants will have answered from the record, by those with the latest first use first."""
        moments = sorted({self.moment(variant) for variant in self._variants}, reverse=True)
        return [one for one in dict.fromkeys(map(self._answered, moments)) if one]

    def _answered(self, moment: int) -> frozenset[int]:
        return frozenset(i for i in self.trace.outermost(moment) if i in self._results)

    def _way(self) -> int:
        """Number that tells ways through the model apart: which modules are called when, and what is used when."""
        uses = tuple(self.trace.first_use.get(storage(p), NEVER) for p in self._parameters.values())
        calls = tuple((c.path, c.enter, c.leave, c.why_not is None) for c in self.trace.calls)
        return hash((calls, uses))

    def _needed(self) -> set[int]:
        moments = {self.moment(variant) for variant in self._variants}
        return {i for moment in moments for i in self.trace.outermost(moment)}

    def _keep(self, needed: set[int]) -> None:
        self._results = {i: result for i, result in self._results.items() if i in needed}

    def _edited(self, variants: Sequence[Variant]) -> dict[str, Tensor]:
        names = {name for variant in variants for name in self._session.begins(variant).parameters}
        return named_parameters(self.model, sorted(names))

    def _explored(self) -> Explorer:
        """Run the baseline with all on record that the variants may need."""
        addresses = {storage(parameter) for parameter in self._parameters.values()}
        paths = {path for variant in self._variants for path, _ in self._session.begins(variant).calls}
        meter = FlopMeter()
        tracer = Tracer(self.model, lambda: meter.total, thorough=True, impure=self._session.impure)
        explorer = Explorer(tracer, addresses, paths, self._session.max_bytes)
        with meter, tracer.uses():
            self.baseline = self.once(explorer)
        self.trace = tracer.trace
        return explorer

    def _traced(self, wanted: set[int], thorough: bool) -> None:
        """Run the baseline with some results on record."""
        counted = self.trace.flops
        session = self._session
        tracer = Tracer(self.model, thorough=thorough, distrusted=session.distrusted, impure=session.impure)
        recorder = Recorder(tracer, wanted, self._session.max_bytes)
        with tracer.uses():
            self.baseline = self.once(recorder)
        self.trace, self._results = tracer.trace, recorder.results
        if len(counted) == len(self.trace.flops):
            self.trace.flops = counted

    def _tell(self) -> None:
        """Warn once of all that is run in full, and why."""
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
            stacklevel=5,
        )


def _names_itself(reason: str) -> bool:
    """Whether a reason says which module it is of: that of a call is often one inside of it."""
    return not reason.startswith(("is given", "runs in"))


def _is_unknown(reason: str) -> bool:
    """Whether a call cannot be answered because of what is not seen, rather than what is seen and costs little."""
    return not reason.startswith(("returns", "changes what", "ends in", "has hooks"))
