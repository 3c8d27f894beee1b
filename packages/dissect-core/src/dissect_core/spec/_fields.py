"""Fields that several parts of a spec share: lists that one value may stand for, doses, patterns, interventions."""

from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, BeforeValidator, Discriminator, Field, FiniteFloat, Tag

from ..edits import ActivationIntervention, Intervention


def _as_tuple(value: Any) -> Any:
    """Let one value stand for a list of one."""
    return (value,) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else value


def _as_kind(value: Any) -> Any:
    """Let ``zero`` stand for ``{kind: zero}``."""
    return {"kind": value} if isinstance(value, str) else value


def as_kinds(value: Any) -> Any:
    """Let one intervention stand for a list of one, and a name for an intervention."""
    if isinstance(value, (str, dict, BaseModel)):
        value = (value,)
    return tuple(_as_kind(item) for item in value) if isinstance(value, (list, tuple)) else value


Fraction: TypeAlias = Annotated[FiniteFloat, Field(ge=0, le=1)]
Fractions: TypeAlias = Annotated[tuple[Fraction, ...], BeforeValidator(_as_tuple), Field(min_length=1)]
Counts: TypeAlias = Annotated[
    tuple[Annotated[int, Field(ge=0)], ...], BeforeValidator(_as_tuple), Field(min_length=1)
]
Patterns: TypeAlias = Annotated[
    tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_as_tuple), Field(min_length=1)
]


def _space(value: Any) -> str:
    """Return the tag of the union that an intervention belongs to; pydantic reports one that it does not know."""
    return str(value.get("space", "weight") if isinstance(value, dict) else getattr(value, "space", "weight"))


def _without_default(value: Any) -> Any:
    """Let ``space: weight`` be written out, although interventions on weights have no such field."""
    if isinstance(value, dict) and value.get("space") == "weight":
        return {key: item for key, item in value.items() if key != "space"}
    return value


SpecIntervention: TypeAlias = Annotated[
    Annotated[Intervention, Tag("weight")] | Annotated[ActivationIntervention, Tag("activation")],
    Discriminator(
        _space,
        custom_error_type="unknown_space",
        custom_error_message="`space` must be one of 'weight', 'activation'",
    ),
    BeforeValidator(_without_default),
]
