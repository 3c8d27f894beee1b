"""Changes of values: masks, interventions on weights and activations, random draws, and reports of what changed."""

from ._activations import (
    ActivationIntervention as ActivationIntervention,
    ActivationReport as ActivationReport,
    ActivationSite as ActivationSite,
    ActivationUnit as ActivationUnit,
    MeanActivation as MeanActivation,
    NoiseActivation as NoiseActivation,
    OptimalActivation as OptimalActivation,
    ResampleActivation as ResampleActivation,
    SiteActivity as SiteActivity,
    ZeroActivation as ZeroActivation,
    intervention_label as intervention_label,
    is_activation as is_activation,
)
from ._drawing import (
    fraction_to_count as fraction_to_count,
    gaussian as gaussian,
    sample_units as sample_units,
    variant_rng as variant_rng,
)
from ._edits import (
    AblationReport as AblationReport,
    ComponentChange as ComponentChange,
    Edit as Edit,
    JoinedEdit as JoinedEdit,
    edit_arrays as edit_arrays,
    group_edits as group_edits,
    joined_edits as joined_edits,
    merged_report as merged_report,
)
from ._interventions import (
    Constant as Constant,
    Intervention as Intervention,
    Mean as Mean,
    Noise as Noise,
    Quantize as Quantize,
    Scale as Scale,
    Shuffle as Shuffle,
    Spec as Spec,
    Zero as Zero,
)
from ._masks import (
    check_mask as check_mask,
    column_mask as column_mask,
    dose as dose,
    element_mask as element_mask,
    row_mask as row_mask,
    segment_mask as segment_mask,
    unit_mask as unit_mask,
)
from ._replacement import intervene as intervene, replacement_values as replacement_values
