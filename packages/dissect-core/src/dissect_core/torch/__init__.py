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
from ._checkpoint import load_checkpoint, state_dict_of
from ._components import components_of
from ._layouts import attention_layouts
from ._save import save_checkpoint
from ._state import ablate_state

__all__ = [
    "AblationReport",
    "ablate_state",
    "ablated",
    "attention_layouts",
    "components_of",
    "load_checkpoint",
    "save_checkpoint",
    "state_dict_of",
]
