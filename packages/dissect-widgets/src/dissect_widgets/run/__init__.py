"""The run panel: starts a study, shows its progress, stops it, and says how it ended."""

from ._inputs import RunInputsModel as RunInputsModel
from ._inputs_panel import RunInputsForm as RunInputsForm
from ._model import RunModel as RunModel
from ._panel import RunPanel as RunPanel
from ._runner import Runner as Runner, RunOutcome as RunOutcome, StudyRunner as StudyRunner
