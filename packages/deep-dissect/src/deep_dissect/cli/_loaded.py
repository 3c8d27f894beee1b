"""What commands print of a loaded checkpoint, and of weights that it lacked."""

from __future__ import annotations

from typing import Any

from ._console import Console, note

__all__ = ["missing_note", "say_loaded", "say_missing"]


def say_loaded(detector: object) -> None:
    """Say on standard error what was loaded of a checkpoint, once it is certain that the detector is used."""
    from ..pipeline import loaded

    note(loaded(detector))


def say_missing(console: Console, detector: Any) -> None:
    """Print a warning at the head of an output if weights were missing."""
    if text := missing_note(detector):
        console.print(f"warning: {text}", soft_wrap=True)


def missing_note(detector: Any) -> str:
    """Return what a detector, or a study, says of missing weights; empty if none were missing."""
    facts = getattr(detector, "facts", {})
    missing = facts.get("detector", facts).get("missing_weights")
    return str(missing.get("note")) if isinstance(missing, dict) else ""
