"""The parts of a model as plain data: components, blocks and their roles, attention layouts, units, selection."""

from ._anatomy import Anatomy, Block, BlockKind, Component, select_components
from ._attention import (
    AttentionLayout,
    HeadPart,
    HeadSlice,
    deformable_layout,
    head_width,
    multihead_layout,
    separate_layout,
    stacked_layout,
)
from ._groups import (
    UnitGroup,
    UnitSlice,
    channel_group,
    feed_forward_group,
    head_group,
    head_masks,
    query_group,
    sampling_groups,
)
from ._select import Selector, is_inside
from ._shapes import Indices, Mask, chosen_units
from ._units import UNITS, GroupUnit, Unit, UnitKind, shape_units, unit_count, unit_kind

__all__ = [
    "UNITS",
    "Anatomy",
    "AttentionLayout",
    "Block",
    "BlockKind",
    "Component",
    "GroupUnit",
    "HeadPart",
    "HeadSlice",
    "Indices",
    "Mask",
    "Selector",
    "Unit",
    "UnitGroup",
    "UnitKind",
    "UnitSlice",
    "channel_group",
    "chosen_units",
    "deformable_layout",
    "feed_forward_group",
    "head_group",
    "head_masks",
    "head_width",
    "is_inside",
    "multihead_layout",
    "query_group",
    "sampling_groups",
    "select_components",
    "separate_layout",
    "shape_units",
    "stacked_layout",
    "unit_count",
    "unit_kind",
]
