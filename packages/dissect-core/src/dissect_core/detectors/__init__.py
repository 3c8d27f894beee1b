"""Detectors: what a study needs of one, those that installed packages offer, and checks for makers of new ones.

Needs NumPy and pydantic only.
"""

from ._conformance import check_detector, detector_checks
from ._discovery import DETECTORS, InstalledDetector, available_detectors, open_detector
from ._protocol import ChangeReport, Detector, ImageDetections, LossDetector, TorchDetector
from ._report import CheckResult, ConformanceReport, Status
from .trust import DetectorRequest, harmless_options

__all__ = [
    "DETECTORS",
    "ChangeReport",
    "CheckResult",
    "ConformanceReport",
    "Detector",
    "DetectorRequest",
    "ImageDetections",
    "InstalledDetector",
    "LossDetector",
    "Status",
    "TorchDetector",
    "available_detectors",
    "check_detector",
    "detector_checks",
    "harmless_options",
    "open_detector",
]
