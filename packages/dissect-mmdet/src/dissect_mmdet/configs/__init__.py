"""MMDetection configs: read without running code, and checked before a model is built of them."""

from typing import TYPE_CHECKING

from dissect_core.lazy import names_when_used

from ._arguments import drop_backends, drop_initial_weights
from ._config import STORED, checked_config, config_of_checkpoint, import_modules, load_config
from ._paths import dataset_with, wrapped_datasets

if TYPE_CHECKING:
    from ._budget import building_budget
    from ._plain import closed_for, is_plain

__all__ = [
    "STORED",
    "building_budget",
    "checked_config",
    "closed_for",
    "config_of_checkpoint",
    "dataset_with",
    "drop_backends",
    "drop_initial_weights",
    "import_modules",
    "is_plain",
    "load_config",
    "wrapped_datasets",
]

# These need torch, and MMEngine, which `require_mmdet` makes ready first.
__getattr__, __dir__ = names_when_used(
    __name__, {"_budget": "building_budget", "_plain": "closed_for is_plain"}
)
