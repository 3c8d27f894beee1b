"""Does this checkpoint belong to this model? Measured, reported, and refused below a threshold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .errors import CheckpointFitError

MIN_MATCH = 0.9
NAMED_AT_MOST = 5
# Written by the data preprocessor into checkpoints although no model asks for them.
HARMLESS_EXTRAS = ("data_preprocessor.mean", "data_preprocessor.std")


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
    """

    n_model: int
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    reshaped: tuple[str, ...]
    ignored: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        """Matching entries over the union of both sides' entries, in [0, 1]."""
        matched = self.n_model - len(self.missing) - len(self.reshaped)
        union = self.n_model + len(self.unexpected)
        return matched / union if union else 1.0

    def describe(self) -> str:
        """One sentence with the share and the first names that did not match."""
        parts = [f"{self.share:.1%} of the entries match"]
        for label, names in (
            ("missing from the checkpoint", self.missing),
            ("not in the model", self.unexpected),
            ("of another shape", self.reshaped),
        ):
            if names:
                more = f" and {len(names) - NAMED_AT_MOST} more" if len(names) > NAMED_AT_MOST else ""
                parts.append(f"{label}: {', '.join(names[:NAMED_AT_MOST])}{more}")
        return "; ".join(parts)


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
    return Fit(
        n_model=len(model_state),
        missing=tuple(name for name in model_state if name not in weights),
        unexpected=tuple(name for name in extra if name not in HARMLESS_EXTRAS),
        ignored=tuple(name for name in extra if name in HARMLESS_EXTRAS),
        reshaped=tuple(
            name
            for name, value in model_state.items()
            if name in weights and tuple(weights[name].shape) != tuple(value.shape)
        ),
    )


def require_fit(fit: Fit, *, checkpoint: str, config: str, min_match: float = MIN_MATCH) -> None:
    """Raise `CheckpointFitError` when too few entries match, or when any has another shape."""
    if fit.reshaped or fit.share < min_match:
        raise CheckpointFitError(
            f"checkpoint {checkpoint} does not fit {config}: {fit.describe()}. At least {min_match:.0%} must "
            "match, all in the right shape: give the config that the checkpoint was trained with."
        )
