"""All panels in one: from a detector to what its parts are worth."""

from ._panel import STEPS, Workbench

__all__ = ["STEPS", "Workbench"]
