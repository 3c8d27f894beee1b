"""Interventions on activations: tap points, reference statistics, gradient scores and fitted constants."""

from ._forward import Forward, argument_key, module_at, without_fast_path, wrapped_forward
from ._gather import gather_reference
from ._intervened import intervened
from ._nested import floats_in, map_parts, map_tensors, parts_in, tensors_in
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
    "floats_in",
    "gather_reference",
    "gradient_scores",
    "intervened",
    "load_reference",
    "map_parts",
    "map_tensors",
    "module_at",
    "parts_in",
    "save_reference",
    "tap_point",
    "tensors_in",
    "without_fast_path",
    "wrapped_forward",
]
