"""A study's folder: created whole, filled shard by shard, locked, and read again. Needs no detector.

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
        f"`dissect_core.store` needs {error.name}, which is not installed. "
        'Run `pip install "dissect-core[study]"`.',
        name=error.name,
    ) from error

from ._create import ImageRef
from ._facts import differences, listed, versions
from ._folder import StudyFolder
from ._holder import say_who
from ._record import UncheckedStudyWarning
from ._rows import Row, Status
from ._study import Found, Study
from ._truth import StudyTruth

__all__ = [
    "Found",
    "ImageRef",
    "Row",
    "Status",
    "Study",
    "StudyFolder",
    "StudyTruth",
    "UncheckedStudyWarning",
    "differences",
    "listed",
    "say_who",
    "versions",
]
