"""Checkpoints: read without running code, their weights found, and put into a model that they fit."""

from ._checkpoints import allowed_types, load_mmdet_checkpoint
from ._class_names import class_names_of, unused_names
from ._fit import SEED, Fit, compare_state
from ._fit_rules import require_finite
from ._loading import put_weights, share_tied
from ._weights import FoundWeights, find_weights

__all__ = [
    "SEED",
    "Fit",
    "FoundWeights",
    "allowed_types",
    "class_names_of",
    "compare_state",
    "find_weights",
    "load_mmdet_checkpoint",
    "put_weights",
    "require_finite",
    "share_tied",
    "unused_names",
]
