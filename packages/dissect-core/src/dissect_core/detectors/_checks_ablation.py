"""Checks of ablations: that they are undone, show, are reported truthfully, nest, and draw by their seed."""

from dataclasses import replace

from ..anatomy import Component
from ..plan import Variant
from ._check import BrokenRuleError, Check, check, require
from ._compare import difference, identical
from ._subject import Probe, Subject, baseline_of, component_variants

__all__ = ["CHECKS"]

_CAN_DETECT = ("repeatable", "images told apart", "anatomy")
_N_DRAWS = 4


@check(
    "undone",
    "After a block detections are as before, bit for bit, and the same ablation changes as many values again.",
    "Keep the old values and put them back in a `finally`; forget what was computed from the ablated ones.",
    needs=_CAN_DETECT,
)
def undone(subject: Subject) -> str:
    variants = component_variants(subject.largest())
    for variant in variants:
        probe = subject.probe(variant)
        differs = difference(subject.expected, subject.detect_few())
        require(differs is None, f"after {variant.id!r}: {differs}.")
        again = subject.probe(variant)
        require(
            probe.changed == again.changed,
            f"{variant.id!r} changes {probe.changed} values at first, then {again.changed}.",
        )
        subject.probes.append(probe)
    return f"{len(variants)} ablations, each applied twice."


@check(
    "ablation shows",
    "Detections change when at least one of the largest components is put to zero.",
    "Let the ablation reach the arrays that the detector computes with, and no cache keep old detections.",
    needs=("undone",),
)
def shows(subject: Subject) -> str:
    visible = [probe.variant.pool.parts[0].path for probe in subject.visible()]
    tried = ", ".join(component.name for component in subject.largest())
    require(visible, f"none with {tried} at zero.")
    return f"{len(visible)} of {len(subject.probes)} change detections."


@check(
    "report",
    "A report counts every masked value, and as changed those that became others.",
    "Count old != new over the masked values; `dissect_core.edit_arrays` and `dissect_core.torch.ablated` do.",
    needs=("ablation shows",),
)
def report(subject: Subject) -> str:
    for probe in subject.probes:
        name, wanted = probe.variant.id, probe.variant.n_parameters
        require(probe.masked == wanted, f"{name!r} masks {wanted} values, {probe.masked} reported.")
        require(
            0 <= probe.changed <= probe.masked, f"{name!r}: {probe.changed} changed of {probe.masked} masked."
        )
        require(
            probe.is_no_op == (probe.changed == 0),
            f"{name!r}: {probe.changed} changed, is_no_op {probe.is_no_op}.",
        )
        require(
            not probe.is_no_op or identical(probe.found, subject.expected),
            f"{name!r} changes detections and reports that nothing changed.",
        )
        with subject.detector.ablated(probe.variant):
            twice = subject.probe(probe.variant)
        require(
            twice.changed == 0 and twice.is_no_op,
            f"{name!r} within itself: {twice.changed} values reported as changed, though all are zero already.",
        )
    return (
        f"{sum(p.changed for p in subject.probes)} of {sum(p.masked for p in subject.probes)} values changed."
    )


@check(
    "every component",
    "Every component of the anatomy can be ablated.",
    "Leave out of the anatomy what `ablated` does not reach, or spell it as masks do.",
    needs=("undone",),
)
def every_component(subject: Subject) -> str:
    components = [c for c in subject.detector.anatomy.components if c.n_parameters]
    for variant in component_variants(components):
        name = variant.pool.parts[0].path
        try:
            with subject.detector.ablated(variant) as told:
                masked = told.masked
        except Exception as error:
            raise BrokenRuleError(f"{name!r}: {type(error).__name__}: {str(error).rstrip('.')}.") from error
        require(masked > 0, f"{name!r}: no value masked.")
    return f"{len(components)}."


@check(
    "undone after an error",
    "An error inside a block comes out of it as it is, and detections afterwards are as before, bit for bit.",
    "Restore in a `finally`, and swallow nothing.",
    needs=("ablation shows",),
)
def undone_after_error(subject: Subject) -> str:
    variant, raised = subject.visible()[0].variant, RuntimeError("raised on purpose")
    try:
        with subject.detector.ablated(variant):
            raise raised
    except RuntimeError as error:
        require(error is raised, f"{type(error).__name__}: {error} in the place of the error.")
    else:
        raise BrokenRuleError("the error is swallowed.")
    differs = difference(subject.expected, subject.detect_few())
    require(differs is None, f"{differs}.")
    return "bit for bit."


@check(
    "nesting",
    "Within a block another one can be opened; after the inner one the outer ablation alone holds, bit for bit.",
    "Restore the values found on entering the block, not those of the untouched model.",
    needs=("ablation shows",),
)
def nesting(subject: Subject) -> str:
    outer = subject.visible()[0]
    inner = next((p.variant for p in reversed(subject.probes) if p is not outer), _part_of(outer))
    with subject.detector.ablated(outer.variant):
        with subject.detector.ablated(inner):
            subject.detect_few()
        differs = difference(outer.found, subject.detect_few())
        require(differs is None, f"after {inner.id!r} within {outer.variant.id!r}: {differs}.")
    differs = difference(subject.expected, subject.detect_few())
    require(differs is None, f"after both blocks: {differs}.")
    return "bit for bit."


def _part_of(probe: Probe) -> Variant:
    """Ones in the only component there is: within the outer block it holds zeros, so that something changes."""
    (component,) = probe.variant.pool.parts[0].components
    return component_variants([component], interventions={"kind": "constant", "value": 1})[0]


@check(
    "draws",
    "Noise is the same whenever a variant is applied, and another one for another repeat.",
    "Draw with the variant's seed and id: `edit_arrays(arrays, edits, seed=variant.seed, variant=variant.id)`.",
    needs=("ablation shows",),
)
def draws(subject: Subject) -> str:
    varied = undecided = 0
    for probe in subject.visible():
        noisy = _noisy(probe.variant.pool.parts[0].components[0])
        found = [subject.probe(variant).found for variant in noisy]
        differs = difference(found[0], subject.probe(noisy[0]).found)
        require(differs is None, f"{noisy[0].id!r} twice: {differs}.")
        # Draws that leave nothing to see, or change nothing, cannot be told apart.
        if identical(found[0], subject.expected) or not any(len(image.labels) for image in found[0]):
            undecided += 1
        elif any(not identical(found[0], other) for other in found[1:]):
            varied += 1
    judged = len(subject.visible()) - undecided
    require(varied or not judged, f"{_N_DRAWS} repeats give the same detections, bit for bit.")
    return f"repeats differ in {varied} of {judged} components in which that shows."


def _noisy(component: Component) -> list[Variant]:
    (variant,) = component_variants([component], interventions={"kind": "noise", "snr_db": 10})
    return [replace(variant, id=f"{variant.id}/{repeat}", repeat=repeat) for repeat in range(_N_DRAWS)]


@check(
    "baseline",
    "The baseline variant, which every study begins with, masks and changes nothing.",
    "Accept a variant without edits.",
    needs=("undone",),
)
def baseline(subject: Subject) -> str:
    probe = subject.probe(baseline_of(subject.detector.anatomy))
    seen = f"{probe.masked} masked, {probe.changed} changed, is_no_op {probe.is_no_op}"
    require((probe.masked, probe.changed, probe.is_no_op) == (0, 0, True), f"{seen}.")
    differs = difference(subject.expected, probe.found)
    require(differs is None, f"{differs}.")
    return f"{seen}."


CHECKS: tuple[Check, ...] = (
    undone,
    shows,
    report,
    every_component,
    undone_after_error,
    nesting,
    draws,
    baseline,
)
