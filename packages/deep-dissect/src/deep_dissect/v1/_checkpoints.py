"""Checkpoints written again with some components ablated."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dissect_core import Mask, near_matches
from dissect_core.torch import ablate_state, save_checkpoint, state_dict_of
from dissect_core.torch.checkpoints import put_state, state_dict_place

from ._mmdet import mmdet


def component_shape(checkpoint: Mapping[str, Any], component: str) -> tuple[int, ...]:
    """Return the shape of a component, or raise an `UnknownKeyError` that lists all components."""
    state = state_dict_of(checkpoint)
    if component not in state:
        raise mmdet.UnknownKeyError(unknown_component(component, state))
    return tuple(state[component].shape)


def unknown_component(component: str, state: Mapping[str, Any]) -> str:
    """Return a message that a component is missing, with a list of all components."""
    near = near_matches(component, state)
    guess = f" Near matches: {', '.join(near)}." if near else ""
    return (
        f"Component {component!r} is not in the checkpoint.{guess} The checkpoint holds: {', '.join(state)}."
    )


def make_folder(path: Path | str) -> None:
    """Make the folder for ablated checkpoints; an empty name means the current one."""
    if os.fspath(path):
        Path(path).mkdir(parents=True, exist_ok=True)


def write_ablated(checkpoint: Mapping[str, Any], masks: Mapping[str, Mask], path: Path | str) -> None:
    """Write the whole checkpoint with its state dict ablated; the given one is left as it is."""
    state, _ = ablate_state(state_dict_of(checkpoint), masks)
    save_checkpoint(put_state(checkpoint, state_dict_place(checkpoint), state), path)
