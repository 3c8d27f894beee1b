"""COCO average precision and recall, bit for bit as pycocotools."""

from ._ap import NAMES as NAMES, CocoAP as CocoAP, coco_ap as coco_ap
from ._ap_numpy import (
    RECALLS as RECALLS,
    MatchedSplit as MatchedSplit,
    match_split as match_split,
    mean_of_defined as mean_of_defined,
    precision_of_known as precision_of_known,
    recall_at as recall_at,
)
from ._curve import PrecisionRecall as PrecisionRecall, precision_recall_curve as precision_recall_curve
from ._index import TieBreak as TieBreak, index_of as index_of
from ._match import overlapping_pairs as overlapping_pairs
from ._ranking import MAX_DETECTIONS as MAX_DETECTIONS, Ranking as Ranking, kept as kept, rank as rank
