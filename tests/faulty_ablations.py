"""Toy detectors with one fault each in how they are ablated: what the conformance suite must find."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dissect_core import AblationReport, Anatomy, Component, edit_arrays
from dissect_core.edits import ComponentChange
from dissect_core.plan import Variant
from faulty_detectors import fault
from toy_detector import ToyDetector


class Edited(ToyDetector):
    """Lets a fault say how arrays are edited, and what is put back when the block is left."""

    def edited(self, variant: Variant) -> tuple[dict[str, Any], Any]:
        return edit_arrays(self.arrays, variant.as_edits(), seed=variant.seed, variant=variant.id)

    def put_back(self, before: dict[str, Any]) -> None:
        self.arrays = before

    @contextmanager
    def ablated(self, variant: Variant, *, reference: Any = None) -> Iterator[Any]:
        arrays, report = self.edited(variant)
        before, self.arrays = self.arrays, arrays
        try:
            yield report
        finally:
            self.put_back(before)


@fault("undone")
class NeverUndone(Edited):
    def put_back(self, before: dict[str, Any]) -> None:
        pass


@fault("undone")
class AlmostUndone(Edited):
    def put_back(self, before: dict[str, Any]) -> None:
        self.arrays = {name: array * (1 + 1e-12) for name, array in before.items()}


@fault("ablation shows")
class WithoutEffect(Edited):
    def edited(self, variant: Variant) -> tuple[dict[str, Any], Any]:
        return self.arrays, super().edited(variant)[1]


@fault("report")
class AllChanged(Edited):
    def edited(self, variant: Variant) -> tuple[dict[str, Any], Any]:
        arrays, report = super().edited(variant)
        changes = (ComponentChange(c.name, c.size, c.masked, c.masked) for c in report.components)
        return arrays, AblationReport(tuple(changes))


@dataclass(frozen=True)
class Report:
    masked: int
    changed: int
    is_no_op: bool


@fault("report")
class NothingChanged(Edited):
    def edited(self, variant: Variant) -> tuple[dict[str, Any], Any]:
        arrays, report = super().edited(variant)
        return arrays, Report(report.masked, 0, True)


@fault("report")
class HalfCounted(Edited):
    def edited(self, variant: Variant) -> tuple[dict[str, Any], Any]:
        arrays, report = super().edited(variant)
        return arrays, Report((report.masked + 1) // 2, (report.changed + 1) // 2, report.is_no_op)


@fault("every component")
class OneTooMany(ToyDetector):
    @property
    def anatomy(self) -> Anatomy:
        whole = super().anatomy
        return replace(whole, components=(*whole.components, Component("head.scale", (1,), "float64")))


@fault("undone after an error")
class KeptAfterErrors(ToyDetector):
    @contextmanager
    def ablated(self, variant: Variant, *, reference: Any = None) -> Iterator[Any]:
        arrays, report = edit_arrays(self.arrays, variant.as_edits(), seed=variant.seed, variant=variant.id)
        before, self.arrays = self.arrays, arrays
        yield report
        self.arrays = before


@fault("undone after an error")
class Swallowed(ToyDetector):
    @contextmanager
    def ablated(self, variant: Variant, *, reference: Any = None) -> Iterator[Any]:
        entered = False
        try:
            with super().ablated(variant) as report:
                entered = True
                yield report
        except RuntimeError:
            if not entered:
                raise


@fault("nesting")
class BackToTheBeginning(Edited):
    def __init__(self) -> None:
        super().__init__()
        self.first = self.arrays

    def put_back(self, before: dict[str, Any]) -> None:
        self.arrays = self.first


@fault("draws")
class Unseeded(Edited):
    def edited(self, variant: Variant) -> tuple[dict[str, Any], Any]:
        seed = int(np.random.default_rng().integers(2**31))
        return edit_arrays(self.arrays, variant.as_edits(), seed=seed, variant=variant.id)


@fault("draws")
class AlwaysTheSameDraw(Edited):
    def edited(self, variant: Variant) -> tuple[dict[str, Any], Any]:
        return edit_arrays(self.arrays, variant.as_edits())


@fault("baseline")
class NoBaseline(ToyDetector):
    def ablated(self, variant: Variant, *, reference: Any = None) -> Any:
        if not variant.n_units:
            raise ValueError("nothing to remove")
        return super().ablated(variant)


@fault("unknown component")
class UnknownSkipped(Edited):
    def edited(self, variant: Variant) -> tuple[dict[str, Any], Any]:
        edits = [edit for edit in variant.as_edits() if edit.parameter in self.arrays]
        return edit_arrays(self.arrays, edits, seed=variant.seed, variant=variant.id)


@fault("unknown component")
class BareKeyError(Edited):
    def edited(self, variant: Variant) -> tuple[dict[str, Any], Any]:
        for edit in variant.as_edits():
            self.arrays[edit.parameter]
        return super().edited(variant)


@fault("mask of another shape")
class Broadcast(Edited):
    def edited(self, variant: Variant) -> tuple[dict[str, Any], Any]:
        shapes = {name: array.shape for name, array in self.arrays.items()}
        edits = [replace(e, mask=e.mask.reshape(shapes.get(e.parameter, -1))) for e in variant.as_edits()]
        return edit_arrays(self.arrays, edits, seed=variant.seed, variant=variant.id)


@fault("other spaces")
class SilentlySkipped(Edited):
    def edited(self, variant: Variant) -> tuple[dict[str, Any], Any]:
        return edit_arrays(self.arrays, variant.edits(), seed=variant.seed, variant=variant.id)
