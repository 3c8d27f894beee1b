"""The run panel: begins a study, shows how far it is, stops it, and says how it ended."""

from ._inputs import RunInputsModel
from ._inputs_panel import RunInputsForm
from ._model import RunModel
from ._panel import RunPanel
from ._runner import Runner, RunOutcome, StudyRunner

__all__ = [
    "RunInputsForm",
    "RunInputsModel",
    "RunModel",
    "RunOutcome",
    "RunPanel",
    "Runner",
    "StudyRunner",
]
