"""The anatomy of a live model: its components, attention blocks, layers and their roles, recognised by structure."""

from ._anatomy import (
    UnrecognisedAttentionWarning as UnrecognisedAttentionWarning,
    anatomy_of as anatomy_of,
)
from ._attention import attention_layouts as attention_layouts
from ._components import components_of as components_of, identity as identity
from ._recognise import joined as joined, parent as parent
from ._recognise_units import is_norm as is_norm
from ._role_rules import RoleRule as RoleRule
from ._rows_read import rows_read as rows_read
