"""What a stored study offers to be measured: protocols, its detections beside its truth, the head of its tables."""

from ._about import ABOUT, AlteredTablesError, content_of, read_about, require_written, sealed, unreadable
from ._detections import TRUTH, ImageBoxes, StudyDetections, kept_truth, truth_file
from ._protocols import MakeBar, StoredDetections, StoredStudy, no_bar

__all__ = [
    "ABOUT",
    "TRUTH",
    "AlteredTablesError",
    "ImageBoxes",
    "MakeBar",
    "StoredDetections",
    "StoredStudy",
    "StudyDetections",
    "content_of",
    "kept_truth",
    "no_bar",
    "read_about",
    "require_written",
    "sealed",
    "truth_file",
    "unreadable",
]
