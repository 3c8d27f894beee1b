"""Ablation of neural networks: components, units, masks and interventions.

Needs NumPy and pydantic only. What works on live torch models is in `dissect_core.torch`.
"""

from .activation_specs import (
    ActivationIntervention,
    ActivationReport,
    ActivationSite,
    ActivationUnit,
    MeanActivation,
    NoiseActivation,
    OptimalActivation,
    ResampleActivation,
    SiteActivity,
    ZeroActivation,
)
from .anatomy import Anatomy, Block
from .attention import AttentionLayout, HeadPart, HeadSlice, head_width
from .components import Component, near_matches, select_components, unknown_component
from .errors import (
    CheckpointError,
    ConformanceError,
    DetectorOptionError,
    DetectorUnavailableError,
    DissectError,
    DoseError,
    InterventionError,
    LayoutError,
    MaskError,
    MissingDependencyError,
    PlanError,
    SeedError,
    SelectionError,
    SpecError,
    UnitError,
    UnknownComponentError,
    UnknownDetectorError,
)
from .groups import (
    Edit,
    UnitGroup,
    UnitSlice,
    channel_group,
    feed_forward_group,
    head_group,
    query_group,
    sampling_groups,
)
from .heads import head_masks
from .interventions import Constant, Intervention, Mean, Noise, Quantize, Scale, Shuffle, Zero
from .layouts import deformable_layout, multihead_layout, separate_layout, stacked_layout
from .masks import Mask, check_mask, column_mask, dose, element_mask, row_mask, segment_mask, unit_mask
from .randomness import variant_rng
from .replacement import intervene, replacement_values
from .report import AblationReport, ComponentChange
from .sampling import fraction_to_count, sample_units
from .state import edit_arrays
from .units import Indices, Unit, unit_count

__all__ = [
    "AblationReport",
    "ActivationIntervention",
    "ActivationReport",
    "ActivationSite",
    "ActivationUnit",
    "Anatomy",
    "AttentionLayout",
    "Block",
    "CheckpointError",
    "Component",
    "ComponentChange",
    "ConformanceError",
    "Constant",
    "DetectorOptionError",
    "DetectorUnavailableError",
    "DissectError",
    "DoseError",
    "Edit",
    "HeadPart",
    "HeadSlice",
    "Indices",
    "Intervention",
    "InterventionError",
    "LayoutError",
    "Mask",
    "MaskError",
    "Mean",
    "MeanActivation",
    "MissingDependencyError",
    "Noise",
    "NoiseActivation",
    "OptimalActivation",
    "PlanError",
    "Quantize",
    "ResampleActivation",
    "Scale",
    "SeedError",
    "SelectionError",
    "Shuffle",
    "SiteActivity",
    "SpecError",
    "Unit",
    "UnitError",
    "UnitGroup",
    "UnitSlice",
    "UnknownComponentError",
    "UnknownDetectorError",
    "Zero",
    "ZeroActivation",
    "channel_group",
    "check_mask",
    "column_mask",
    "deformable_layout",
    "dose",
    "edit_arrays",
    "element_mask",
    "feed_forward_group",
    "fraction_to_count",
    "head_group",
    "head_masks",
    "head_width",
    "intervene",
    "multihead_layout",
    "near_matches",
    "query_group",
    "replacement_values",
    "row_mask",
    "sample_units",
    "sampling_groups",
    "segment_mask",
    "select_components",
    "separate_layout",
    "stacked_layout",
    "unit_count",
    "unit_mask",
    "unknown_component",
    "variant_rng",
]
