"""One-to-one matching of detections to truth, and what is counted of it: F1, confusion, the chance level."""

from ._at_chance import ChanceVerdict, better_than_chance
from ._chance import ChanceLevel, chance_level
from ._confusion import ConfusionMatrix, Normalize, confusion_matrix
from ._detection import detection_metrics
from ._detection_results import ClassMetrics, DetectionMetrics, Scores
from ._f1 import PairedF1, f1_of_counts, paired_labels_f1
from ._greedy import greedy_matches
from ._matched import LegacyMetrics, MatchedMetrics, matched_metrics
from ._matching import MatchedPairs, match_image, match_pairs, pairs_of_aligned
from ._pairs import BoxesByImage, Pairs, near_pairs, take_free

__all__ = [
    "BoxesByImage",
    "ChanceLevel",
    "ChanceVerdict",
    "ClassMetrics",
    "ConfusionMatrix",
    "DetectionMetrics",
    "LegacyMetrics",
    "MatchedMetrics",
    "MatchedPairs",
    "Normalize",
    "PairedF1",
    "Pairs",
    "Scores",
    "better_than_chance",
    "chance_level",
    "confusion_matrix",
    "detection_metrics",
    "f1_of_counts",
    "greedy_matches",
    "match_image",
    "match_pairs",
    "matched_metrics",
    "near_pairs",
    "paired_labels_f1",
    "pairs_of_aligned",
    "take_free",
]
