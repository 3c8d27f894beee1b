"""Deep Dissect: which parts of a trained object detector carry its ability, and how much?

Open a detector, say which images, run a study, look at the results:

>>> import deep_dissect as dd
>>> detector = dd.open_detector("demo:detr")  # doctest: +SKIP
>>> data = dd.CocoSplit("instances_val2017.json", "val2017", limit=500)  # doctest: +SKIP
>>> study = dd.run_study("layer_knockout", detector, data, "out/layers")  # doctest: +SKIP
>>> study.measure().summary  # doctest: +SKIP

Names are imported when they are first used: ``import deep_dissect`` loads neither torch nor pyarrow. Deep Dissect
1.0's functions are here too, see `deep_dissect.v1`: ``from deep_dissect import *`` gives a notebook written for 1.0 all
that it uses.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from dissect_core.lazy import names_when_used

from . import v1
from .v1._lazy import LazyModule

if TYPE_CHECKING:
    from .comparison import Comparison, compare
    from .data import CocoSplit
    from .errors import ERRORS, FrontDoorError
    from .pipeline import (
        Detector,
        Listener,
        Plan,
        RunOptions,
        StudySpec,
        available_detectors,
        load_spec,
        open_detector,
        plan,
        run_study,
    )
    from .report import latex_table, write_report
    from .smaller import Slimmed, open_simplified, simplify
    from .studies import shipped_studies
    from .study import Results, Study

__version__ = "0.1.0"

__all__ = [
    "ERRORS",
    "CocoSplit",
    "Comparison",
    "Detector",
    "FrontDoorError",
    "Listener",
    "Plan",
    "Results",
    "RunOptions",
    "Slimmed",
    "Study",
    "StudySpec",
    "available_detectors",
    "compare",
    "latex_table",
    "load_spec",
    "open_detector",
    "open_simplified",
    "plan",
    "run_study",
    "shipped_studies",
    "simplify",
    "write_report",
    *v1.__all__,
]

_get, __dir__ = names_when_used(
    __name__,
    {
        "smaller": "Slimmed open_simplified simplify",
        "data": "CocoSplit",
        "errors": "ERRORS FrontDoorError",
        "pipeline": "Detector Listener Plan RunOptions StudySpec available_detectors load_spec open_detector plan "
        "run_study",
        "report": "latex_table write_report",
        "comparison": "Comparison compare",
        "studies": "shipped_studies",
        "study": "Results Study",
    },
)

for _name in v1.SUBMODULES:  # `import deep_dissect.coco`, as scripts for 1.0 have it
    sys.modules.setdefault(f"{__name__}.{_name}", LazyModule(f"{__name__}.v1.{_name}"))


def __getattr__(name: str) -> Any:
    if name in v1.__all__:
        return getattr(v1, name)
    return _get(name)
