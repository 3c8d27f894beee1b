"""Running a study, in this process (`engine.local`) or on a Ray cluster (`engine.ray`).

Needs pyarrow and more: ``pip install "dissect-core[study]"``.
"""

from ..progress import Bar, MakeBar, PassDone, no_bar, tqdm_bar
from ._fingerprint import weights_sha256
from ._inputs import plan_study
from ._net import RandomDetectorWarning
from ._options import Listener, RunOptions
from ._run import run
from ._stop import StopRequest

__all__ = [
    "Bar",
    "Listener",
    "MakeBar",
    "PassDone",
    "RandomDetectorWarning",
    "RunOptions",
    "StopRequest",
    "no_bar",
    "plan_study",
    "run",
    "tqdm_bar",
    "weights_sha256",
]
