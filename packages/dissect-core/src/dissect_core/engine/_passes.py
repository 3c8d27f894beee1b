"""Passes of all variants over one batch: replayed from the baseline where the detector is a torch model."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ..detectors import ImageDetections, model_of
from ..edits import variant_rng
from ..plan import Variant
from ..progress import Stopwatch
from ._computing import predicted
from ._net import Net, measures_noise, require_same, require_steady
from ._options import Precision

References = Callable[[Variant], Any]
"""Activations that a variant needs, by `dissect_core.torch.gather_reference`; None where it needs none."""


@dataclass(frozen=True)
class Outcome:
    """The result of a variant on a batch.

    Attributes
    ----------
    variant : Variant
    found : list of ImageDetections
        One entry for each image.
    masked, changed : int
        Values replaced, and those of them that became others.
    """

    variant: Variant
    found: list[ImageDetections]
    masked: int
    changed: int


@dataclass
class Passes(ABC):
    """A way to run variants on a batch.

    Attributes
    ----------
    detector : Detector
    precision : {"full", "bf16", "fp16"}
    on_first : callable
        Called once a tenth of the first batch was run: with the seconds that a batch will take, about, and the share of
        a full pass's operations that is left out. Not called by passes that leave out nothing.
    wants_effects : bool
        Whether to measure, on the next batch, what variants change in the outputs of what they ablate, if these passes
        can.
    verified : int
        Pairs of variant and batch that were run in full as well.
    effects : dict of str to VariantEffect
        What each variant changed in the outputs of what it ablates.
    seconds : dict of str to float
        Time by what it went into.
    """

    detector: Any
    precision: Precision = "full"
    on_first: Callable[[float, float], object] = lambda _seconds, _share: None
    wants_effects: bool = False
    verified: int = 0
    effects: dict[str, Any] = field(default_factory=dict, repr=False)
    seconds: dict[str, float] = field(default_factory=dict)

    @abstractmethod
    def over(
        self, batch: Any, variants: Sequence[Variant], references: References, number: int = 0
    ) -> Iterator[Outcome]:
        """Run every variant on a batch, in any order; `number` tells the batch from the others of the study."""


@dataclass
class PlainPasses(Passes):
    """Every variant in full: for detectors that are no torch model, and to compare with replay."""

    _is_steady: bool = field(default=False, repr=False)

    def over(
        self, batch: Any, variants: Sequence[Variant], references: References, number: int = 0
    ) -> Iterator[Outcome]:
        """Run every variant on a batch, in the order given."""
        run = partial(predicted, self.detector, self.precision)
        with self._as_replayed():
            if not self._is_steady and not measures_noise(variants):
                require_steady(run(batch), run(batch))
                self._is_steady = True
            for variant in variants:
                with self.detector.ablated(variant, reference=references(variant)) as report:
                    found = run(batch)
                    masked, changed = report.masked, report.changed
                yield Outcome(variant, found, masked, changed)

    def _as_replayed(self) -> AbstractContextManager[None]:
        """Switch off torch's fused layers, which replay cannot use: their last bits differ from plain ones."""
        if model_of(self.detector) is None:
            return nullcontext()
        from ..torch.activations import without_fast_path

        return without_fast_path()


@dataclass
class ReplayedPasses(Passes):
    """Every variant from the first use of what it ablates, and some of them in full beside it, to check.

    On the first batch the baseline is run twice, and some variants in full, see `Net`.

    Attributes
    ----------
    verify : float
        Share of the pairs of variant and batch that are run in full too, in [0, 1].
    seed : int
        Seed that chooses these pairs.
    max_bytes : int or None
        Bound of the memory for records of one batch.
    """

    verify: float = 0.0
    seed: int = 0
    max_bytes: int | None = None
    _replay: Any = field(default=None, repr=False)

    def over(
        self, batch: Any, variants: Sequence[Variant], references: References, number: int = 0
    ) -> Iterator[Outcome]:
        """Run every variant on a batch, those with the latest first use first."""
        from ..torch.replay import EffectPass, PrefixReplay

        is_first = self._replay is None
        if is_first:
            self._replay = PrefixReplay(
                self.detector.model,
                partial(predicted, self.detector, self.precision),
                max_bytes=self.max_bytes,
                in_full=measures_noise(variants),
            )
        clock = Stopwatch(self.seconds)
        with self._replay.on(batch, variants) as one:
            clock.stop("baseline")
            net = self._net(one, batch, variants) if is_first else None
            clock.stop("verification")
            guess = _Guess(one.trace, [one.moment(variant) for variant in one.order]) if is_first else None
            spent_before = self.seconds.get("variants", 0.0)
            probe = EffectPass(one, variants) if self.wants_effects else None
            clock.stop("effects")
            for variant in one.order:
                reference = references(variant)
                clock.stop("references")
                if probe is not None:
                    one.forget_before(variant)
                    found, effect = probe.run_with_effect(variant, reference)
                    self.effects[variant.id] = effect
                    masked, changed = effect.masked, effect.changed
                else:
                    found, report = one.run_with_report(variant, reference)
                    masked, changed = report.masked, report.changed
                clock.stop("variants")
                if guess is not None and guess.is_good():
                    self.on_first(guess.of_a_batch(self.seconds["variants"] - spent_before), guess.left_out)
                    guess = None
                is_wanted = net is not None and net.wants(variant, found)
                # A detector that is not deterministic always runs in full, and its runs differ: nothing to compare.
                if not measures_noise(variants) and (is_wanted or self._is_chosen(variant, number)):
                    self.verified += 1
                    differing = partial(one.first_difference, variant, reference)
                    require_same(variant, found, one.run_in_full(variant, reference), differing)
                    clock.stop("verification")
                yield Outcome(variant, found, masked, changed)
                clock.start()
        self.wants_effects = False

    def _net(self, one: Any, batch: Any, variants: Sequence[Variant]) -> Net:
        if not measures_noise(variants):
            require_steady(one.baseline, predicted(self.detector, self.precision, batch))
        return Net(one.baseline, len(variants))

    def _is_chosen(self, variant: Variant, number: int) -> bool:
        if self.verify <= 0:
            return False
        drawn = variant_rng(self.seed, f"verify/{number}/{variant.id}").bit_generator.random_raw()
        return int(drawn) < self.verify * 2.0**64


class _Guess:
    """Estimates how long a batch takes: from the times of the baseline's pass and of the first variants.

    That pass is the first of all, and slow.

    Parameters
    ----------
    trace : dissect_core.torch.replay.Trace
        The trace of the baseline's pass.
    moments : sequence of int
        Where each variant begins, in the order in which they are run.
    """

    def __init__(self, trace: Any, moments: Sequence[int]) -> None:
        self._expected: list[float] = [trace.seconds_after(moment) for moment in moments]
        self._baseline: float = trace.seconds_after(0)
        self._n_seen = 0
        left_out = sum(map(trace.flops_before, moments))
        self.left_out: float = left_out / max(1, trace.flops[-1] * len(moments))

    def is_good(self) -> bool:
        """Note that one more variant was run, and return whether enough is known now."""
        self._n_seen += 1
        return sum(self._expected[: self._n_seen]) >= 0.1 * sum(self._expected)

    def of_a_batch(self, spent: float) -> float:
        """Return the seconds that a batch takes, given those that went into the variants until now."""
        expected = sum(self._expected[: self._n_seen])
        whole = self._baseline + sum(self._expected)
        return whole * spent / expected if expected else whole
