"""Does this checkpoint belong to this model? Measured, told, and refused where it does not."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

NAMED_AT_MOST = 5
COUNTER = "num_batches_tracked"
"""Batches that a norm has seen in training: no evaluation reads it, so nobody misses it."""
# Written by the data preprocessor into checkpoints although no model asks for them.
HARMLESS_EXTRAS = ("data_preprocessor.mean", "data_preprocessor.std")
SEED = 0
"""Seed of the numbers that stand in for missing weights."""


@dataclass(frozen=True)
class Fit:
    """How the weights of a checkpoint match a model.

    Attributes
    ----------
    n_model : int
        Entries in the model's state dict.
    missing, unexpected, reshaped : tuple of str
        Names that the checkpoint lacks, that the model lacks, and that differ in shape.
    ignored : tuple of str
        Names that the model lacks and that nobody misses: the preprocessor's mean and standard deviation.
    n_values, n_lacking : int
        Numbers in the model's entries, each of tied ones once, counters of batches left out; and how many of these
        the checkpoint does not give.
    shapes : mapping of str to pair of tuple
        Entries whose shape differs: the checkpoint's shape, and the model's.
    belonging : tuple of str
        Those of `unexpected` that lie in parts that the model has: without them it computes something else.
    copies : mapping of str to int
        Further copies of the model's weights among `unexpected`: prefix of their names, and how many there are.
    prefix : str
        What was taken off every name in the checkpoint.
    filled : bool
        Whether numbers of a fixed seed stand in for what is missing or differs in shape.
    checkpoint : str
        Name of the file.
    notes : tuple of str
        What else should be known of these weights.
    """

    n_model: int
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    reshaped: tuple[str, ...]
    ignored: tuple[str, ...] = ()
    n_values: int = 0
    n_lacking: int = 0
    shapes: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]] = field(default_factory=dict)
    belonging: tuple[str, ...] = ()
    copies: Mapping[str, int] = field(default_factory=dict)
    prefix: str = ""
    filled: bool = False
    checkpoint: str = ""
    notes: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        """Matching entries over the union of both sides' entries, in [0, 1]."""
        matched = self.n_model - len(self.missing) - len(self.reshaped)
        union = self.n_model + len(self.unexpected)
        return matched / union if union else 1.0

    @property
    def is_whole(self) -> bool:
        """Whether all numbers of the model are the checkpoint's, and none of its parts is left out."""
        return not (self.missing or self.reshaped or self.belonging)

    def describe(self) -> str:
        """Say in one line what was loaded and how much of it fitted."""
        loaded = self.n_model - len(self.missing) - len(self.reshaped)
        parts = [
            f"{loaded:,} of the model's {self.n_model:,} entries loaded, "
            f"{percent(self.n_values - self.n_lacking, self.n_values)} of its {self.n_values:,} parameters and buffers"
        ]
        if self.prefix:
            parts.append(f"`{self.prefix}` taken off every name")
        if rest := self._said_unexpected():
            parts.append(f"not used: {rest}")
        return "; ".join([*parts, *([self.warning] if self.warning else []), *self.notes])

    @property
    def warning(self) -> str:
        """What every number of this detector must be read with; empty if all of its weights are the checkpoint's."""
        if self.is_whole:
            return ""
        parts = []
        if self.missing or self.reshaped:
            kinds = [
                f"{entries(len(names))} {what}"
                for names, what in ((self.missing, "missing"), (self.reshaped, "of another shape"))
                if names
            ]
            parts.append(
                f"{self.n_lacking:,} of the model's {self.n_values:,} parameters and buffers "
                f"({percent(self.n_lacking, self.n_values)}) are random numbers of seed {SEED}, not the checkpoint's: "
                f"{' and '.join(kinds)}, first {(*self.missing, *self.reshaped)[0]}"
            )
        if self.belonging:
            parts.append(
                f"{entries(len(self.belonging))} of the checkpoint, inside parts of the model, left out, first "
                + self.belonging[0]
            )
        return f"weights: {'; '.join(parts)}"

    def record(self) -> dict[str, Any]:
        """Return what does not fit, as plain data for a study's facts."""
        return {
            "note": self.warning,
            "seed": SEED,
            "parameters_and_buffers": self.n_values,
            "filled": self.n_lacking,
            "missing": list(self.missing),
            "reshaped": {name: [list(there), list(here)] for name, (there, here) in self.shapes.items()},
            "left_out": list(self.belonging),
        }

    def problems(self) -> str:
        """Say why the checkpoint is not this model's, with the first names."""
        parts = []
        n_lacking = len(self.missing) + len(self.reshaped)
        if n_lacking:
            parts.append(
                f"{n_lacking:,} of the model's {self.n_model:,} entries, "
                f"{percent(self.n_lacking, self.n_values)} of its parameters and buffers, are not in it"
            )
        if self.missing:
            parts.append(f"missing from the checkpoint: {named(self.missing)}")
        if self.reshaped:
            shown = [
                f"{name} {shape(there)} there, {shape(here)} here"
                for name, (there, here) in self.shapes.items()
            ]
            parts.append(f"of another shape: {named(shown)}")
        if self.belonging:
            parts.append(
                f"{entries(len(self.belonging))} without a place in parts that the model has: {named(self.belonging)}"
            )
        return "; ".join(parts)

    def _said_unexpected(self) -> str:
        """Say which entries of the checkpoint are not used, by the parts that they belong to."""
        parts = [
            f"{entries(count)} `{prefix}`, a copy of the model's" for prefix, count in self.copies.items()
        ]
        left = [
            name
            for name in (*self.unexpected, *self.ignored)
            if name not in self.belonging and not any(name.startswith(prefix) for prefix in self.copies)
        ]
        tops = dict.fromkeys(_part(name) for name in left)
        if tops:
            parts.append(f"{entries(len(left))} of {named(list(tops))}")
        return ", ".join(parts)


def compare_state(model_state: Mapping[str, Any], weights: Mapping[str, Any]) -> Fit:
    """Compare a model's state dict with a checkpoint's, by names and shapes.

    Examples
    --------
    >>> import torch
    >>> fit = compare_state({"a": torch.ones(2), "b": torch.ones(1)}, {"a": torch.ones(3), "c": torch.ones(1)})
    >>> fit.missing, fit.unexpected, fit.reshaped, fit.share
    (('b',), ('c',), ('a',), 0.0)
    """
    extra = [name for name in weights if name not in model_state]
    shapes = {
        name: (tuple(weights[name].shape), tuple(value.shape))
        for name, value in model_state.items()
        if not name.endswith(COUNTER)
        and hasattr(weights.get(name), "shape")
        and tuple(weights[name].shape) != tuple(getattr(value, "shape", ()))
    }
    missing = tuple(name for name in model_state if name not in weights)
    sizes = {
        n: math.prod(getattr(v, "shape", (0,))) for n, v in model_state.items() if not n.endswith(COUNTER)
    }
    return Fit(
        n_model=len(model_state),
        missing=missing,
        unexpected=tuple(name for name in extra if name not in HARMLESS_EXTRAS),
        ignored=tuple(name for name in extra if name in HARMLESS_EXTRAS),
        reshaped=tuple(shapes),
        n_values=sum(sizes.values()),
        n_lacking=sum(sizes.get(name, 0) for name in (*missing, *shapes)),
        shapes=shapes,
    )


def named(names: Sequence[str]) -> str:
    """Return the first of some names, and how many more there are.

    >>> named(["a", "b", "c", "d", "e", "f", "g"])
    'a, b, c, d, e and 2 more'
    """
    more = f" and {len(names) - NAMED_AT_MOST:,} more" if len(names) > NAMED_AT_MOST else ""
    return ", ".join(names[:NAMED_AT_MOST]) + more


def entries(count: int) -> str:
    """Return a number of entries in words.

    >>> entries(1), entries(1200)
    ('1 entry', '1,200 entries')
    """
    return "1 entry" if count == 1 else f"{count:,} entries"


def percent(part: int, whole: int) -> str:
    """Return a share in percent; 0 and 100 stand for none and all of it alone.

    >>> percent(999_999, 1_000_000), percent(1, 1_000_000), percent(1, 3)
    ('> 99.9 %', '< 0.1 %', '33.3 %')
    """
    if part in (0, whole):
        return "100 %" if part or not whole else "0 %"
    share = 100 * part / whole
    return "< 0.1 %" if share < 0.1 else "> 99.9 %" if share > 99.9 else f"{share:.1f} %"


def shape(sizes: Sequence[int]) -> str:
    """Return a shape for people.

    >>> shape((81, 1024)), shape(())
    ('81 × 1024', 'scalar')
    """
    return " × ".join(map(str, sizes)) or "scalar"


def _part(name: str) -> str:
    """Return the part of a detector that an entry belongs to: two names deep where detectors nest their heads."""
    parts = name.split(".")
    return ".".join(parts[: 2 if parts[0] in ("roi_head", "backbone", "bbox_head") and len(parts) > 2 else 1])
