"""A study's folder: created whole, filled shard by shard, locked, and read again. Needs no detector.

Needs pyarrow and more: ``pip install "dissect-core[study]"``.
"""

from importlib.util import find_spec
from typing import TYPE_CHECKING

from ..errors import MissingDependencyError
from ..lazy import names_when_used

for _needed in ("filelock", "pyarrow"):
    if find_spec(_needed) is None:
        raise MissingDependencyError(
            f"`dissect_core.store` needs {_needed}, which is not installed. "
            'Run `pip install "dissect-core[study]"`.',
            name=_needed,
        )

if TYPE_CHECKING:
    from ._facts import differences, listed, versions
    from ._folder import StudyFolder
    from ._holder import say_who
    from ._images import ImageRef
    from ._record import UncheckedStudyWarning
    from ._rows import Row, Status
    from ._study import Study, VariantDetections
    from ._truth import StudyTruth

__all__ = [
    "ImageRef",
    "Row",
    "Status",
    "Study",
    "StudyFolder",
    "StudyTruth",
    "UncheckedStudyWarning",
    "VariantDetections",
    "differences",
    "listed",
    "say_who",
    "versions",
]

# Who reads a study needs nothing of what makes one, such as the models of a specification.
__getattr__, __dir__ = names_when_used(
    __name__,
    {
        "_facts": "differences listed versions",
        "_folder": "StudyFolder",
        "_holder": "say_who",
        "_images": "ImageRef",
        "_record": "UncheckedStudyWarning",
        "_rows": "Row Status",
        "_study": "Study VariantDetections",
        "_truth": "StudyTruth",
    },
)
