"""Checks of what a detector is: its members, class names and anatomy."""

from ..anatomy import Anatomy
from ._check import BrokenRuleError, Check, check, require
from ._protocol import missing_members, wrong_signatures
from ._subject import Subject

__all__ = ["CHECKS"]


@check(
    "members",
    "A detector has class_names, anatomy, prepare, predict_batch and ablated, called as the protocol calls them.",
    "Add or rename them as `dissect_core.detectors.Detector` has them.",
)
def members(subject: Subject) -> str:
    missing = missing_members(subject.detector)
    require(not missing, f"no {', '.join(missing)}.")
    wrong = wrong_signatures(subject.detector)
    require(not wrong, f"{'; '.join(wrong)}.")
    return "all there."


@check(
    "class names",
    "class_names is a tuple of unique, non-empty strings.",
    "Give one name for each label, in the labels' order.",
    needs=("members",),
)
def class_names(subject: Subject) -> str:
    names: object = subject.detector.class_names
    if not isinstance(names, tuple) or not names:
        raise BrokenRuleError(f"{names!r}.")
    wrong = [name for name in names if not isinstance(name, str) or not name.strip()]
    require(not wrong, f"{wrong[:3]!r} among the names.")
    repeated = sorted({name for name in names if names.count(name) > 1})
    require(not repeated, f"{', '.join(map(repr, repeated))} more than once.")
    return f"{len(names)}, from {names[0]!r} to {names[-1]!r}."


@check(
    "anatomy",
    "anatomy is an Anatomy of components with unique names, some with values, and the same every time.",
    "List every parameter once, under the name that masks use; `dissect_core.torch.anatomy_of` does it for a model.",
    needs=("members",),
)
def anatomy(subject: Subject) -> str:
    found: object = subject.detector.anatomy
    if not isinstance(found, Anatomy):
        raise BrokenRuleError(f"a {type(found).__name__}.")
    names = [name for c in found.components for name in (c.name, *c.aliases)]
    repeated = (
        sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    )
    require(not repeated, f"{', '.join(map(repr, repeated[:5]))} more than once.")
    require(subject.largest(), f"{len(found.components)} components, none with floating-point values.")
    require(
        subject.detector.anatomy.components == found.components, "other components when it is read again."
    )
    return f"{len(found.components)} components, {sum(c.n_parameters for c in found.components):,} values."


CHECKS: tuple[Check, ...] = (members, class_names, anatomy)
