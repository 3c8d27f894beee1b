"""Notebook panels for ablation studies of object detectors, on ipywidgets alone.

`ComponentBrowser` shows a model's parts, in `StudyBuilder` a study is written, `ResultsExplorer` shows what it found
out, `ImageBrowser` on which images. Each shows a model (`BrowserModel`, `SpecModel`, `ResultsModel`, `ImagesModel`)
that works without a notebook; `dissect_widgets.figure.plots` has the pictures.
"""

from .builder._model import SpecModel
from .builder._panel import StudyBuilder
from .builder._plan_preview import PlannedAblation, PlanPreview
from .components._browser_rows import BlockRow, ComponentRow, MoreRow
from .components._model import BrowserModel
from .components._panel import ComponentBrowser
from .components._rows import Row, TreeView, visible_rows
from .components._search import Found, search_tree
from .components._selection import SelectionModel
from .components._tree import ComponentNode, block_level, component_tree
from .components._weights import weight_histograms, weights_of
from .detector._model import DetectorModel
from .detector._panel import DetectorPanel
from .errors import (
    DissectWidgetsError,
    DraftError,
    JobError,
    MissingAppError,
    RunStateError,
    StudyFolderError,
    TreeError,
    UnknownNameError,
)
from .images._model import ImagesModel, Listed, Pair
from .images._panel import ImageBrowser
from .queries._model import QueriesModel
from .queries._panel import QueryPanel
from .results._model import Chosen, ResultsModel
from .results._panel import ResultsExplorer
from .run._job import StudyJob
from .run._job_form import JobForm, JobModel
from .run._model import Ended, Job, RunModel
from .run._panel import RunPanel
from .workbench._panel import Workbench

__all__ = [
    "BlockRow",
    "BrowserModel",
    "Chosen",
    "ComponentBrowser",
    "ComponentNode",
    "ComponentRow",
    "DetectorModel",
    "DetectorPanel",
    "DissectWidgetsError",
    "DraftError",
    "Ended",
    "Found",
    "ImageBrowser",
    "ImagesModel",
    "Job",
    "JobError",
    "JobForm",
    "JobModel",
    "Listed",
    "MissingAppError",
    "MoreRow",
    "Pair",
    "PlanPreview",
    "PlannedAblation",
    "QueriesModel",
    "QueryPanel",
    "ResultsExplorer",
    "ResultsModel",
    "Row",
    "RunModel",
    "RunPanel",
    "RunStateError",
    "SelectionModel",
    "SpecModel",
    "StudyBuilder",
    "StudyFolderError",
    "StudyJob",
    "TreeError",
    "TreeView",
    "UnknownNameError",
    "Workbench",
    "block_level",
    "component_tree",
    "search_tree",
    "visible_rows",
    "weight_histograms",
    "weights_of",
]
