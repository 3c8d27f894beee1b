"""Studies as validated data: what is removed, how much, how often, and what is put in its place."""

from .interventions import SpecIntervention
from .load import load_spec, spec_schema, spec_to_yaml
from .selections import (
    Control,
    CountSelection,
    CumulativeSelection,
    FractionSelection,
    IndexSelection,
    PlainSelection,
    RankSelection,
    Selection,
)
from .study import SCHEMA_VERSION, Ablation, DetectorSpec, ReferenceSpec, StudySpec
from .targets import (
    BlockTarget,
    ComponentTarget,
    GroupTarget,
    HeadTarget,
    ParameterTarget,
    SegmentTarget,
    Target,
)

__all__ = [
    "SCHEMA_VERSION",
    "Ablation",
    "BlockTarget",
    "ComponentTarget",
    "Control",
    "CountSelection",
    "CumulativeSelection",
    "DetectorSpec",
    "FractionSelection",
    "GroupTarget",
    "HeadTarget",
    "IndexSelection",
    "ParameterTarget",
    "PlainSelection",
    "RankSelection",
    "ReferenceSpec",
    "SegmentTarget",
    "Selection",
    "SpecIntervention",
    "StudySpec",
    "Target",
    "load_spec",
    "spec_schema",
    "spec_to_yaml",
]
