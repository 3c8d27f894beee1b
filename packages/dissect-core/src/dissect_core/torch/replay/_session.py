"""The state that the batches of one replay share: the model, and what is known of it by now."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

from torch import nn

from ...plan import Variant
from ..activations import tap_point
from ._held import Marks, held_deeply, same_marks
from ._wrapping import Around, every_forward

Batch = TypeVar("Batch")
Output = TypeVar("Output")


@dataclass
class ReplayCounts:
    """Counts of what replay saved so far.

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
    checks : int
        Passes made to try out records before they were used.
    """

    passes: int = 0
    full: int = 0
    calls: int = 0
    replayed: int = 0
    peak_bytes: int = 0
    checks: int = 0


class Begin(NamedTuple):
    """Where a variant's pass may part from the baseline's.

    Attributes
    ----------
    parameters : tuple of str
        At the first use of any of these.
    calls : tuple of (str, str)
        At the first call of any of these modules: as it begins, ``"enter"``, or ends, ``"leave"``.
    """

    parameters: tuple[str, ...]
    calls: tuple[tuple[str, str], ...]


@dataclass(eq=False)
class Session(Generic[Batch, Output]):
    """The state that the batches of one replay share.

    Attributes
    ----------
    model : torch.nn.Module
    run : callable
    max_bytes : int or None
    counts : ReplayCounts
    wanted : set of int or None
        Calls whose results the last batch needed; None before the first one.
    off : str or None
        Why nothing of this model is answered from a record.
    in_full : bool
        Whether nothing is to be answered from a record.
    is_random : bool
        Whether two passes over the same batch gave different results.
    proven : dict of int to set of frozenset
        For each way through the model, calls that were tried out: a pass is the same if all of these are answered.
    unseen : set of str
        Parameters that are used without being seen.
    distrusted : dict of str to str
        Modules that do more than return, and why that is known.
    told : set of str
        What the user was warned of.
    impure : dict of str to str
        Modules that keep something from their calls or draw numbers, as far as that is known, and what they do.
    """

    model: nn.Module
    run: Callable[[Batch], Output]
    max_bytes: int | None
    counts: ReplayCounts = field(default_factory=ReplayCounts)
    wanted: set[int] | None = None
    off: str | None = None
    in_full: bool = False
    is_random: bool = False
    proven: dict[int, set[frozenset[int]]] = field(default_factory=dict)
    unseen: set[str] = field(default_factory=set)
    distrusted: dict[str, str] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)
    impure: dict[str, str] = field(default_factory=dict)
    _marks: dict[str, Marks] = field(default_factory=dict)
    _watched: list[tuple[str, nn.Module]] = field(default_factory=list)
    _watch: ExitStack = field(default_factory=ExitStack)
    _around: tuple[int, Around] | None = None
    _begins: WeakKeyDictionary[Variant, "Begin"] = field(default_factory=WeakKeyDictionary)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Stand around every module's forward for the length of a block, unless replay is off, or turned off in it."""
        self._watched = list(self.model.named_modules()) if self.off is None else []
        with self._watch:
            self._watch.enter_context(every_forward(self._watched, self.around))
            yield

    def stop_watching(self) -> None:
        """Leave the model's forwards as they are for the rest of a block."""
        self._watch.close()

    def plainly(self, batch: Batch) -> Output:
        """Run a batch with nothing around any forward: a model may look at its own."""
        self.stop_watching()
        try:
            return self.run(batch)
        finally:
            self._watch.enter_context(every_forward(self._watched, self.around))

    def around(self) -> Around | None:
        """Return what stands around every forward at the moment, in the thread whose pass it is; None in any other.

        Another one may call the model's modules meanwhile, as a reader of images does that uses its preprocessor.
        """
        around = self._around
        return around[1] if around is not None and around[0] == threading.get_ident() else None

    @contextmanager
    def with_around(self, around: Around | None) -> Iterator[None]:
        """Let something stand around every forward for the length of a block."""
        self._around = None if around is None else (threading.get_ident(), around)
        try:
            yield
        finally:
            self._around = None

    def remember_state(self) -> None:
        """Note what the modules hold, but for those that are known to keep something."""
        modules = self.model.named_modules()
        self._marks = {path: held_deeply(one, alone=True) for path, one in modules if path not in self.impure}

    def has_new_state(self) -> bool:
        """Return whether a module holds something else than was noted, which earlier batches did not show.

        Each module is looked into once: what is changed outside of all calls would else be new on every batch. Trials
        of every batch's record watch over the rest.
        """
        modules = dict(self.model.named_modules())
        new = [
            path
            for path, marks in self._marks.items()
            if path not in modules or not same_marks(marks, held_deeply(modules[path], alone=True))
        ]
        for path in new:
            del self._marks[path]
        return bool(new)

    def begins(self, variant: Variant) -> Begin:
        """Return where a variant's pass may part from the baseline's; found once, since drawing units takes time."""
        if variant not in self._begins:
            parameters = tuple(edit.parameter for edit in variant.edits())
            calls = [(path, "enter") for path in variant.bypassed()]
            for site in variant.sites():
                point = tap_point(self.model, site)
                path = next(path for path, module in self.model.named_modules() if module is point.module)
                calls.append((path, "leave" if point.where == "output" else "enter"))
            if variant.readout() is not None:
                # Its pass is the baseline's until the decoder's last layer has ended; the decoder itself runs.
                calls.append((variant.pool.parts[-1].path, "leave"))
            self._begins[variant] = Begin(parameters, tuple(calls))
        return self._begins[variant]
