"""All panels in one, connected."""

from ._panel import STEPS, Workbench

__all__ = ["STEPS", "Workbench"]
