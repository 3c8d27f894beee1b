"""Building the model of a config, and what must hold before weights go into it."""

from __future__ import annotations

import copy
from typing import Any

import torch

from ._runtime import require_mmdet
from .errors import ConfigError, DeviceError


def use_registries() -> None:
    """Make MMDetection ready, and its classes those that configs mean: models and pipelines look them up by name."""
    require_mmdet()
    from mmengine.registry import DefaultScope, init_default_scope

    if (
        DefaultScope.get_current_instance() is None
        or DefaultScope.get_current_instance().scope_name != "mmdet"
    ):
        init_default_scope("mmdet")


def build_model(config: Any) -> torch.nn.Module:
    """Build the detector of a config with its initial weights, nothing downloaded."""
    use_registries()
    from mmdet.registry import MODELS
    from mmengine.model import revert_sync_batchnorm

    model_config = copy.deepcopy(config.model)
    _drop_pretrained(model_config)
    try:
        model: torch.nn.Module = revert_sync_batchnorm(MODELS.build(model_config))
    except (KeyError, TypeError, ValueError, AssertionError) as error:
        raise ConfigError(f"the config's model cannot be built: {type(error).__name__}: {error}") from error
    return model


def available_device(name: str) -> torch.device:
    """The device of this name, if it is there: torch would say so only after the checkpoint is read."""
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise DeviceError(f"device {name!r} cannot be used here: {_why_not(name, error)}") from error
    return device


def _why_not(name: str, error: Exception) -> str:
    """What keeps torch from using a device, and the remedy."""
    reason = str(error).splitlines()[0].partition(". ")[0].rstrip(".")
    if reason.startswith(("Expected one of", "Invalid device string")):  # torch lists twenty kinds of devices
        return "torch knows no such device. Use 'cpu', 'cuda', or 'cuda:1' for the second GPU."
    if name.partition(":")[0] == "cuda" and torch.version.cuda is None and torch.version.hip is None:
        return (
            f"this torch ({torch.__version__}) has no CUDA. Install a CUDA build of torch "
            "(https://pytorch.org/get-started/locally), or use 'cpu'."
        )
    return f"{reason}. Use 'cpu', or 'cuda' with a CUDA GPU."


def _drop_pretrained(node: Any) -> None:
    """Remove ``init_cfg`` of type Pretrained everywhere: the checkpoint brings all weights."""
    if isinstance(node, dict):
        init = node.get("init_cfg")
        if isinstance(init, dict) and init.get("type") == "Pretrained":
            node["init_cfg"] = None
        for child in node.values():
            _drop_pretrained(child)
    elif isinstance(node, (list, tuple)):
        for child in node:
            _drop_pretrained(child)
