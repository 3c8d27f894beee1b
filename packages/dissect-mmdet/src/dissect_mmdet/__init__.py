"""MMDetection models for Deep Dissect: open, look into, ablate and run them.

Importing this package needs neither mmdet nor mmcv; `open_mmdet` says what to install when they are missing. Each
name is imported when it is first used: torch takes seconds, in which the command can be interrupted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dissect_core.lazy import names_when_used

if TYPE_CHECKING:
    from ._runtime import require_mmdet
    from .configs import config_of_checkpoint, load_config
    from .detector import ImageDetections, MMDetDetector, build_model, image_paths, open_mmdet, read_image
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
    from .weights import Fit, allowed_types, compare_state, load_mmdet_checkpoint

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

__getattr__, __dir__ = names_when_used(
    __name__,
    {
        "_runtime": "require_mmdet",
        "configs": "config_of_checkpoint load_config",
        "detector": "ImageDetections MMDetDetector build_model image_paths open_mmdet read_image",
        "errors": (
            "CheckpointFitError ConfigError DeviceError DissectMMDetError ImageError MissingDependencyError "
            "MissingOperatorError PickleRefusedError"
        ),
        "weights": "Fit allowed_types compare_state load_mmdet_checkpoint",
    },
)
