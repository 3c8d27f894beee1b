"""One batch: variants run from the record of its baseline."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from torch import nn

from ...plan import Variant
from ..ablation import VariantReport, applied
from ..activations import Reference
from ._players import DivergedError, Player
from ._record import BatchRecord, ReplayWarning
from ._session import Session
from ._trace import NEVER
from ._values import digest, n_bytes
from ._wrapping import Around

Batch = TypeVar("Batch")
Output = TypeVar("Output")
Result = TypeVar("Result")


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
    record : BatchRecord
        Results of the baseline's calls, and which of them are proven to stand in for the calls.
    """

    def __init__(self, session: Session[Batch, Output], batch: Batch, variants: Sequence[Variant]) -> None:
        self.model = session.model
        self._session = session
        self.record = BatchRecord(session, batch, variants)
        self.baseline, self.trace = self.record.baseline, self.record.trace
        self._moments = {variant.id: self.moment(variant) for variant in variants}
        self._left = sorted(self._moments.values())
        self.order = tuple(sorted(variants, key=lambda variant: -self._moments[variant.id]))
        held = sum(map(n_bytes, self.record.results.values()))
        session.counts.peak_bytes = max(session.counts.peak_bytes, held)

    def moment(self, variant: Variant) -> int:
        """Return the boundary of the baseline's pass up to which a variant's pass is the same; 0 if it is not known."""
        return self.record.moment(variant)

    def player(self, variant: Variant) -> "Player":
        """Make the player that answers module calls for a variant, in one pass."""
        moment = self._moments.get(variant.id)
        return self.player_until(self.moment(variant) if moment is None else moment)

    def player_until(self, moment: int) -> "Player":
        """Make the player that answers module calls until a moment, in one pass."""
        return Player(self.trace, self.record.results, self.record.proven(moment), moment)

    def run(self, variant: Variant, reference: Reference | None = None) -> Output:
        """Run the model with the variant applied, and return its output."""
        return self.run_with_report(variant, reference)[0]

    def run_with_report(
        self, variant: Variant, reference: Reference | None = None
    ) -> tuple[Output, VariantReport]:
        """Run the model with the variant applied; return its output and what was changed."""
        self.forget_before(variant)
        with applied(self.model, variant, reference) as report:
            output = self.attempt(variant, self.once)
        return output, report

    def attempt(self, variant: Variant, run: Callable[["Player | None"], Result]) -> Result:
        """Run something with answers from the record for a variant, and again without them if the pass diverges."""
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
        """Run the model with the variant applied, without replay: to check `run`."""
        with applied(self.model, variant, reference):
            return self.once(None)

    def first_difference(self, variant: Variant, reference: Reference | None = None) -> str | None:
        """Find the first module that gives something else in a replayed pass than in a full one; None if none does."""
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
        """Take digests of what the modules that really run give in a pass, in the order in which they end."""
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
        return self.record.once(around)

    def forget_before(self, variant: Variant) -> None:
        """Drop what neither a variant nor those that come later in `order` need."""
        while self._left and self._left[-1] > self._moments.get(variant.id, NEVER):
            self._left.pop()
        if self._left:
            self.record.keep({i for moment in set(self._left) for i in self.trace.outermost(moment)})
