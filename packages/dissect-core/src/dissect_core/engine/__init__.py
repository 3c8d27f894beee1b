"""Running a study, in this process (`engine.local`) or on a Ray cluster (`engine.ray`).

Needs pyarrow and more: ``pip install "dissect-core[study]"``.
"""

from typing import TYPE_CHECKING

from ..lazy import names_when_used

if TYPE_CHECKING:
    from ..progress import PassDone
    from ._fingerprint import weights_sha256
    from ._inputs import plan_study
    from ._net import RandomDetectorWarning
    from ._options import Listener, RunOptions
    from ._run import run
    from ._stop import StopRequest

__all__ = [
    "Listener",
    "PassDone",
    "RandomDetectorWarning",
    "RunOptions",
    "StopRequest",
    "plan_study",
    "run",
    "weights_sha256",
]

# Options and requests are needed by all who offer a run, the rest only where one begins.
__getattr__, __dir__ = names_when_used(
    __name__,
    {
        "_fingerprint": "weights_sha256",
        "_inputs": "plan_study",
        "_net": "RandomDetectorWarning",
        "_options": "Listener PassDone RunOptions",
        "_run": "run",
        "_stop": "StopRequest",
    },
)
