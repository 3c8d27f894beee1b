"""Ablation of neural networks: components, units, masks and interventions.

Needs NumPy and pydantic only. What works on live torch models is in `dissect_core.torch`.

Each name is imported when it is first used, so that a program that reads a study's folder loads nothing else.
"""

from typing import TYPE_CHECKING

from .lazy import names_when_used

if TYPE_CHECKING:
    from .anatomy.anatomy import Anatomy, Block
    from .anatomy.attention import AttentionLayout, HeadPart, HeadSlice, head_width
    from .anatomy.components import Component, near_matches, select_components, unknown_component
    from .anatomy.groups import (
        Edit,
        UnitGroup,
        UnitSlice,
        channel_group,
        feed_forward_group,
        head_group,
        query_group,
        sampling_groups,
    )
    from .anatomy.layouts import deformable_layout, multihead_layout, separate_layout, stacked_layout
    from .anatomy.units import Indices, Unit, unit_count
    from .edits.activations import (
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
    from .edits.changes import AblationReport, ComponentChange
    from .edits.heads import head_masks
    from .edits.interventions import Constant, Intervention, Mean, Noise, Quantize, Scale, Shuffle, Zero
    from .edits.masks import (
        Mask,
        check_mask,
        column_mask,
        dose,
        element_mask,
        row_mask,
        segment_mask,
        unit_mask,
    )
    from .edits.randomness import variant_rng
    from .edits.replacement import intervene, replacement_values
    from .edits.sampling import fraction_to_count, sample_units
    from .edits.state import edit_arrays
    from .errors import (
        BadImageError,
        CheckpointError,
        ClusterError,
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
        RandomDetectorError,
        ReplayError,
        SeedError,
        SelectionError,
        ShardsFailedError,
        SpecError,
        StudyChangedError,
        StudyError,
        StudyLockedError,
        UnitError,
        UnknownComponentError,
        UnknownDataError,
        UnknownDetectorError,
        UntrustedError,
    )

__all__ = [
    "AblationReport",
    "ActivationIntervention",
    "ActivationReport",
    "ActivationSite",
    "ActivationUnit",
    "Anatomy",
    "AttentionLayout",
    "BadImageError",
    "Block",
    "CheckpointError",
    "ClusterError",
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
    "RandomDetectorError",
    "ReplayError",
    "ResampleActivation",
    "Scale",
    "SeedError",
    "SelectionError",
    "ShardsFailedError",
    "Shuffle",
    "SiteActivity",
    "SpecError",
    "StudyChangedError",
    "StudyError",
    "StudyLockedError",
    "Unit",
    "UnitError",
    "UnitGroup",
    "UnitSlice",
    "UnknownComponentError",
    "UnknownDataError",
    "UnknownDetectorError",
    "UntrustedError",
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

__getattr__, __dir__ = names_when_used(
    __name__,
    {
        "anatomy.anatomy": "Anatomy Block",
        "anatomy.attention": "AttentionLayout HeadPart HeadSlice head_width",
        "anatomy.components": "Component near_matches select_components unknown_component",
        "anatomy.groups": (
            "Edit UnitGroup UnitSlice channel_group feed_forward_group head_group query_group sampling_groups"
        ),
        "anatomy.layouts": "deformable_layout multihead_layout separate_layout stacked_layout",
        "anatomy.units": "Indices Unit unit_count",
        "edits.activations": (
            "ActivationIntervention ActivationReport ActivationSite ActivationUnit MeanActivation "
            "NoiseActivation OptimalActivation ResampleActivation SiteActivity ZeroActivation"
        ),
        "edits.changes": "AblationReport ComponentChange",
        "edits.heads": "head_masks",
        "edits.interventions": "Constant Intervention Mean Noise Quantize Scale Shuffle Zero",
        "edits.masks": "Mask check_mask column_mask dose element_mask row_mask segment_mask unit_mask",
        "edits.randomness": "variant_rng",
        "edits.replacement": "intervene replacement_values",
        "edits.sampling": "fraction_to_count sample_units",
        "edits.state": "edit_arrays",
        "errors": (
            "BadImageError CheckpointError ClusterError ConformanceError DetectorOptionError "
            "DetectorUnavailableError DissectError DoseError InterventionError LayoutError MaskError "
            "MissingDependencyError PlanError RandomDetectorError ReplayError SeedError SelectionError "
            "ShardsFailedError SpecError StudyChangedError StudyError StudyLockedError UnitError "
            "UnknownComponentError UnknownDataError UnknownDetectorError UntrustedError"
        ),
    },
)
