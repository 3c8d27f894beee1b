"""Building the model of a config, and what must hold before weights go into it."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, cast

import numpy as np
import torch

from dissect_core import DissectError

from .._runtime import require_mmdet
from ..configs import building_budget, drop_initial_weights
from ..errors import ConfigError, DeviceError, said


def use_registries() -> None:
    """Make MMDetection ready, and its classes those that configs mean: models and pipelines look them up by name."""
    require_mmdet()
    from mmengine.registry import DefaultScope, init_default_scope

    if (
        DefaultScope.get_current_instance() is None
        or DefaultScope.get_current_instance().scope_name != "mmdet"
    ):
        init_default_scope("mmdet")


def build_model(config: Any, *, source: str = "the config", n_bytes: int = 0) -> torch.nn.Module:
    """Build the detector of a config with its initial weights, nothing downloaded.

    Parameters
    ----------
    config : mmengine Config
        One of plain values (`config_of_checkpoint`) is built of nothing but what is registered, and of no more than a
        checkpoint could fill; another one is a program of the user's own.
    source : str
        Where it came from, for messages.
    n_bytes : int
        Size of the checkpoint.

    Raises
    ------
    ConfigError
        If no detector comes out of it.
    """
    use_registries()
    from mmdet.registry import MODELS
    from mmengine.model import BaseModel, revert_sync_batchnorm

    from ..configs import closed_for, is_plain  # which need MMEngine

    model_config = copy.deepcopy(config.model)
    drop_initial_weights(model_config)
    if isinstance(model_config, dict):
        model_config.pop("teacher_ckpt", None)  # of a distilled detector: of use in training only
    budget = building_budget(n_bytes, source) if is_plain(config) else nullcontext()
    try:
        with closed_for(config), budget:
            model = MODELS.build(model_config)
            is_detector = isinstance(model, BaseModel)  # which has the steps of a pass
            if is_detector:
                model = revert_sync_batchnorm(model)
    except DissectError:
        raise
    except Exception as error:  # whatever a class makes of its arguments
        raise ConfigError(f"the model of {source} cannot be built: {said(error)}") from error
    if not is_detector:
        raise ConfigError(
            f"the model of {source} is no detector: `model.type` gives an object of type {type(model).__name__}."
        )
    return cast("torch.nn.Module", model)


def available_device(name: str) -> torch.device:
    """Return the device of this name, if it is there: torch would say so only after the checkpoint is read."""
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise DeviceError(f"device {name!r} cannot be used here: {_why_not(name, error)}") from error
    return device


def _why_not(name: str, error: Exception) -> str:
    """Say why torch cannot use a device, and the remedy."""
    reason = str(error).splitlines()[0].partition(". ")[0].rstrip(".")
    if reason.startswith(("Expected one of", "Invalid device string")):  # torch lists twenty kinds of devices
        return "torch knows no such device. Use 'cpu', 'cuda', or 'cuda:1' for the second GPU."
    if name.partition(":")[0] == "cuda" and torch.version.cuda is None and torch.version.hip is None:
        return (
            f"this torch ({torch.__version__}) has no CUDA. Install a CUDA build of torch "
            "(https://pytorch.org/get-started/locally), or use 'cpu'."
        )
    return f"{reason}. Use 'cpu', or 'cuda' with a CUDA GPU."


@contextmanager
def fixed_chance(device: torch.device, seed: int) -> Iterator[None]:
    """Seed the generators that MMDetection draws from, and put their states back."""
    on_cuda = device.type == "cuda"
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002  # MMDetection's samplers
    with torch.random.fork_rng(devices=[device] if on_cuda else []):
        torch.default_generator.manual_seed(seed)
        if on_cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        random.seed(seed)
        try:
            yield
        finally:
            np.random.set_state(numpy_state)  # noqa: NPY002
            random.setstate(python_state)
