"""Ablation of live torch models and of their checkpoints.

Needs torch: ``pip install "dissect-core[torch]"``.
"""

from ..errors import MissingDependencyError

try:
    import torch  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise
    raise MissingDependencyError(
        "`dissect_core.torch` needs torch, which is not installed. "
        'Run `pip install "dissect-core[torch]"`, or install torch as https://pytorch.org says.',
        name="torch",
    ) from error

from ..edits import AblationReport
from .activations._intervened import intervened
from .activations._optimal import fit_optimal
from .activations._optimal_fit import OptimalFit
from .activations._reference import Reference, gather_reference
from .activations._reference_file import load_reference
from .activations._scores import gradient_scores
from .anatomy import RoleRule, anatomy_of, attention_layouts, components_of
from .checkpoints._checkpoint import load_checkpoint
from .checkpoints._export import export, variant_record, with_state
from .checkpoints._pickle import RefusedNameError
from .checkpoints._safetensors import load_safetensors, save_safetensors
from .checkpoints._save import save_checkpoint
from .checkpoints._state_dicts import chosen_state, other_places, put_state, state_dict_of, state_dict_place
from .checkpoints._torch_file import read_pickle
from .measure._effects import Probe, VariantEffect
from .measure._probe import NoOpWarning, output_change
from .simplify import (
    Simplified,
    SlimAttention,
    StandIn,
    describe_simplified,
    load_simplified,
    save_simplified,
    simplify,
)
from .structure._bypass import bypassed
from .structure._readout import read_out
from .weights._ablated import ablated
from .weights._edits import edited
from .weights._prepared import Prepared, prepared
from .weights._state import ablate_state, apply, edit_state
from .weights._variants import StructureReport, VariantReport, reference_sites

__all__ = [
    "AblationReport",
    "NoOpWarning",
    "OptimalFit",
    "Prepared",
    "Probe",
    "Reference",
    "RefusedNameError",
    "RoleRule",
    "Simplified",
    "SlimAttention",
    "StandIn",
    "StructureReport",
    "VariantEffect",
    "VariantReport",
    "ablate_state",
    "ablated",
    "anatomy_of",
    "apply",
    "attention_layouts",
    "bypassed",
    "chosen_state",
    "components_of",
    "describe_simplified",
    "edit_state",
    "edited",
    "export",
    "fit_optimal",
    "gather_reference",
    "gradient_scores",
    "intervened",
    "load_checkpoint",
    "load_reference",
    "load_safetensors",
    "load_simplified",
    "other_places",
    "output_change",
    "prepared",
    "put_state",
    "read_out",
    "read_pickle",
    "reference_sites",
    "save_checkpoint",
    "save_safetensors",
    "save_simplified",
    "simplify",
    "state_dict_of",
    "state_dict_place",
    "variant_record",
    "with_state",
]
