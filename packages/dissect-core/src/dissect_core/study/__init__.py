"""Studies: many variants of a detector over a set of images, in a folder that survives anything.

Needs pyarrow and more: ``pip install "dissect-core[study]"``.
"""

from ..errors import MissingDependencyError

try:
    import filelock  # noqa: F401
    import pyarrow  # noqa: F401
except ModuleNotFoundError as error:
    if error.name not in ("filelock", "pyarrow"):
        raise
    raise MissingDependencyError(
        f"`dissect_core.study` needs {error.name}, which is not installed. "
        'Run `pip install "dissect-core[study]"`.',
        name=error.name,
    ) from error

from ._create import ImageRef
from ._describe import weights_sha256
from ._facts import differences, listed, versions
from ._folder import StudyFolder
from ._holder import say_who
from ._net import RandomDetectorWarning
from ._progress import Bar, MakeBar, PassDone, no_bar, tqdm_bar
from ._record import UncheckedStudyWarning
from ._rows import Row, Status
from ._run import run
from ._stop import StopRequest
from ._study import Found, Study
from ._truth import StudyTruth

__all__ = [
    "Bar",
    "Found",
    "ImageRef",
    "MakeBar",
    "PassDone",
    "RandomDetectorWarning",
    "Row",
    "Status",
    "StopRequest",
    "Study",
    "StudyFolder",
    "StudyTruth",
    "UncheckedStudyWarning",
    "differences",
    "listed",
    "no_bar",
    "run",
    "say_who",
    "tqdm_bar",
    "versions",
    "weights_sha256",
]
