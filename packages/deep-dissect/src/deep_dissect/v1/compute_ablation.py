"""Write ablated checkpoints, one file each: Deep Dissect 1.0's functions on the masks of `dissect_core`."""

from __future__ import annotations

import os
import random
import warnings
from collections.abc import Iterable
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch

from dissect_core import DoseError, Mask, UnitError, element_mask, segment_mask, unit_count, unit_mask
from dissect_core.torch import state_dict_of

from ._checkpoints import component_shape, make_folder, unknown_component, write_ablated
from ._mmdet import mmdet
from ._random import permutation, sample, set_seed
from .utility import get_model_state_dict_and_keys

__all__ = [
    "compute_attention_head_detr_ablations_percentage",
    "compute_component_wise_complete_ablations",
    "compute_progressive_component_ablations",
    "compute_single_wise_ablations_percentage",
    "deepcopy",
    "get_model_state_dict_and_keys",
    "np",
    "os",
    "random",
    "set_seed",
    "torch",
]

SEGMENTS_PER_ROW = 8
LAYER = "{layer}"


def compute_single_wise_ablations_percentage(
    PATH_CHECKPOINT_FILE: Path | str,
    ablation_percentage: float,
    ablation_component: str,
    number_of_ablations: int = 1,
    PATH_SAVE_DIR: str = "",
) -> None:
    """Set a share of a component's values to zero, chosen one by one at random.

    Parameters
    ----------
    PATH_CHECKPOINT_FILE : Path or str
        The whole model.
    ablation_percentage : float
        Percent, 0 to 100. ``int(numel * percentage / 100)`` values become zero: the first of
        ``torch.randperm(numel)`` over the flattened component.
    ablation_component : str
        Name in the state dict.
    number_of_ablations : int
        How many checkpoints to write, each drawn anew from the whole model.
    PATH_SAVE_DIR : str
        Put before the file names as it is: end a folder with ``/``. It must be there.

    Raises
    ------
    UnknownKeyError
        A ``ValueError`` and a ``KeyError``, if there is no such component; it lists all components.
    dissect_core.DoseError
        A ``ValueError``, if the percentage is out of range.
    dissect_core.CheckpointError
        If a file cannot be read or written.

    Notes
    -----
    Writes ``{PATH_SAVE_DIR}model_{component}_single_wise_{percentage}_{i}.pth``, each whole or not at all.

    Examples
    --------
    >>> import os, tempfile, torch
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     torch.save({"state_dict": {"query_embedding.weight": torch.ones(4, 5)}}, f"{folder}/whole.pth")
    ...     compute_single_wise_ablations_percentage(
    ...         f"{folder}/whole.pth", 10, "query_embedding.weight", PATH_SAVE_DIR=f"{folder}/"
    ...     )
    ...     sorted(os.listdir(folder))
    ['model_query_embedding.weight_single_wise_10_0.pth', 'whole.pth']
    """
    percentage = _percentage(ablation_percentage)
    checkpoint = mmdet.load_mmdet_checkpoint(PATH_CHECKPOINT_FILE)
    shape = component_shape(checkpoint, ablation_component)
    numel = unit_count(shape, "element")
    count = int(numel * percentage / 100)
    _warn_if_nothing(count, percentage, f"{numel} values of {ablation_component!r}")
    for i in range(number_of_ablations):
        mask = element_mask(shape, permutation(numel)[:count].numpy())
        name = f"model_{ablation_component}_single_wise_{ablation_percentage}_{i}.pth"
        write_ablated(checkpoint, {ablation_component: mask}, f"{PATH_SAVE_DIR}{name}")


def compute_attention_head_detr_ablations_percentage(
    PATH_CHECKPOINT_FILE: Path | str,
    ablation_percentage: float = 5,
    ablation_component_template: str = "encoder.layers.{layer}.self_attn.attn.in_proj_weight",
    layers_to_ablate: Iterable[int] = range(6),
    number_of_ablations: int = 1,
    PATH_SAVE_DIR: Path | str = "",
) -> None:
    """Set row segments of attention weights to zero: what Deep Dissect 1.0 calls heads.

    A segment is an eighth of one row. It is *not* an attention head, whose rows or columns belong together:
    for these see `dissect_core.head_masks`.

    Parameters
    ----------
    PATH_CHECKPOINT_FILE : Path or str
        The whole model.
    ablation_percentage : float
        Percent, 0 to 100. Of the ``8 * rows`` segments of each layer ``int(8 * rows * (percentage / 100))``
        become zero, chosen by ``random.sample``.
    ablation_component_template : str
        Name in the state dict of a (rows, columns) matrix, with ``{layer}`` for the layer.
    layers_to_ablate : iterable of int
        Layers, drawn anew one after the other in this order.
    number_of_ablations : int
        How many checkpoints to write, each drawn anew from the whole model.
    PATH_SAVE_DIR : Path or str
        A folder; it is made.

    Raises
    ------
    UnknownKeyError
        A ``ValueError`` and a ``KeyError``, if a layer has no such component; it lists all components.
    dissect_core.DoseError, dissect_core.UnitError
        Both are a ``ValueError``: the percentage is out of range, there are no layers, the component is no matrix, or
        its columns are no multiple of 8.
    dissect_core.CheckpointError
        If a file cannot be read or written.

    Notes
    -----
    Segment s is row ``s // 8``, columns ``w * (s % 8)`` to ``+ w``, where w is an eighth of the columns.
    Version 1.0 knows a width of 32 only, which is what (rows, 256) matrices have; they give the same numbers
    here.

    Writes ``model_{template without '.{layer}'}_attention_head_{percentage}_{i}.pth``, each whole or not at
    all.
    """
    percentage = _percentage(ablation_percentage)
    checkpoint = mmdet.load_mmdet_checkpoint(PATH_CHECKPOINT_FILE)
    components = [ablation_component_template.replace(LAYER, str(layer)) for layer in layers_to_ablate]
    if not components:
        raise UnitError(
            "`layers_to_ablate` must name a layer at least, got none. All six of DETR's are range(6)."
        )
    shapes = {name: component_shape(checkpoint, name) for name in components}
    totals = {n: unit_count(s, "segment", segments_per_row=SEGMENTS_PER_ROW) for n, s in shapes.items()}
    counts = {name: int(total * (percentage / 100)) for name, total in totals.items()}
    for name in totals:
        _warn_if_nothing(counts[name], percentage, f"{totals[name]} segments of {name!r}")
    make_folder(PATH_SAVE_DIR)
    stem = (
        f"model_{ablation_component_template.replace('.' + LAYER, '')}_attention_head_{ablation_percentage}"
    )
    for i in range(number_of_ablations):
        masks: dict[str, Mask] = {name: np.zeros(shape, dtype=np.bool_) for name, shape in shapes.items()}
        for name in components:
            masks[name] |= segment_mask(
                shapes[name], sample(range(totals[name]), counts[name]), SEGMENTS_PER_ROW
            )
        write_ablated(checkpoint, masks, Path(PATH_SAVE_DIR) / f"{stem}_{i}.pth")
        print(f"Iteration {i + 1} / {number_of_ablations}")


def compute_component_wise_complete_ablations(
    PATH_CHECKPOINT_FILE: Path | str, ablation_component: str, PATH_SAVE_DIR: str = ""
) -> None:
    """Set a whole component to zero.

    Parameters and errors are those of `compute_single_wise_ablations_percentage`.

    Notes
    -----
    Writes ``{PATH_SAVE_DIR}model_{component}_component_wise.pth``, where `PATH_SAVE_DIR` is made as a folder and then
    put before the name as it is: end it with ``/``. Only this one tensor changes: a weight's bias is a component of its
    own.
    """
    checkpoint = mmdet.load_mmdet_checkpoint(PATH_CHECKPOINT_FILE)
    masks = {ablation_component: _whole(component_shape(checkpoint, ablation_component))}
    make_folder(PATH_SAVE_DIR)
    write_ablated(checkpoint, masks, f"{PATH_SAVE_DIR}model_{ablation_component}_component_wise.pth")


def compute_progressive_component_ablations(
    PATH_CHECKPOINT_FILE: Path | str,
    base_component_path: str = "encoder.layers",
    component_to_ablate: str = "self_attn.attn.in_proj_weight",
    PATH_SAVE_DIR: str = "",
) -> None:
    """Set a component to zero in more and more layers: the first, the first two, … all.

    Parameters
    ----------
    PATH_CHECKPOINT_FILE : Path or str
        The whole model.
    base_component_path, component_to_ablate : str
        The component of layer L is ``{base_component_path}.{L}.{component_to_ablate}``.
    PATH_SAVE_DIR : str
        A folder, which is made; then put before the file names as it is: end it with ``/``.

    Raises
    ------
    dissect_core.CheckpointError
        If a file cannot be read or written.

    Notes
    -----
    Writes ``{PATH_SAVE_DIR}model_{base}_{L}_{component}_component_layers.pth`` for each L from 0 to the last
    layer before the first one missing. Where not even layer 0 has the component, nothing is written, as in version 1.0;
    a warning says so.
    """
    checkpoint = mmdet.load_mmdet_checkpoint(PATH_CHECKPOINT_FILE)
    state = state_dict_of(checkpoint)
    make_folder(PATH_SAVE_DIR)
    masks: dict[str, Mask] = {}
    layer = 0
    while (name := f"{base_component_path}.{layer}.{component_to_ablate}") in state:
        masks[name] = _whole(component_shape(checkpoint, name))
        file_name = f"model_{base_component_path}_{layer}_{component_to_ablate}_component_layers.pth"
        write_ablated(checkpoint, masks, f"{PATH_SAVE_DIR}{file_name}")
        layer += 1
    if not masks:
        warnings.warn(f"Nothing was written: {unknown_component(name, state)}", stacklevel=2)


def _percentage(value: float) -> float:
    if not 0 <= value <= 100:
        raise DoseError(
            f"`ablation_percentage` must be from 0 to 100, got {value!r}. It is percent: 5 means 5 %."
        )
    return value


def _whole(shape: tuple[int, ...]) -> Mask:
    return unit_mask(shape, "component", range(unit_count(shape, "component")))


def _warn_if_nothing(count: int, percentage: float, units: str) -> None:
    if count == 0 and percentage > 0:
        warnings.warn(f"{percentage} % of {units} is less than one: nothing is ablated.", stacklevel=3)
