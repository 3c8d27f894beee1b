"""MMDetection configs: read, without running code where they are plain values, and checked before a model is built."""

from typing import TYPE_CHECKING

from dissect_core.lazy import names_when_used

from ._arguments import drop_backends as drop_backends, drop_initial_weights as drop_initial_weights
from ._config import (
    STORED as STORED,
    checked_config as checked_config,
    config_of_checkpoint as config_of_checkpoint,
    import_modules as import_modules,
    load_config as load_config,
)
from ._paths import dataset_with as dataset_with, wrapped_datasets as wrapped_datasets

if TYPE_CHECKING:
    from ._budget import building_budget as building_budget
    from ._plain import closed_for as closed_for, is_plain as is_plain


# These need torch and MMEngine: call `require_mmdet` before the first use.
__getattr__, __dir__ = names_when_used(
    __name__, {"_budget": "building_budget", "_plain": "closed_for is_plain"}
)
