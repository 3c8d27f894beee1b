"""Ablation of a live model's weights, and of a state dict, with exact undo."""

from ._prepared import Prepared, edited, named_parameters, prepared
from ._state_edits import ablate_state, apply, edit_state

__all__ = [
    "Prepared",
    "ablate_state",
    "apply",
    "edit_state",
    "edited",
    "named_parameters",
    "prepared",
]
