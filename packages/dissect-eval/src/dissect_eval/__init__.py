"""Object-detection metrics from NumPy arrays: GIoU, one-to-one matching, F1, COCO ground truth and AP.

Two modes: `detection_metrics` counts every miss and false positive, `matched_metrics` gives the numbers of
Deep Dissect 1.0. `evaluate` gives both, with COCO AP and the chance level. Plots are in `dissect_eval.plots`,
which needs the extra ``plot``.
"""

from .boxes._distance import aligned_ciou, aligned_diou, pairwise_ciou, pairwise_diou
from .boxes._formats import cxcywh_to_xyxy, xywh_to_xyxy, xyxy_to_cxcywh, xyxy_to_xywh
from .boxes._overlap import aligned_giou, aligned_ioa, aligned_iou, pairwise_giou, pairwise_ioa, pairwise_iou
from .coco._ap import CocoAP, coco_ap
from .coco._curve import PrecisionRecall, precision_recall_curve
from .data._class_map import read_class_map
from .data._classes import ClassMatch, match_classes
from .data._detections import Detections
from .data._health import TruthHealth
from .data._labels import category_to_label, label_to_category
from .data._split import check_split
from .data._truth import GroundTruth
from .errors import (
    BoxError,
    CategoryError,
    CategoryWarning,
    DetectionError,
    EvalError,
    MissingExtraError,
    SettingError,
    SplitWarning,
    StudyDataError,
    TruthError,
)
from .matching._at_chance import ChanceVerdict, better_than_chance
from .matching._chance import ChanceLevel, chance_level
from .matching._confusion import ConfusionMatrix, confusion_matrix
from .matching._detection import detection_metrics
from .matching._detection_results import ClassMetrics, DetectionMetrics, Scores
from .matching._f1 import PairedF1, f1_of_counts, paired_labels_f1
from .matching._matched import LegacyMetrics, MatchedMetrics, matched_metrics
from .matching._matching import MatchedPairs, match_image, match_pairs
from .statistics._bootstrap import BootstrapResult, bootstrap
from .statistics._intervals import RepeatSummary, adjust_p_values, summarize_repeats
from .statistics._metrics import METRICS
from .statistics._summary import DetectionCounts, Evaluation, evaluate
from .statistics._variant_table import VariantRow, VariantTable
from .statistics._variants import evaluate_variants
from .tide._tide import ClassErrors, ErrorTypes, error_types

__all__ = [
    "METRICS",
    "BootstrapResult",
    "BoxError",
    "CategoryError",
    "CategoryWarning",
    "ChanceLevel",
    "ChanceVerdict",
    "ClassErrors",
    "ClassMatch",
    "ClassMetrics",
    "CocoAP",
    "ConfusionMatrix",
    "DetectionCounts",
    "DetectionError",
    "DetectionMetrics",
    "Detections",
    "ErrorTypes",
    "EvalError",
    "Evaluation",
    "GroundTruth",
    "LegacyMetrics",
    "MatchedMetrics",
    "MatchedPairs",
    "MissingExtraError",
    "PairedF1",
    "PrecisionRecall",
    "RepeatSummary",
    "Scores",
    "SettingError",
    "SplitWarning",
    "StudyDataError",
    "TruthError",
    "TruthHealth",
    "VariantRow",
    "VariantTable",
    "adjust_p_values",
    "aligned_ciou",
    "aligned_diou",
    "aligned_giou",
    "aligned_ioa",
    "aligned_iou",
    "better_than_chance",
    "bootstrap",
    "category_to_label",
    "chance_level",
    "check_split",
    "coco_ap",
    "confusion_matrix",
    "cxcywh_to_xyxy",
    "detection_metrics",
    "error_types",
    "evaluate",
    "evaluate_variants",
    "f1_of_counts",
    "label_to_category",
    "match_classes",
    "match_image",
    "match_pairs",
    "matched_metrics",
    "paired_labels_f1",
    "pairwise_ciou",
    "pairwise_diou",
    "pairwise_giou",
    "pairwise_ioa",
    "pairwise_iou",
    "precision_recall_curve",
    "read_class_map",
    "summarize_repeats",
    "xywh_to_xyxy",
    "xyxy_to_cxcywh",
    "xyxy_to_xywh",
]
