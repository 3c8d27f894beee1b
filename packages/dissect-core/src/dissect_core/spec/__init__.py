"""Studies as validated data: what is removed, how much, how often, and what is put in its place."""

from ._execution import Execution, LocalExecution, RayExecution
from ._fields import SpecIntervention
from ._load import check_spec, load_spec, parse_spec, spec_schema, spec_to_yaml
from ._problems import Problem, plain_rule
from ._selections import (
    Control,
    CountSelection,
    CumulativeSelection,
    FractionSelection,
    IndexSelection,
    PlainSelection,
    RankSelection,
    Selection,
)
from ._study import SCHEMA_VERSION, Ablation, DetectorSpec, ReferenceSpec, StudySpec
from ._targets import (
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
    "Execution",
    "FractionSelection",
    "GroupTarget",
    "HeadTarget",
    "IndexSelection",
    "LocalExecution",
    "ParameterTarget",
    "PlainSelection",
    "Problem",
    "RankSelection",
    "RayExecution",
    "ReferenceSpec",
    "SegmentTarget",
    "Selection",
    "SpecIntervention",
    "StudySpec",
    "Target",
    "check_spec",
    "load_spec",
    "parse_spec",
    "plain_rule",
    "spec_schema",
    "spec_to_yaml",
]
