"""Object-detection metrics from arrays and files: COCO AP, F1, error types, confusion, intervals.

`evaluate` gives everything at once, also of two files: ``evaluate("gt.json", "dt.json")``. `coco_ap` is COCO's AP,
equal to pycocotools; `detection_metrics` counts every miss and false positive; `bootstrap` compares two detectors.
`matched_metrics` gives the numbers of Deep Dissect 1.0. Plots are in `dissect_eval.plots` (extra ``plot``).
"""

from .boxes import pairwise_giou, pairwise_iou, xywh_to_xyxy
from .coco import coco_ap, precision_recall_curve
from .data import (
    Detections,
    GroundTruth,
    category_to_label,
    check_split,
    label_to_category,
    match_classes,
    read_class_map,
)
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
from .matching import (
    ConfusionMatrix,
    better_than_chance,
    chance_level,
    confusion_matrix,
    detection_metrics,
    match_image,
    match_pairs,
    matched_metrics,
    paired_labels_f1,
)
from .statistics import (
    METRICS,
    Accumulator,
    Evaluation,
    VariantTable,
    adjust_p_values,
    bootstrap,
    evaluate,
    evaluate_variants,
    summarize_repeats,
)
from .tide import error_types

__version__ = "0.1.0"

__all__ = [
    "METRICS",
    "Accumulator",
    "BoxError",
    "CategoryError",
    "CategoryWarning",
    "ConfusionMatrix",
    "DetectionError",
    "Detections",
    "EvalError",
    "Evaluation",
    "GroundTruth",
    "MissingExtraError",
    "SettingError",
    "SplitWarning",
    "StudyDataError",
    "TruthError",
    "VariantTable",
    "adjust_p_values",
    "better_than_chance",
    "bootstrap",
    "category_to_label",
    "chance_level",
    "check_split",
    "coco_ap",
    "confusion_matrix",
    "detection_metrics",
    "error_types",
    "evaluate",
    "evaluate_variants",
    "label_to_category",
    "match_classes",
    "match_image",
    "match_pairs",
    "matched_metrics",
    "paired_labels_f1",
    "pairwise_giou",
    "pairwise_iou",
    "precision_recall_curve",
    "read_class_map",
    "summarize_repeats",
    "xywh_to_xyxy",
]
