"""Notebook panels for ablation studies of object detectors, on ipywidgets alone.

`ComponentBrowser` shows a model's parts, in `StudyBuilder` a study is written, `RunPanel` runs it, `ResultsExplorer`
shows its results, `ImageBrowser` its images; `Workbench` is all of them. Each panel shows a model
(`BrowserModel`, `SpecModel`, `RunModel`, `ResultsModel`, `ImagesModel`) that works without a notebook.
`dissect_widgets.figure.plots` has the pictures.
"""

from .builder import SpecModel, StudyBuilder
from .components import BrowserModel, ComponentBrowser, weights_of
from .detector import DetectorModel, DetectorPanel
from .errors import (
    DissectWidgetsError,
    DraftError,
    MissingAppError,
    RunInputError,
    RunStateError,
    StudyFolderError,
    TreeError,
    UnknownNameError,
)
from .images import ImageBrowser, ImagesModel
from .queries import QueriesModel, QueryPanel
from .results import ResultsExplorer, ResultsModel
from .run import RunInputsForm, RunInputsModel, RunModel, RunOutcome, RunPanel, StudyRunner
from .workbench import Workbench

__all__ = [
    "BrowserModel",
    "ComponentBrowser",
    "DetectorModel",
    "DetectorPanel",
    "DissectWidgetsError",
    "DraftError",
    "ImageBrowser",
    "ImagesModel",
    "MissingAppError",
    "QueriesModel",
    "QueryPanel",
    "ResultsExplorer",
    "ResultsModel",
    "RunInputError",
    "RunInputsForm",
    "RunInputsModel",
    "RunModel",
    "RunOutcome",
    "RunPanel",
    "RunStateError",
    "SpecModel",
    "StudyBuilder",
    "StudyFolderError",
    "StudyRunner",
    "TreeError",
    "UnknownNameError",
    "Workbench",
    "weights_of",
]
