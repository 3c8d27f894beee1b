"""A detector under examination: its detections, and variants of it made by a real plan."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..anatomy import Anatomy, Component
from ..errors import DissectError
from ..plan import Variant, plan
from ..spec import load_spec
from ._compare import copied, identical
from ._protocol import Detector, ImageDetections

__all__ = ["Probe", "Subject", "baseline_of", "component_variants", "first_of_unit", "variants_on"]


@dataclass(frozen=True)
class Probe:
    """What one variant did: its report, read inside the block, and the detections there."""

    variant: Variant
    masked: int
    changed: int
    is_no_op: bool
    found: list[ImageDetections]


class Subject:
    """A detector under examination.

    Parameters
    ----------
    detector : Detector
    images : sequence of Path or str
    n_components : int
        How many of the largest components are ablated.
    box_tolerance_px, score_tolerance : float
        How far detections in a batch may be from those of images alone.
    """

    def __init__(
        self,
        detector: Detector,
        images: Sequence[Path | str],
        n_components: int,
        box_tolerance_px: float,
        score_tolerance: float,
    ) -> None:
        self.detector = detector
        self.images = [Path(image) for image in images]
        self.n_components = n_components
        self.box_tolerance_px = box_tolerance_px
        self.score_tolerance = score_tolerance
        # Filled by checks that later ones need.
        self.alone: list[ImageDetections] = []
        self.few: list[int] = []
        self.probes: list[Probe] = []

    def detect(self, images: Sequence[Path | str], batch_size: int = 1) -> list[ImageDetections]:
        """Detections of images prepared anew, in memory of their own."""
        found: list[ImageDetections] = []
        for batch in self.detector.prepare(images, batch_size):
            found += copied(self.detector.predict_batch(batch))
        return found

    def detect_few(self) -> list[ImageDetections]:
        """Detections of the few images that stand for all."""
        return self.detect([self.images[i] for i in self.few])

    @property
    def expected(self) -> list[ImageDetections]:
        """What the few images gave at first."""
        return [self.alone[i] for i in self.few]

    def is_intact(self) -> bool:
        """Return whether the detector still gives its first detections."""
        try:
            return not self.few or identical(self.detect_few(), self.expected)
        except Exception:
            return False

    def visible(self) -> list[Probe]:
        """Return the probes that changed detections."""
        return [probe for probe in self.probes if not identical(probe.found, self.expected)]

    def probe(self, variant: Variant) -> Probe:
        """Apply a variant and detect."""
        with self.detector.ablated(variant) as report:
            found = self.detect_few()
            return Probe(variant, report.masked, report.changed, report.is_no_op, found)

    def largest(self) -> list[Component]:
        """Return the largest components that hold floating-point values, in the anatomy's order."""
        floating = [c for c in self.detector.anatomy.components if "float" in c.dtype and c.n_parameters]
        sizes = np.array([c.n_parameters for c in floating], dtype=np.int64)
        chosen = np.argsort(-sizes, kind="stable")[: self.n_components]
        return [floating[i] for i in sorted(chosen)]


def component_variants(components: Sequence[Component], **more: Any) -> list[Variant]:
    """Return a variant for each component with all its values replaced: by zero, unless `more` says otherwise."""
    target = {"unit": "component", "components": [c.name for c in components]}
    # Without roles and blocks a name can only mean the component.
    plain = Anatomy(tuple(replace(component, role=None) for component in components))
    return variants_on(plain, target, {"by": "each"}, **more) if components else []


def variants_on(
    anatomy: Anatomy, target: dict[str, Any], select: dict[str, Any], **more: Any
) -> list[Variant]:
    """Return the variants of one ablation on an anatomy, without the baseline."""
    ablation = {"name": "conformance", "target": target, "select": select, **more}
    spec = {"name": "conformance", "max_variants": 10**6, "ablations": [ablation]}
    return plan(load_spec(spec), anatomy)[1:]


def baseline_of(anatomy: Anatomy) -> Variant:
    """Return the variant that changes nothing."""
    target = {"unit": "component", "components": anatomy.components[0].name}
    ablation = {"name": "conformance", "target": target, "select": {"by": "all"}}
    plain = Anatomy((replace(anatomy.components[0], role=None),))
    return plan(load_spec({"name": "conformance", "ablations": [ablation]}), plain)[0]


def first_of_unit(anatomy: Anatomy, unit: str, **more: Any) -> list[Variant]:
    """Return the first unit of a kind as a variant, if the anatomy has such units."""
    try:
        return variants_on(
            anatomy, {"unit": unit, "components": "*"}, {"by": "indices", "indices": [0]}, **more
        )
    except DissectError:
        return []
