"""What the batches of one replay share: the model, what was saved so far, and what stands around its forwards."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from torch import nn

from ...plan import Variant
from ._wrapping import Around

Batch = TypeVar("Batch")
Output = TypeVar("Output")


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


@dataclass(eq=False)
class Session(Generic[Batch, Output]):
    """What the batches of one replay share.

    Attributes
    ----------
    model : torch.nn.Module
    run : callable
    max_bytes : int or None
    counts : ReplayCounts
    wanted : set of int or None
        Calls whose results the last batch needed; None before the first one.
    """

    model: nn.Module
    run: Callable[[Batch], Output]
    max_bytes: int | None
    counts: ReplayCounts = field(default_factory=ReplayCounts)
    wanted: set[int] | None = None
    _around: tuple[int, Around] | None = None
    _parameters: WeakKeyDictionary[Variant, tuple[str, ...]] = field(default_factory=WeakKeyDictionary)

    def around(self) -> Around | None:
        """What stands around every module's forward at the moment: in the thread whose pass it is, and in no other.

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

    def parameters_of(self, variant: Variant) -> tuple[str, ...]:
        """Names of the parameters that a variant edits, worked out once: its masks take time."""
        if variant not in self._parameters:
            self._parameters[variant] = tuple(edit.parameter for edit in variant.edits())
        return self._parameters[variant]
