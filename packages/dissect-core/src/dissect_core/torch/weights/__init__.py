"""Ablation of a live model's weights, and of a state dict, with exact undo."""

from ._prepared import (
    Prepared as Prepared,
    edited as edited,
    named_parameters as named_parameters,
    prepared as prepared,
)
from ._state_edits import ablate_state as ablate_state, apply as apply, edit_state as edit_state
