"""The parts of a model as plain data: components, blocks and their roles, attention layouts, units, selection."""

from ._anatomy import (
    Anatomy as Anatomy,
    Block as Block,
    BlockKind as BlockKind,
    Component as Component,
    select_components as select_components,
)
from ._attention import (
    AttentionLayout as AttentionLayout,
    HeadPart as HeadPart,
    HeadSlice as HeadSlice,
    deformable_layout as deformable_layout,
    head_width as head_width,
    multihead_layout as multihead_layout,
    separate_layout as separate_layout,
    stacked_layout as stacked_layout,
)
from ._groups import (
    UnitGroup as UnitGroup,
    UnitSlice as UnitSlice,
    channel_group as channel_group,
    feed_forward_group as feed_forward_group,
    head_group as head_group,
    head_masks as head_masks,
    query_group as query_group,
    sampling_groups as sampling_groups,
)
from ._select import Selector as Selector, is_inside as is_inside
from ._shapes import Indices as Indices, Mask as Mask, chosen_units as chosen_units
from ._units import (
    UNITS as UNITS,
    GroupUnit as GroupUnit,
    Unit as Unit,
    UnitKind as UnitKind,
    shape_units as shape_units,
    unit_count as unit_count,
    unit_kind as unit_kind,
)
