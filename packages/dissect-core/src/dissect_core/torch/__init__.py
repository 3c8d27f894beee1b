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

from .ablation import VariantReport, ablated, reference_sites
from .activations import (
    Reference,
    fit_optimal,
    gather_reference,
    gradient_scores,
    intervened,
    load_reference,
    save_reference,
)
from .anatomy import (
    RoleRule,
    UnrecognisedAttentionWarning,
    anatomy_of,
    attention_layouts,
    components_of,
)
from .checkpoints import (
    RefusedNameError,
    export,
    load_checkpoint,
    load_safetensors,
    read_pickle,
    save_checkpoint,
    save_safetensors,
    state_dict_of,
)
from .measure import EffectProbe, NoOpWarning, VariantEffect, output_change
from .simplify import Simplified, describe_simplified, load_simplified, save_simplified, simplify
from .structure import bypassed, read_out
from .weights import Prepared, ablate_state, apply, edit_state, edited, prepared

__all__ = [
    "EffectProbe",
    "NoOpWarning",
    "Prepared",
    "Reference",
    "RefusedNameError",
    "RoleRule",
    "Simplified",
    "UnrecognisedAttentionWarning",
    "VariantEffect",
    "VariantReport",
    "ablate_state",
    "ablated",
    "anatomy_of",
    "apply",
    "attention_layouts",
    "bypassed",
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
    "output_change",
    "prepared",
    "read_out",
    "read_pickle",
    "reference_sites",
    "save_checkpoint",
    "save_reference",
    "save_safetensors",
    "save_simplified",
    "simplify",
    "state_dict_of",
]
