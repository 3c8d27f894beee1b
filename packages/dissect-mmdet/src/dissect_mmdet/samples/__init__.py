"""Detection samples of MMDetection: read them without running code, add truth, and split them for evaluation."""

from ._reading import Record, load_samples
from ._samples import (
    Naming,
    annotations_by_image,
    naming_of,
    read_annotations,
    set_naming,
    set_truth,
    truth_and_detections,
)

__all__ = [
    "Naming",
    "Record",
    "annotations_by_image",
    "load_samples",
    "naming_of",
    "read_annotations",
    "set_naming",
    "set_truth",
    "truth_and_detections",
]
