"""The study builder: a study from a question, by segments, by its fields or as YAML, with its plan beside."""

from ._asking import AskPanel as AskPanel
from ._cost import duration as duration, seconds_of as seconds_of
from ._model import SpecModel as SpecModel
from ._panel import StudyBuilder as StudyBuilder
from ._plan_preview import PlanPreview as PlanPreview
from ._proposals import Proposal as Proposal
from ._questions import QUESTIONS as QUESTIONS, Question as Question
