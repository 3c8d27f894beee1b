"""The study builder: a form made from the format of studies, with what is wrong beside each field."""

from ._model import SpecModel as SpecModel
from ._panel import StudyBuilder as StudyBuilder
from ._questions import QUESTIONS as QUESTIONS, Question as Question
