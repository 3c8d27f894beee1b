"""MMDetection models for Deep Dissect: open, look into, ablate and run them.

Importing this package needs neither mmdet nor mmcv; `open_mmdet` says what to install when they are missing. Each
name is imported when it is first used: torch takes seconds, in which the command can be interrupted.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._runtime import require_mmdet
    from .configs._config import config_of_checkpoint, load_config
    from .detector._detector import ImageDetections, MMDetDetector
    from .detector._images import image_paths, read_image
    from .detector._models import build_model
    from .detector._open import open_mmdet
    from .errors import (
        CheckpointFitError,
        ConfigError,
        DeviceError,
        DissectMMDetError,
        ImageError,
        MissingDependencyError,
        MissingOperatorError,
        PickleRefusedError,
    )
    from .weights._checkpoints import allowed_types, load_mmdet_checkpoint
    from .weights._fit import Fit, compare_state

__all__ = [
    "CheckpointFitError",
    "ConfigError",
    "DeviceError",
    "DissectMMDetError",
    "Fit",
    "ImageDetections",
    "ImageError",
    "MMDetDetector",
    "MissingDependencyError",
    "MissingOperatorError",
    "PickleRefusedError",
    "allowed_types",
    "build_model",
    "compare_state",
    "config_of_checkpoint",
    "image_paths",
    "load_config",
    "load_mmdet_checkpoint",
    "open_mmdet",
    "read_image",
    "require_mmdet",
]

_WHERE = {
    "CheckpointFitError": "errors",
    "ConfigError": "errors",
    "DeviceError": "errors",
    "DissectMMDetError": "errors",
    "Fit": "weights._fit",
    "ImageDetections": "detector._detector",
    "ImageError": "errors",
    "MMDetDetector": "detector._detector",
    "MissingDependencyError": "errors",
    "MissingOperatorError": "errors",
    "PickleRefusedError": "errors",
    "allowed_types": "weights._checkpoints",
    "build_model": "detector._models",
    "compare_state": "weights._fit",
    "config_of_checkpoint": "configs._config",
    "image_paths": "detector._images",
    "load_config": "configs._config",
    "load_mmdet_checkpoint": "weights._checkpoints",
    "open_mmdet": "detector._open",
    "read_image": "detector._images",
    "require_mmdet": "_runtime",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
