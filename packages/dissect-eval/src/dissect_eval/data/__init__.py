"""Ground truth and detections as immutable arrays, and everything that reads, checks and chooses them."""

from ._class_map import read_class_map
from ._classes import ClassMatch, match_classes
from ._detections import Detections
from ._health import TruthHealth, count_repeats
from ._labels import UNSCORED, OnUnknown, category_to_label, label_to_category
from ._split import check_split
from ._subset import AREA_RANGES
from ._truth import GroundTruth

__all__ = [
    "AREA_RANGES",
    "UNSCORED",
    "ClassMatch",
    "Detections",
    "GroundTruth",
    "OnUnknown",
    "TruthHealth",
    "category_to_label",
    "check_split",
    "count_repeats",
    "label_to_category",
    "match_classes",
    "read_class_map",
]
