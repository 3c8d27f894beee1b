"""COCO average precision and recall, bit for bit as pycocotools."""

from ._agnostic import as_one_class as as_one_class
from ._ap import NAMES as NAMES, CocoAP as CocoAP, ap_of_aligned as ap_of_aligned, coco_ap as coco_ap
from ._ap_numpy import (
    RECALLS as RECALLS,
    MatchedSplit as MatchedSplit,
    match_split as match_split,
    mean_of_defined as mean_of_defined,
    precision_of_known as precision_of_known,
    recall_at as recall_at,
    scores_at as scores_at,
)
from ._curve import PrecisionRecall as PrecisionRecall, precision_recall_curve as precision_recall_curve
from ._cut import tell_cut as tell_cut
from ._index import TieBreak as TieBreak, index_of as index_of
from ._match import overlapping_pairs as overlapping_pairs
from ._ranking import Ranking as Ranking, kept as kept, rank as rank
from ._settings import (
    DEFAULT as DEFAULT,
    MAX_DETECTIONS as MAX_DETECTIONS,
    AreaRanges as AreaRanges,
    CocoSettings as CocoSettings,
    IouType as IouType,
    Number as Number,
    coco_settings as coco_settings,
)
