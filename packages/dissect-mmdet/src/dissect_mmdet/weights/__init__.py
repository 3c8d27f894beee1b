"""Checkpoints: read without running code, their weights found, and put into a model that they fit."""

from ._checkpoints import allowed_types as allowed_types, load_mmdet_checkpoint as load_mmdet_checkpoint
from ._class_names import class_names_of as class_names_of, unused_names as unused_names
from ._fit import SEED as SEED, Fit as Fit, compare_state as compare_state
from ._fit_rules import require_finite as require_finite
from ._loading import put_weights as put_weights, share_tied as share_tied
from ._weights import FoundWeights as FoundWeights, find_weights as find_weights
