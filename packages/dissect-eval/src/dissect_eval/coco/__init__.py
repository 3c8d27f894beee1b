"""COCO average precision and recall, bit for bit as pycocotools."""

from ._ap import NAMES, CocoAP, coco_ap
from ._ap_numpy import RECALLS, MatchedSplit, match_split, precision_of_known, recall_at
from ._curve import PrecisionRecall, precision_recall_curve
from ._index import TieBreak, index_of
from ._match import overlapping_pairs
from ._ranking import MAX_DETECTIONS, Ranking, kept, rank

__all__ = [
    "MAX_DETECTIONS",
    "NAMES",
    "RECALLS",
    "CocoAP",
    "MatchedSplit",
    "PrecisionRecall",
    "Ranking",
    "TieBreak",
    "coco_ap",
    "index_of",
    "kept",
    "match_split",
    "overlapping_pairs",
    "precision_of_known",
    "precision_recall_curve",
    "rank",
    "recall_at",
]
