"""Ablation of neural networks: components, units, masks and interventions.

Needs NumPy and pydantic only. What works on live torch models is in `dissect_core.torch`.

Each name is imported when it is first used, so that a program that reads a study's folder loads nothing else.
"""

from typing import TYPE_CHECKING

from .lazy import names_when_used

if TYPE_CHECKING:
    from .anatomy import (
        Anatomy,
        AttentionLayout,
        Block,
        Component,
        HeadPart,
        Indices,
        Mask,
        Unit,
        head_masks,
        select_components,
        unit_count,
    )
    from .edits import (
        AblationReport,
        ActivationSite,
        Constant,
        Edit,
        Intervention,
        Mean,
        MeanActivation,
        Noise,
        NoiseActivation,
        OptimalActivation,
        Quantize,
        ResampleActivation,
        Scale,
        Shuffle,
        Zero,
        ZeroActivation,
        column_mask,
        dose,
        edit_arrays,
        element_mask,
        intervene,
        row_mask,
        sample_units,
        segment_mask,
        unit_mask,
        variant_rng,
    )
    from .errors import (
        BadImageError,
        CheckpointError,
        ClusterError,
        ConformanceError,
        DetectorOptionError,
        DetectorUnavailableError,
        DissectError,
        DoseError,
        ImageTypeError,
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
    from .names import near_matches, unknown_component

__all__ = [
    "AblationReport",
    "ActivationSite",
    "Anatomy",
    "AttentionLayout",
    "BadImageError",
    "Block",
    "CheckpointError",
    "ClusterError",
    "Component",
    "ConformanceError",
    "Constant",
    "DetectorOptionError",
    "DetectorUnavailableError",
    "DissectError",
    "DoseError",
    "Edit",
    "HeadPart",
    "ImageTypeError",
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
    "SpecError",
    "StudyChangedError",
    "StudyError",
    "StudyLockedError",
    "Unit",
    "UnitError",
    "UnknownComponentError",
    "UnknownDataError",
    "UnknownDetectorError",
    "UntrustedError",
    "Zero",
    "ZeroActivation",
    "column_mask",
    "dose",
    "edit_arrays",
    "element_mask",
    "head_masks",
    "intervene",
    "near_matches",
    "row_mask",
    "sample_units",
    "segment_mask",
    "select_components",
    "unit_count",
    "unit_mask",
    "unknown_component",
    "variant_rng",
]

__getattr__, __dir__ = names_when_used(
    __name__,
    {
        "anatomy": (
            "Anatomy AttentionLayout Block Component HeadPart Indices Mask Unit head_masks select_components unit_count"
        ),
        "edits": (
            "AblationReport ActivationSite Constant Edit Intervention Mean MeanActivation Noise NoiseActivation "
            "OptimalActivation Quantize ResampleActivation Scale Shuffle Zero ZeroActivation column_mask dose "
            "edit_arrays element_mask intervene row_mask sample_units segment_mask unit_mask variant_rng"
        ),
        "names": "near_matches unknown_component",
        "errors": (
            "BadImageError CheckpointError ClusterError ConformanceError DetectorOptionError "
            "DetectorUnavailableError DissectError DoseError ImageTypeError InterventionError LayoutError MaskError "
            "MissingDependencyError PlanError RandomDetectorError ReplayError SeedError SelectionError "
            "ShardsFailedError SpecError StudyChangedError StudyError StudyLockedError UnitError "
            "UnknownComponentError UnknownDataError UnknownDetectorError UntrustedError"
        ),
    },
)
