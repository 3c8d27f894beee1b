"""What measuring needs of a stored study: protocols, its detections beside its truth, the head of its tables."""

from ._about import (
    ABOUT as ABOUT,
    AlteredTablesError as AlteredTablesError,
    content_of as content_of,
    read_about as read_about,
    require_written as require_written,
    sealed as sealed,
    unreadable as unreadable,
)
from ._detections import (
    TRUTH as TRUTH,
    ImageBoxes as ImageBoxes,
    StudyDetections as StudyDetections,
    kept_truth as kept_truth,
    truth_file as truth_file,
)
from ._protocols import (
    MakeBar as MakeBar,
    StoredDetections as StoredDetections,
    StoredStudy as StoredStudy,
    no_bar as no_bar,
)
