"""What commands say of the detector that they have opened, and of weights that are not its own."""

from __future__ import annotations

from typing import Any

from ._console import Console


def say_loaded(opened: Any) -> None:
    """Say on standard error what was loaded, and how much of it fitted; once it is sure that it will be used."""
    fit = getattr(opened, "fit", opened)
    if hasattr(fit, "describe"):
        errors = Console(stderr=True, soft_wrap=True, highlight=False)
        errors.print(f"{fit.checkpoint}: {fit.describe()}", markup=False)


def say_missing(console: Console, detector: Any) -> None:
    """Put at the head of an output that weights were missing, where some were."""
    if note := missing_note(detector):
        console.print(f"warning: {note}", markup=False, soft_wrap=True)


def missing_note(detector: Any) -> str:
    """What a detector says of missing weights, or a study of its detector; empty if it has all of its own."""
    facts = getattr(detector, "facts", {})
    missing = facts.get("detector", facts).get("missing_weights")
    return str(missing.get("note")) if isinstance(missing, dict) else ""
