"""Checkpoints: what they hold, and writing them again with some components ablated."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dissect_core import Mask, near_matches
from dissect_core.torch import ablate_state, put_state, save_checkpoint, state_dict_of, state_dict_place
from dissect_mmdet import load_mmdet_checkpoint
from dissect_mmdet.errors import UnknownKeyError


def get_model_state_dict_and_keys(PATH_CHECKPOINT_FILE: Path | str) -> tuple[dict[str, Any], list[str]]:
    """Weights of a checkpoint, and their names.

    Parameters
    ----------
    PATH_CHECKPOINT_FILE : Path or str
        A file of ``{'state_dict': …, 'meta': …}``. It is read without running code.

    Returns
    -------
    state_dict : dict of str to torch.Tensor
        On the CPU.
    keys : list of str
        All names, in the file's order.

    Raises
    ------
    dissect_core.CheckpointError
        If the file is missing, damaged, or holds more than a checkpoint needs.
    """
    state = state_dict_of(load_mmdet_checkpoint(PATH_CHECKPOINT_FILE))
    return state, list(state)


def component_shape(checkpoint: Mapping[str, Any], component: str) -> tuple[int, ...]:
    """Shape of a component, or an `UnknownKeyError` that lists all there are."""
    state = state_dict_of(checkpoint)
    if component not in state:
        near = near_matches(component, state)
        guess = f" Near matches: {', '.join(near)}." if near else ""
        raise UnknownKeyError(
            f"Component {component!r} is not in the checkpoint.{guess} "
            f"The checkpoint holds: {', '.join(state)}."
        )
    return tuple(state[component].shape)


def write_ablated(checkpoint: Mapping[str, Any], masks: Mapping[str, Mask], path: Path | str) -> None:
    """Write the whole checkpoint with its state dict ablated; the given one is left as it is."""
    state, _ = ablate_state(state_dict_of(checkpoint), masks)
    save_checkpoint(put_state(checkpoint, state_dict_place(checkpoint), state), path)
