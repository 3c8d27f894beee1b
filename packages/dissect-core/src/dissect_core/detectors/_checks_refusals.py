"""Checks that what a detector cannot do is refused by name: silence would pass for robustness."""

from dataclasses import replace

from ..anatomy import Component
from ..errors import DissectError
from ..plan import Variant
from ._check import BrokenRuleError, Check, check, require
from ._compare import difference
from ._subject import Subject, component_variants, first_of_unit

__all__ = ["CHECKS"]

_NOBODY = "no_such_component_for_this_check.weight"
_ZERO = {"interventions": {"kind": "zero", "space": "activation"}}
_ELSEWHERE = {
    "head": _ZERO,
    "neuron": _ZERO,
    "channel": _ZERO,
    "query": _ZERO,
    "layer": {},
    "sublayer": {},
}
"""Units of variants that edit no parameters, with what else their ablations say."""


@check(
    "unknown component",
    "A variant of a component that the detector does not have is refused with a DissectError that names it.",
    "Raise `dissect_core.unknown_component(name, names)`: it also finds near matches.",
    needs=("undone",),
)
def unknown(subject: Subject) -> str:
    (variant,) = component_variants([Component(_NOBODY, (2, 3), "float32")])
    return _refused(subject, variant, _NOBODY)


@check(
    "mask of another shape",
    "A mask of another shape than its component's is refused with a DissectError that names the component.",
    "Check with `dissect_core.edits.check_mask(name, mask, shape)` before anything is changed.",
    needs=("undone",),
)
def other_shape(subject: Subject) -> str:
    component = min(subject.largest(), key=lambda c: c.n_parameters)
    # One row, and for a matrix one dimension more: shapes that NumPy and torch would broadcast.
    (variant,) = component_variants([replace(component, shape=(1, *component.shape))])
    return _refused(subject, variant, component.name)


def _refused(subject: Subject, variant: Variant, name: str) -> str:
    try:
        with subject.detector.ablated(variant) as report:
            masked = report.masked
    except DissectError as error:
        require(name in str(error), f"{type(error).__name__} without the name: {error}")
        kind = type(error).__name__
    except Exception as error:
        raise BrokenRuleError(f"{type(error).__name__}, which is no DissectError: {error}.") from error
    else:
        raise BrokenRuleError(f"no error, {masked} values reported as masked.")
    differs = difference(subject.expected, subject.detect_few())
    require(differs is None, f"refused, and left the detector changed: {differs}.")
    return f"{kind}."


@check(
    "other spaces",
    "A variant of activations or of structure that the anatomy offers is applied, or refused with a DissectError.",
    "Use `variant.as_edits()`, which raises where weights cannot do it, in the place of `variant.edits()`.",
    needs=("undone",),
)
def other_spaces(subject: Subject) -> str:
    applied, refused = [], []
    for unit, more in _ELSEWHERE.items():
        for variant in first_of_unit(subject.detector.anatomy, unit, **more):
            try:
                with subject.detector.ablated(variant) as report:
                    subject.detect_few()
                    masked = report.masked
            except DissectError:
                refused.append(unit)
                continue
            require(masked > 0, f"{variant.id!r} is skipped without an error.")
            applied.append(unit)
    differs = difference(subject.expected, subject.detect_few())
    require(differs is None, f"afterwards {differs}.")
    return f"applied: {', '.join(applied) or 'none'}; refused: {', '.join(refused) or 'none'}."


CHECKS: tuple[Check, ...] = (unknown, other_shape, other_spaces)
