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

from ..report import AblationReport
from ._ablated import ablated
from ._activations import intervened
from ._anatomy import anatomy_of
from ._bypass import bypassed
from ._checkpoint import load_checkpoint
from ._components import components_of
from ._edits import edited
from ._effects import Probe, VariantEffect
from ._export import export, variant_record, with_state
from ._layouts import attention_layouts
from ._optimal import fit_optimal
from ._optimal_fit import OptimalFit
from ._pickle import RefusedNameError
from ._prepared import Prepared, prepared
from ._probe import NoOpWarning, output_change
from ._readout import read_out
from ._reference import Reference, gather_reference
from ._reference_file import load_reference
from ._role_rules import RoleRule
from ._safetensors import load_safetensors, save_safetensors
from ._save import save_checkpoint
from ._scores import gradient_scores
from ._simplify import Simplified, simplify
from ._slim import SlimAttention
from ._stand_ins import StandIn
from ._state import ablate_state, apply, edit_state
from ._state_dicts import chosen_state, other_places, put_state, state_dict_of, state_dict_place
from ._torch_file import read_pickle
from ._variants import StructureReport, VariantReport, reference_sites

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
    "other_places",
    "output_change",
    "prepared",
    "put_state",
    "read_out",
    "read_pickle",
    "reference_sites",
    "save_checkpoint",
    "save_safetensors",
    "simplify",
    "state_dict_of",
    "state_dict_place",
    "variant_record",
    "with_state",
]
