"""What commands say of weights that are not a detector's own, and of what was loaded."""

from __future__ import annotations

from typing import Any

from ._console import Console, note

__all__ = ["missing_note", "say_loaded", "say_missing"]


def say_loaded(detector: object) -> None:
    """Say on standard error what was loaded of a checkpoint, once it is sure that it will be used."""
    from ..pipeline import loaded

    note(loaded(detector))


def say_missing(console: Console, detector: Any) -> None:
    """Put at the head of an output that weights were missing, where some were."""
    if text := missing_note(detector):
        console.print(f"warning: {text}", soft_wrap=True)


def missing_note(detector: Any) -> str:
    """Return what a detector, or a study of its detector, says of missing weights; empty if it has all of its own."""
    facts = getattr(detector, "facts", {})
    missing = facts.get("detector", facts).get("missing_weights")
    return str(missing.get("note")) if isinstance(missing, dict) else ""
