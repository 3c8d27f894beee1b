"""Interventions on activations: tap points, reference statistics, gradient scores and fitted constants."""

from ._forward import (
    Forward as Forward,
    argument_key as argument_key,
    module_at as module_at,
    without_fast_path as without_fast_path,
    wrapped_forward as wrapped_forward,
)
from ._gather import gather_reference as gather_reference
from ._intervened import intervened as intervened
from ._nested import (
    floats_in as floats_in,
    map_parts as map_parts,
    map_tensors as map_tensors,
    parts_in as parts_in,
    tensors_in as tensors_in,
)
from ._optimal import fit_optimal as fit_optimal
from ._reference import OptimalFit as OptimalFit, Reference as Reference, Slot as Slot
from ._reference_file import load_reference as load_reference, save_reference as save_reference
from ._scores import gradient_scores as gradient_scores
from ._sites import tap_point as tap_point
