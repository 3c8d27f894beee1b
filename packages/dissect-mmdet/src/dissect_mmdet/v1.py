"""What Deep Dissect 1.0's functions (`deep_dissect.v1`) need of MMDetection: entry point ``mmdet`` of ``dissect.v1``.

They find this module by its entry point, since the front door imports no adapter.
"""

from __future__ import annotations

from .configs import load_config
from .detector import open_mmdet, require_pixels, use_registries
from .errors import (
    AnnotationError,
    CheckpointFitError,
    ConfigError,
    DissectMMDetError,
    FolderNotFoundError,
    ImageError,
    ImageNotFoundError,
    UnknownKeyError,
)
from .samples import (
    Naming,
    annotations_by_image,
    load_samples,
    naming_of,
    read_annotations,
    set_naming,
    set_truth,
    truth_and_detections,
)
from .weights import load_mmdet_checkpoint

__all__ = [
    "AnnotationError",
    "CheckpointFitError",
    "ConfigError",
    "DissectMMDetError",
    "FolderNotFoundError",
    "ImageError",
    "ImageNotFoundError",
    "Naming",
    "UnknownKeyError",
    "annotations_by_image",
    "load_config",
    "load_mmdet_checkpoint",
    "load_samples",
    "naming_of",
    "open_mmdet",
    "read_annotations",
    "require_pixels",
    "set_naming",
    "set_truth",
    "truth_and_detections",
    "use_registries",
]
