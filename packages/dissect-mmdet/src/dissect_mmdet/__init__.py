"""MMDetection models for Deep Dissect: open, look into, ablate and run them.

Importing this package needs neither mmdet nor mmcv; `open_mmdet` says what to install when they are missing.
"""

from __future__ import annotations

from ._checkpoints import allowed_types, load_mmdet_checkpoint
from ._config import config_of_checkpoint, load_config
from ._detector import ImageDetections, MMDetDetector
from ._fit import Fit, compare_state
from ._images import image_paths, read_image
from ._models import build_model
from ._open import open_mmdet
from ._runtime import require_mmdet
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
