"""Detectors: what a study needs of one, those that installed packages offer, and checks for makers of new ones.

Needs NumPy and pydantic only.
"""

from typing import TYPE_CHECKING

from ..lazy import names_when_used
from ._installed import DETECTORS, InstalledDetector, available_detectors
from ._opening import (
    bundled_data,
    bundled_detector,
    open_detector,
    option_names,
    options_of,
    read_options,
    with_whole_paths,
)
from ._protocol import (
    ChangeReport,
    Detector,
    ImageDetections,
    LossDetector,
    TorchDetector,
    missing_members,
    model_of,
    offered,
)
from ._result import CheckResult, ConformanceReport, Status
from ._tools import AdapterTools, DetectorContents, WritableCheckpoint, adapter_tools
from ._zoo import ZooModel, zoo_models
from .trust import DetectorRequest, harmless_options

if TYPE_CHECKING:
    from ._base import BaseDetector
    from ._conformance import check_detector, detector_checks

__all__ = [
    "DETECTORS",
    "AdapterTools",
    "BaseDetector",
    "ChangeReport",
    "CheckResult",
    "ConformanceReport",
    "Detector",
    "DetectorContents",
    "DetectorRequest",
    "ImageDetections",
    "InstalledDetector",
    "LossDetector",
    "Status",
    "TorchDetector",
    "WritableCheckpoint",
    "ZooModel",
    "adapter_tools",
    "available_detectors",
    "bundled_data",
    "bundled_detector",
    "check_detector",
    "detector_checks",
    "harmless_options",
    "missing_members",
    "model_of",
    "offered",
    "open_detector",
    "option_names",
    "options_of",
    "read_options",
    "with_whole_paths",
    "zoo_models",
]

# The base class and checks need all of `dissect_core.plan`; who reads detections needs none of it.
__getattr__, __dir__ = names_when_used(
    __name__, {"_base": "BaseDetector", "_conformance": "check_detector detector_checks"}
)
