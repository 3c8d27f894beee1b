"""One-to-one matching of detections to truth, and its results: F1, confusion matrix, chance level."""

from ._at_chance import ChanceVerdict as ChanceVerdict, better_than_chance as better_than_chance
from ._best_f1 import BestF1 as BestF1, F1Point as F1Point, best_f1 as best_f1
from ._chance import (
    ChanceLevel as ChanceLevel,
    chance_level as chance_level,
    chance_of_aligned as chance_of_aligned,
    require_draws as require_draws,
)
from ._confusion import (
    ConfusionMatrix as ConfusionMatrix,
    Normalize as Normalize,
    confusion_matrix as confusion_matrix,
)
from ._detection import detection_metrics as detection_metrics, metrics_of_aligned as metrics_of_aligned
from ._detection_results import (
    ClassMetrics as ClassMetrics,
    DetectionMetrics as DetectionMetrics,
    Scores as Scores,
)
from ._f1 import PairedF1 as PairedF1, f1_of_counts as f1_of_counts, paired_labels_f1 as paired_labels_f1
from ._greedy import greedy_matches as greedy_matches
from ._matched import (
    LegacyMetrics as LegacyMetrics,
    MatchedMetrics as MatchedMetrics,
    matched_metrics as matched_metrics,
)
from ._matching import (
    MatchedPairs as MatchedPairs,
    match_image as match_image,
    match_pairs as match_pairs,
    pairs_of_aligned as pairs_of_aligned,
)
from ._pairs import (
    BoxesByImage as BoxesByImage,
    Pairs as Pairs,
    near_pairs as near_pairs,
    take_free as take_free,
)
