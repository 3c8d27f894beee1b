"""Interventions on activations: tap points, reference statistics, gradient scores and fitted constants."""

from ._forward import Forward, argument_key, map_tensors, module_at, without_fast_path, wrapped_forward
from ._gather import gather_reference
from ._intervened import intervened
from ._optimal import fit_optimal
from ._reference import OptimalFit, Reference, Slot
from ._reference_file import load_reference, save_reference
from ._scores import gradient_scores
from ._sites import tap_point

__all__ = [
    "Forward",
    "OptimalFit",
    "Reference",
    "Slot",
    "argument_key",
    "fit_optimal",
    "gather_reference",
    "gradient_scores",
    "intervened",
    "load_reference",
    "map_tensors",
    "module_at",
    "save_reference",
    "tap_point",
    "without_fast_path",
    "wrapped_forward",
]
