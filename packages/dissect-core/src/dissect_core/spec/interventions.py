"""Interventions of a study: on weights, or on activations where `space` says so."""

from typing import Annotated, Any, TypeAlias

from pydantic import BeforeValidator, Discriminator, Tag

from ..edits.activations import ActivationIntervention
from ..edits.interventions import Intervention


def is_activation(intervention: object) -> bool:
    """Whether an intervention replaces activations, not weights."""
    return getattr(intervention, "space", "weight") == "activation"


def _space(value: Any) -> str:
    """Tag of the two unions; an unknown one is reported as such."""
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
