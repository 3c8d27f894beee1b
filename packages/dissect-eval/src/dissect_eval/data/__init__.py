"""Ground truth and detections as immutable arrays, and everything that reads, checks and chooses them."""

from ._class_map import read_class_map as read_class_map
from ._classes import ClassMatch as ClassMatch, match_classes as match_classes
from ._detections import Detections as Detections
from ._doubts import check_split as check_split
from ._given import (
    DetectionsLike as DetectionsLike,
    as_detections as as_detections,
    checked_pair as checked_pair,
    require_threshold as require_threshold,
)
from ._health import TruthHealth as TruthHealth, count_repeats as count_repeats
from ._labels import (
    UNSCORED as UNSCORED,
    OnUnknown as OnUnknown,
    category_to_label as category_to_label,
    label_to_category as label_to_category,
)
from ._subset import AREA_RANGES as AREA_RANGES, AreaRange as AreaRange
from ._training import (
    ImageTruth as ImageTruth,
    TrainingTruth as TrainingTruth,
    training_truth as training_truth,
)
from ._truth import GroundTruth as GroundTruth
from ._truth_like import TruthLike as TruthLike, as_truth as as_truth
