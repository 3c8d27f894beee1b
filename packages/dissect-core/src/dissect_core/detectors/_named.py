"""Variants of units that are named one by one: what `BaseDetector.ablated` makes of its keywords."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from operator import index
from typing import Any, TypeAlias, cast

from ..anatomy import Anatomy, unit_kind
from ..edits import Intervention, is_activation
from ..errors import InterventionError, SelectionError, SpecError, UnitError
from ..plan import Pool, Variant, plan, pool_of
from ..spec import StudySpec, check_spec, load_spec
from ..text import quoted
from ._protocol import ChangeReport

__all__ = [
    "KEYWORDS",
    "JointReport",
    "NamedUnits",
    "applied_together",
    "named_variant",
    "weight_intervention",
]

NamedUnits: TypeAlias = str | Sequence[str] | Mapping[str, int | Sequence[int]]
"""Names of blocks or parameters, all of whose units are meant; or for each name the numbers of units, from 0."""

KEYWORDS = {
    unit_kind(unit).plural: unit for unit in ("head", "neuron", "channel", "query", "layer", "component")
}
"""Unit of each keyword."""
_NAME = "named units"


@dataclass(frozen=True)
class JointReport:
    """What several variants that are applied together did to a detector.

    Attributes
    ----------
    reports : tuple of ChangeReport
        One for each, in the order in which they were applied.
    """

    reports: tuple[ChangeReport, ...]

    @property
    def masked(self) -> int:
        """Values that the variants aim at."""
        return sum(report.masked for report in self.reports)

    @property
    def changed(self) -> int:
        """Values among these that really became others."""
        return sum(report.changed for report in self.reports)

    @property
    def is_no_op(self) -> bool:
        """Whether the detector is left as it was."""
        return all(report.is_no_op for report in self.reports)


@contextmanager
def applied_together(blocks: Sequence[AbstractContextManager[ChangeReport]]) -> Iterator[ChangeReport]:
    """Enter several ablations one inside the other; a single one keeps its own report."""
    with ExitStack() as stack:
        reports = tuple(stack.enter_context(block) for block in blocks)
        yield reports[0] if len(reports) == 1 else JointReport(reports)


def named_variant(anatomy: Anatomy, keyword: str, named: NamedUnits, intervention: Any = "zero") -> Variant:
    """Return the variant that removes units of one kind, all of them together.

    Parameters
    ----------
    anatomy : Anatomy
        What the detector is made of.
    keyword : str
        One of `KEYWORDS`.
    named : str, sequence of str, or mapping of str to int or sequence of int
        Roles, exact names or globs, as a study's `target.components`; numbers count in each place that one matches.
    intervention : str, mapping or Intervention, default "zero"
        What takes their place, as a study's `interventions`.

    Raises
    ------
    UnknownComponentError
        If a name matches nothing; near matches are named.
    UnitError
        If a number is out of range; the range is named.
    SelectionError
        If no unit is named, or a number where names alone count.
    SpecError
        If there is no such intervention.

    Examples
    --------
    >>> from dissect_core import Component
    >>> anatomy = Anatomy((Component("query_embedding.weight", (100, 256), "float32"),))
    >>> named_variant(anatomy, "components", "query_embedding.weight").removed()
    {'query_embedding.weight': (0,)}
    >>> named_variant(anatomy, "components", "query_embeding.weight")
    Traceback (most recent call last):
    dissect_core.errors.UnknownComponentError: No ... matches 'query_embeding.weight'. Near matches: ...
    """
    by_pattern = _by_pattern(keyword, named)
    intervention = _intervention(intervention)

    def pool(patterns: Sequence[str]) -> Pool:
        (ablation,) = _spec(keyword, patterns, [0], intervention).ablations
        acting = is_activation(ablation.interventions[0])
        return pool_of(ablation.target, anatomy, "activation" if acting else "weight")

    whole = pool(list(by_pattern))
    firsts = dict(zip((part.path for part in whole.parts), whole.starts, strict=False))
    chosen: set[int] = set()
    for pattern, numbers in by_pattern.items():
        for part in pool([pattern]).parts:
            here = range(part.n_units) if numbers is None else numbers
            wrong = next((number for number in here if not 0 <= number < part.n_units), None)
            if wrong is not None:
                raise UnitError(
                    f"`{keyword}` of {quoted(part.path)} must be 0 to {part.n_units - 1}, got {wrong}."
                )
            chosen |= {firsts[part.path] + number for number in here}
    if not chosen:
        raise SelectionError(f"`{keyword}` must name one unit at least, got {quoted(named)}.")
    (variant,) = plan(_spec(keyword, list(by_pattern), sorted(chosen), intervention), anatomy)[1:]
    return variant


def weight_intervention(intervention: Any) -> Intervention:
    """Return the intervention on weights that a name, a mapping or the intervention itself stands for.

    Raises
    ------
    SpecError
        If there is none of that kind.
    InterventionError
        If it acts on activations.

    Examples
    --------
    >>> weight_intervention("mean").kind, weight_intervention({"kind": "scale", "factor": 0.5}).factor
    ('mean', 0.5)
    """
    found = _intervention(intervention)
    if is_activation(found):
        raise InterventionError(
            "Masks are of parameters, so that `intervention` must act on weights, got one in activation space. Leave "
            "`space` out, or name heads, neurons, channels or queries."
        )
    return cast("Intervention", found)


def _intervention(given: Any) -> Any:
    """Return the intervention that a name, a mapping or the intervention itself stands for."""
    found = check_spec(_content("components", ["*"], [0], given))
    if isinstance(found, StudySpec) and len(found.ablations[0].interventions) == 1:
        return found.ablations[0].interventions[0]
    rule = f"got {quoted(given)}"
    if isinstance(found, tuple) and isinstance(given, (str, Mapping)):
        field = found[0].path[-1]
        rule = found[0].message if field == "interventions" else f"`{field}` {found[0].message}"
    raise SpecError(
        f"`intervention` must be one of a study's, such as 'mean' or {{'kind': 'noise'}}: {rule}."
    )


def _spec(keyword: str, patterns: Sequence[str], units: Sequence[int], intervention: Any) -> StudySpec:
    """Return a study of one variant, which removes units by their numbers in the pool."""
    return load_spec(_content(keyword, patterns, units, intervention))


def _content(
    keyword: str, patterns: Sequence[str], units: Sequence[int], intervention: Any
) -> dict[str, Any]:
    ablation = {
        "name": keyword,
        "target": {"unit": KEYWORDS[keyword], "components": list(patterns)},
        "select": {"by": "indices", "indices": list(units)},
        "interventions": intervention,
    }
    return {"name": _NAME, "ablations": [ablation]}


def _by_pattern(keyword: str, named: NamedUnits) -> dict[str, list[int] | None]:
    """Return the numbers of units for each name; None for all of them."""
    if _is_name(named):
        return {cast("str", named): None}
    if (
        isinstance(named, Mapping)
        and named
        and all(map(_is_name, named))
        and not unit_kind(KEYWORDS[keyword]).is_whole
    ):
        return {name: _numbers(keyword, name, numbers) for name, numbers in named.items()}
    if isinstance(named, Sequence) and named and all(map(_is_name, named)):
        return dict.fromkeys(named)
    example = f'{keyword}=["encoder.layers.0"]'
    if not unit_kind(KEYWORDS[keyword]).is_whole:
        example = f'{keyword}={{"name": [0, 3]}} for some, {keyword}=["name"] for all of a place'
    raise SelectionError(f"`{keyword}` must be given as in {example}, got {quoted(named)}.")


def _is_name(value: object) -> bool:
    """Return whether a value is a text that can be written, as one with half a character cannot."""
    return isinstance(value, str) and value != "" and value.encode(errors="ignore").decode() == value


def _numbers(keyword: str, name: str, numbers: object) -> list[int]:
    given = numbers if isinstance(numbers, Sequence) or hasattr(numbers, "__iter__") else [numbers]
    try:
        return [index(number) for number in given]
    except TypeError as error:
        raise SelectionError(
            f"`{keyword}` of {quoted(name)} must be whole numbers from 0, got {quoted(numbers)}."
        ) from error
