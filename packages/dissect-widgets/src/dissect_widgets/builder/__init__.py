"""The study builder: a form made from the format of studies, with what is wrong beside each field."""

from ._model import SpecModel
from ._panel import StudyBuilder

__all__ = ["SpecModel", "StudyBuilder"]
