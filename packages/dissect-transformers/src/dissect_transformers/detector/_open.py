"""Opening a trained detector: its files, config, weights, image processor and device."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from pydantic import InstanceOf

from dissect_core.arguments import check_value
from dissect_core.detectors import harmless_options
from dissect_core.text import quoted

from .._runtime import require_transformers
from ..errors import ModelError, ProcessorError, TransformersDeviceError
from ..models import (
    checked_config,
    class_names_of,
    load_model,
    load_processor,
    model_folder,
    require_processor,
)
from ._detector import TransformersDetector


@harmless_options("model", "device", "revision", "local_files_only")
def open_transformers(
    model: Path | str | InstanceOf[torch.nn.Module],
    *,
    processor: Path | str | InstanceOf[object] | None = None,
    device: str = "cpu",
    revision: str | None = None,
    trust: bool = False,
    local_files_only: bool = False,
) -> TransformersDetector:
    """Open a trained object detector of Transformers for ablation.

    Parameters
    ----------
    model : Path, str or transformers.PreTrainedModel
        A folder that `save_pretrained` wrote, of which everything is read without a network; an id on the Hub, such as
        ``"PekingU/rtdetr_r18vd"``, whose files are fetched into the cache once; or a detector in memory.
    processor : Path, str or image processor, optional
        Another folder or id to take the image processor from, or one in memory; a model in memory needs one.
    device : str
        For instance ``"cpu"`` or ``"cuda:0"``. A model in memory is moved there.
    revision : str, optional
        Branch, tag or commit on the Hub.
    trust : bool
        Let Python files run that come with the model (``trust_remote_code``), and read weights from a pickle where
        there is no safetensors file. Only for models whose maker you trust.
    local_files_only : bool
        Use no network for an id on the Hub: what is in the cache, or an error.

    Returns
    -------
    TransformersDetector

    Raises
    ------
    ModelError, WeightsError, ProcessorError, RemoteCodeError, TransformersDeviceError, MissingPackageError
        See their messages: each names the file, the rule and the remedy.

    Examples
    --------
    >>> open_transformers("no-such-folder/model/here")
    Traceback (most recent call last):
    dissect_transformers.errors.ModelNotFoundError: model 'no-such-folder/model/here': is no folder here, and cannot ...
    """
    require_transformers()
    if not isinstance(model, torch.nn.Module):
        remedy = "give a folder, an id on the Hub, or a detector of Transformers with its `processor`"
        model = check_value("model", model, Path | str, remedy)
    check_value("device", device, str)
    check_value("revision", revision, str | None)
    check_value("trust", trust, bool)
    check_value("local_files_only", local_files_only, bool)
    place = available_device(device)
    if isinstance(model, torch.nn.Module):
        loaded, tools = _given(model, processor, revision, trust=trust, local_files_only=local_files_only)
        return TransformersDetector(loaded.to(place), tools, class_names_of(loaded.config))
    folder = model_folder(model, revision=revision, trust=trust, local_files_only=local_files_only)
    checked_config(folder, trust=trust)
    # Before the weights: an error in these small files need not wait for them.
    if processor is None:
        tools = load_processor(folder, trust=trust)
    else:
        tools = _chosen(processor, trust=trust, local_files_only=local_files_only)
    loaded = load_model(folder, trust=trust)
    return TransformersDetector(loaded.to(place), tools, class_names_of(loaded.config), str(model))


def _given(
    model: torch.nn.Module, processor: Any, revision: str | None, *, trust: bool, local_files_only: bool
) -> tuple[Any, Any]:
    """Return a model in memory and its image processor, if they can be a detector."""
    if revision is not None:
        raise ModelError(f"a model in memory has no revision {quoted(revision)}: leave `revision` out.")
    if not hasattr(getattr(model, "config", None), "id2label"):
        raise ModelError(
            f"`model` must be a detector of Transformers or name one, got an object of type {type(model).__name__}, "
            "which has no config with `id2label`."
        )
    if processor is None:
        raise ProcessorError(
            "a model in memory needs `processor`, its image processor or the folder of one, got none."
        )
    return model.eval(), _chosen(processor, trust=trust, local_files_only=local_files_only)


def _chosen(processor: Any, *, trust: bool, local_files_only: bool) -> Any:
    """Return the image processor that an argument is, or names."""
    if not isinstance(processor, (str, Path)):
        return require_processor(processor, "`processor`")
    path = Path(processor)
    folder = path if path.is_dir() else model_folder(path, trust=trust, local_files_only=local_files_only)
    return load_processor(folder, trust=trust)


def available_device(name: str) -> torch.device:
    """Return the device of this name, if it is there: torch would say so only after the weights are read."""
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, TypeError) as error:
        reason = " ".join(str(error).splitlines()[0].partition(". ")[0].split()).rstrip(".")
        known = (
            "torch knows no such device"
            if reason.startswith(("Expected one of", "Invalid device"))
            else reason
        )
        raise TransformersDeviceError(
            f"device {quoted(name)} cannot be used here: {known}. Use 'cpu', or 'cuda' with a CUDA GPU and a CUDA "
            "build of torch."
        ) from error
    return device
