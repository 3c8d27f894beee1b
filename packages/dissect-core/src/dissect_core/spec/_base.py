"""What every part of a spec has in common: frozen, nothing beyond the fields, shorthands spelt out."""

from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, FiniteFloat


class Spec(BaseModel):
    """A frozen part of a study's specification, which refuses fields that it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=False)


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
