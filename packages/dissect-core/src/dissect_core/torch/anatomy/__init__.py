"""The anatomy of a live model: its components, attention blocks, layers and their roles, recognised by structure."""

from ._anatomy import anatomy_of
from ._attention import attention_layouts
from ._components import components_of, identity
from ._recognise import joined, parent
from ._role_rules import RoleRule
from ._rows_read import rows_read

__all__ = [
    "RoleRule",
    "anatomy_of",
    "attention_layouts",
    "components_of",
    "identity",
    "joined",
    "parent",
    "rows_read",
]
